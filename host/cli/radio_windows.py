"""The windows that the radio commands send: those of a capture, or clips through the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from focalloop.firmware_sim.maps.checks import size_text
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.cli.arguments import load_bundle, load_profile
from focalloop.host.cli.methods import Measured, captured_windows, read_clips
from focalloop.host.cli.shared_options import refuse_unused
from focalloop.host.radio.methods import SENSING_BUNDLE, Sensing
from focalloop.host.radio.send import Outgoing
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.recording.loading import holds_windows


@dataclass(frozen=True, eq=False)
class OutgoingWindows:
    """Windows to send, all under one map.

    Attributes
    ----------
    names : tuple of str
        Their names.
    each : iterator of Outgoing
        The windows, captured as they are taken.
    sensing : Sensing
        Their map and reconstruction.
    """

    names: tuple[str, ...]
    each: Iterator[Outgoing]
    sensing: Sensing


def outgoing(
    source: Path,
    bundle: str | None,
    profile: str,
    seed: int,
    limit: int | None,
    white: float | None,
    threads: int,
) -> OutgoingWindows:
    """Open a capture, or clips to emulate the capture of; arguments as the options of `send`.

    Raises
    ------
    RadioError
        The capture was taken under another map than the bundle's, or the windows are smaller than
        a cell of it.
    FocalloopError
        Source, bundle or profile cannot be used.
    """
    sensed_by = load_bundle(bundle or SENSING_BUNDLE)
    if holds_windows(source):
        refuse_unused(["white", "profile"], "is for clips: a capture is sent as it was taken")
        (names, windows), ratio_map = captured_windows(source, limit)
        if not sensed_by.suits(ratio_map):
            raise RadioError(
                f"{source} was captured under another ratio map than that of {sensed_by.name}, "
                f"which this link is for: capture with --map {sensed_by.name}, or give the "
                "--bundle and the --model of its own map"
            )
        each = _of_capture(source, names, windows, ratio_map)
    else:
        clips = read_clips(source, sensed_by.ratio_map, limit, white)
        _check_size(clips.clips.shape[2:], sensed_by)
        names, ratio_map = clips.names, sensed_by.ratio_map.tiled_to(*clips.clips.shape[2:])
        noise = load_profile(profile, ratio_map.slots)
        reads = capture_clips(clips.clips, ratio_map, noise, seed=seed)
        each = map(Outgoing, names, reads, clips.clips)
    _check_size(ratio_map.shape, sensed_by)
    return OutgoingWindows(names, each, Sensing(ratio_map, sensed_by.reconstructor(threads)))


def sensing_of(bundle: str | None, shape: tuple[int, int], threads: int) -> Sensing:
    """Return map and reconstruction of windows of a size (H, W), by the bundle that is named.

    Raises
    ------
    typer.BadParameter
        There is no such bundle.
    RatioMapError
        Its map does not fit windows of that size.
    """
    sensed_by = load_bundle(bundle or SENSING_BUNDLE)
    return Sensing(sensed_by.ratio_map.tiled_to(*shape), sensed_by.reconstructor(threads))


def _of_capture(
    source: Path,
    names: tuple[str, ...],
    windows: Iterator[Measured],
    ratio_map: RatioMap,
) -> Iterator[Outgoing]:
    for name, window in zip(names, windows, strict=True):
        if window.ratio_map.hash() != ratio_map.hash():
            raise RadioError(f"{source} holds windows under several ratio maps: send one by one")
        yield Outgoing(name, window.reads)


def _check_size(shape: tuple[int, ...], bundle: Bundle) -> None:
    cell = bundle.ratio_map.tile.shape
    if any(side < least for side, least in zip(shape, cell, strict=True)):
        raise RadioError(
            f"windows of {size_text(shape)} pixels are smaller than a cell of the link's map, "
            f"{size_text(cell)}: give larger ones"
        )
