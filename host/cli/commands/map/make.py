"""``focalloop map make``: ratio maps from one level, a tile, chance, or a painted picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SLOTS, NAMED_TILES
from focalloop.host.cli import completion
from focalloop.host.cli.shared_options import (
    JsonOption,
    output_option,
    refuse_unused,
    setting,
    size_option,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from focalloop.firmware_sim.maps.ratio_map import RatioMap

OutputOption = Annotated[Path, output_option("File to write: .npz or .png.")]
SizeOption = Annotated[str | None, size_option("256x256")]
SlotsOption = Annotated[
    int, typer.Option("--slots", metavar="N", help="Frame slots per window (T).")
]
LevelSetOption = Annotated[
    str,
    typer.Option(
        "--level-set",
        metavar="N,N,...",
        help="Levels that the sensor can run, separated by commas.",
    ),
]
ApertureOption = Annotated[
    str | None,
    typer.Option(
        metavar="APERTURE",
        help="Add a coded aperture: tile (of the shipped bundles), random (each pixel and slot "
        "open with probability 1/2), that of a map or bundle, or a .npy of 0 and 1, (T, h, w).",
        show_default="none",
        autocompletion=completion.apertures,
    ),
]
ApertureSeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Seed of a random aperture.")
]
_LEVEL_SET = ",".join(map(str, DEFAULT_LEVEL_SET))


def fixed(
    level: Annotated[
        int, typer.Argument(metavar="LEVEL", help="Measurements per window, of every pixel.")
    ],
    output: OutputOption,
    size: SizeOption = None,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = None,
    seed: ApertureSeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Give every pixel the same level.

    Example: focalloop map make fixed 2 -o fixed.npz
    """
    from focalloop.firmware_sim.maps.ratio_map import RatioMap

    made = RatioMap.uniform(level, _shape(size), slots, _levels(level_set))
    _check_seed(aperture)
    _save(_coded(made, aperture, seed), output, json)


def tile(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="TILE",
            help="A named tile, or rows of levels: commas between levels, slashes between rows.",
            autocompletion=completion.tiles,
        ),
    ],
    output: OutputOption,
    size: SizeOption = None,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = None,
    seed: ApertureSeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Repeat a tile over the array.

    Example: focalloop map make tile 4,1/1,2 -o mine.npz
    """
    from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError

    rows = NAMED_TILES.get(pattern) or tuple(_levels(row) for row in pattern.split("/"))
    if len({len(row) for row in rows}) != 1:
        raise RatioMapError(f"the rows of the tile {pattern!r} are of different lengths")
    made = RatioMap.from_tile(rows, _shape(size), slots, _levels(level_set))
    _check_seed(aperture)
    _save(_coded(made, aperture, seed), output, json)


def random(
    output: OutputOption,
    r_avg: Annotated[
        float | None,
        typer.Option(metavar="RATIO", help="Average ratio, such as 0.125 for 2 of 16."),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(metavar="LEVEL:SHARE,...", help="Histogram instead, such as 1:3,4:1."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Seed of the placement, and of a random aperture."),
    ] = 0,
    size: SizeOption = None,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = None,
    json: JsonOption = False,
) -> None:
    """Scatter levels at random, for an average ratio or a histogram.

    For an average ratio, the levels are mixed as evenly as it allows (maximum entropy).

    Example: focalloop map make random --r-avg 0.125 --seed 1 -o random.npz
    """
    from focalloop.firmware_sim.maps.level_shares import shares_for_mean
    from focalloop.firmware_sim.maps.ratio_map import RatioMap

    levels = _levels(level_set)
    if (r_avg is None) == (shares is None):
        raise typer.BadParameter("give one of --r-avg and --shares")
    mixture = shares_for_mean(r_avg * slots, levels) if r_avg is not None else _shares(shares or "")
    made = RatioMap.random(_shape(size), mixture, seed, slots, levels)
    _save(_coded(made, aperture, seed), output, json)


def png(
    picture: Annotated[
        Path, typer.Argument(metavar="PNG", help="Image painted in the colours of the levels.")
    ],
    output: OutputOption,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = None,
    seed: ApertureSeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Read a map painted in the colours of `focalloop map show`.

    Example: focalloop map make png painted.png -o painted.npz
    """
    from focalloop.firmware_sim.maps.ratio_map import RatioMap

    made = RatioMap.load(picture, slots, _levels(level_set))
    _check_seed(aperture)
    _save(_coded(made, aperture, seed), output, json)


def _check_seed(aperture: str | None) -> None:
    if aperture != "random":
        refuse_unused(["seed"], "is for a random aperture: give --aperture random too")


def _save(made: RatioMap, output: Path, json: bool) -> None:
    from focalloop.host.cli.views.map_report import save_map

    save_map(made, output, json)


def _coded(made: RatioMap, aperture: str | None, seed: int) -> RatioMap:
    """Return the map with the coded aperture that ``--aperture`` names."""
    from focalloop.firmware_sim.maps.ratio_map import RatioMapError
    from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
    from focalloop.host.cli.arguments import load_map

    match aperture:
        case None:
            return made
        case "tile":
            return made.with_aperture_tile(APERTURE_TILE)
        case "random":
            return made.with_random_aperture(seed)
    with setting("--aperture"):
        if aperture.endswith(".npy"):
            return made.with_aperture_tile(_array_in(Path(aperture)))
        tile = load_map(aperture, option="--aperture").aperture_tile
        if tile is None:
            raise RatioMapError(
                f"the ratio map {aperture} has no coded aperture: give one that has, tile or random"
            )
        return made.with_aperture_tile(tile)


def _array_in(path: Path) -> NDArray[np.generic]:
    import numpy as np

    from focalloop.firmware_sim.maps.ratio_map import RatioMapError

    try:
        # Mapped, so that its size is checked before it takes memory.
        found: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RatioMapError(f"cannot read the aperture {path}: {error}") from None
    return found


def _shape(size: str | None) -> tuple[int, int]:
    from focalloop.firmware_sim.maps.defaults import DEFAULT_SHAPE
    from focalloop.host.cli.arguments import array_shape

    return DEFAULT_SHAPE if size is None else array_shape(size)


def _levels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of levels, such as 0,1,2,4,8") from None


def _shares(text: str) -> dict[int, float]:
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {int(level): float(share) for level, share in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not LEVEL:SHARE,..., such as 1:3,4:1") from None
