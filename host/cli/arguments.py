"""What the words on a command line stand for: maps by name or file, array sizes, boards."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.fixed_pattern import FixedPattern, FixedPatternError
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.checks import checked_shape
from focalloop.firmware_sim.maps.defaults import DEFAULT_SLOTS, NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.board.client import Board
from focalloop.host.board.waiting import open_when_there
from focalloop.host.cli.output import print_notice
from focalloop.host.cli.shared_options import refuse_unused, setting
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.gap_tv import GAP_TV
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE
from focalloop.models import zoo

if TYPE_CHECKING:
    from focalloop.firmware_sim.scenes.scene import SceneSource

ADAPTIVE = "adaptive"
"""Name of the adaptive map that is shipped with its controller."""


def load_map(spec: str, shape: tuple[int, int] | None = None, *, option: str = "--map") -> RatioMap:
    """Load the ratio map that `spec` stands for: a named tile, a file, or a bundle's.

    Parameters
    ----------
    spec : str
        A name in `NAMED_TILES`, the path of a ``.npz`` or ``.png`` map, or a bundle by its shipped
        name or the path of its folder or ``.zip``.
    shape : tuple of int, optional
        Array size ``(H, W)`` to fit it to; by default a file's own, `DEFAULT_SHAPE` for a tile.
    option : str, optional
        The option or argument whose value `spec` is.

    Raises
    ------
    typer.BadParameter
        There is no such map, it measures nothing, or it does not fit `shape`.
    """
    with setting(option):
        loaded = _map_of(spec, shape)
        loaded.check_measures()
    return loaded


def _map_of(spec: str, shape: tuple[int, int] | None) -> RatioMap:
    path = Path(spec)
    if spec in NAMED_TILES or (path.is_file() and path.suffix != ".zip"):
        return RatioMap.load(spec, shape=shape)
    if spec in zoo.BUNDLES or path.exists():
        ratio_map = Bundle.load(spec).ratio_map
        return ratio_map if shape is None else ratio_map.tiled_to(*shape)
    if spec == ADAPTIVE or spec in zoo.CONTROLLERS:
        raise RatioMapError(
            f"the tiles of the adaptive map {spec!r} are chosen window by window: `focalloop live`"
            ", `serve` and `upload` take it, and a single ratio map is wanted here"
        )
    raise RatioMapError(
        f"there is no ratio map {spec!r}: give a .npz or .png file, a bundle, or a named tile "
        f"({', '.join(NAMED_TILES)})"
    )


def load_bundle(spec: str) -> Bundle:
    """Load the bundle that ``--bundle`` names: a shipped name, or the path of a folder or zip.

    Raises
    ------
    typer.BadParameter
        There is no such bundle, or it cannot be used.
    """
    with setting("--bundle"):
        return Bundle.load(spec)


def check_bundle(spec: str | None) -> None:
    """Check a ``--bundle`` that may also be `NETWORK_FREE` or left out; errors as `load_bundle`."""
    if spec == GAP_TV:
        raise typer.BadParameter(
            f"{GAP_TV} takes seconds per window, too long for a live view: record with `focalloop "
            f"capture`, then `focalloop reconstruct CAPTURE --bundle {GAP_TV}`",
            param_hint="--bundle",
        )
    if spec is not None and spec != NETWORK_FREE:
        load_bundle(spec)


def load_profile(spec: str, slots: int = DEFAULT_SLOTS) -> NoiseProfile:
    """Load the noise profile that ``--profile`` names: a preset, or a JSON file.

    Raises
    ------
    typer.BadParameter
        There is no such profile, or the file is not one.
    """
    with setting("--profile"):
        return NoiseProfile.load(spec, slots)


def load_pattern(path: Path | None, option: str = "--pattern") -> FixedPattern | None:
    """Load the fixed pattern that an option names; None where it is not given.

    Raises
    ------
    typer.BadParameter
        There is no such file, or it is not one.
    """
    with setting(option):
        return None if path is None else FixedPattern.load(path)


def load_correction(path: Path | None, profile: str) -> Correction | None:
    """Return what undoes the pattern of ``--correction`` and the response of ``--profile``.

    Parameters
    ----------
    path : Path or None
        Of the pattern, if one was given.
    profile : str
        As `load_profile` takes it.

    Returns
    -------
    Correction or None
        None where there is nothing to undo.

    Raises
    ------
    typer.BadParameter
        One of them cannot be used.
    """
    return Correction.needed(load_pattern(path, "--correction"), load_profile(profile))


def check_corrects(correction: Correction | None, own: FixedPattern | None) -> None:
    """Check that ``--correction`` is of the emulated sensor, whose pattern is ``--pattern``.

    Raises
    ------
    typer.BadParameter
        It is of another sensor, which it would make worse.
    """
    if correction is None or correction.pattern is None:
        return
    with setting("--correction"):
        if own is None:
            raise FixedPatternError(
                "the emulated sensor has another pattern than this file corrects, drawn by the "
                "seed: give it this sensor's by --pattern, such as the same file"
            )
        correction.pattern.check_fits(own.shape, own.serial)


def check_scene(spec: str, shape: tuple[int, int], slots: int, white: float | None = None) -> None:
    """Check that ``--scene`` names a scene, and that a clip can be read.

    A camera is looked for and not opened, since it serves one program at a time.

    Raises
    ------
    typer.BadParameter
        It does not, or the clip has no window of this many slots.
    """
    from focalloop.firmware_sim.scenes.clips import load_clips
    from focalloop.firmware_sim.scenes.scene import SYNTHETIC, camera_number

    with setting("--scene"):
        number = None if spec == SYNTHETIC else camera_number(spec)
        refuse_white(spec)
        if spec == SYNTHETIC:
            return
        if number is None:
            load_clips(spec, slots, size=shape, max_clips=1, white=white)
        elif sys.platform == "linux" and not Path(f"/dev/video{number}").exists():
            raise SceneError(
                f"there is no camera {number}: plug one in, or give a file or `{SYNTHETIC}`"
            )


def load_scene_rate(rate: str | None, scene: str, slot_rate: float) -> float | None:
    """Return the frames of a clip per second that ``--scene-rate`` asks for; None for one per slot.

    Raises
    ------
    typer.BadParameter
        It is no rate, the scene is no clip, or the slots are not paced.
    """
    from focalloop.firmware_sim.scenes.footage import rate_of
    from focalloop.firmware_sim.scenes.scene import is_clip

    if rate is None:
        return None
    if not is_clip(scene):
        refuse_unused(["scene_rate"], f"is for clips: the scene {scene} has no frames to pace")
    if not slot_rate:
        raise typer.BadParameter(
            "without slots per second there is no pace: give --slot-rate too",
            param_hint="--scene-rate",
        )
    with setting("--scene-rate"):
        return rate_of(rate, Path(scene))


def scene_opener(
    white: float | None, played_hz: float | None, slot_rate: float | None
) -> Callable[..., SceneSource]:
    """Return `open_scene` with what the options say of clips.

    Parameters
    ----------
    white : float or None
        Of ``--white``.
    played_hz : float or None
        As `load_scene_rate` returns it.
    slot_rate : float or None
        Slots per second; 0 or None where they are not paced.
    """
    from focalloop.firmware_sim.scenes.scene import open_scene

    frames_per_slot = 1.0 if played_hz is None or not slot_rate else played_hz / slot_rate
    return partial(open_scene, white=white, frames_per_slot=frames_per_slot)


def refuse_white(scene: str) -> None:
    """Refuse ``--white`` for a scene that says itself what is white.

    Raises
    ------
    typer.BadParameter
        It was given for a scene that is no clip.
    """
    from focalloop.firmware_sim.scenes.scene import is_clip

    if not is_clip(scene):
        refuse_unused(["white"], f"is for clips: the scene {scene} says itself what is white")


def array_shape(size: str) -> tuple[int, int]:
    """Return the array size ``(H, W)`` that ``WIDTHxHEIGHT`` stands for.

    Raises
    ------
    typer.BadParameter
        `size` is written otherwise, or no array has it.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if match is None:
        raise typer.BadParameter(
            f"{size!r} is not an array size: write WIDTHxHEIGHT, such as 256x256",
            param_hint="--size",
        )
    with setting("--size"):
        return checked_shape((int(match[2]), int(match[1])))


def open_board(url: str, baud: int, wait_s: float) -> Board:
    """Open the board at a device name or URL, for whose port `wait_s` seconds are waited.

    What happens on its line is printed as notices.
    """
    return open_when_there(
        lambda: Board.open(url, baud=baud, on_event=print_notice), wait_s, print_notice
    )


def active_map(board: Board) -> RatioMap | AdaptiveMap:
    """Return the map that the board runs, as it was uploaded from here or by its name.

    Raises
    ------
    UnknownMapError
        It has none, or one that is not known here.
    """
    from focalloop.firmware_sim.wire import NO_HASH
    from focalloop.host.cli import map_memory
    from focalloop.host.errors import UnknownMapError

    active = board.status().map_hash
    if active == NO_HASH:
        raise UnknownMapError(
            "the board has no ratio map yet: upload one (`focalloop upload`), or give --map"
        )
    known = map_memory.recall(active, board.info)
    if known is None:
        raise UnknownMapError(
            f"the board runs a ratio map that is not known here ({active.hex()[:16]}...): "
            "name that map or another one with --map; a map that the board runs already is not "
            "sent again"
        )
    return known
