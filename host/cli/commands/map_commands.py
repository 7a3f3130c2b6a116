"""`focalloop map`: look at ratio maps, make them, convert them, and see what they ask of a link."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from focalloop.firmware_sim.maps.defaults import (
    DEFAULT_JOULES_PER_CONVERSION,
    DEFAULT_LEVEL_SET,
    DEFAULT_SLOT_RATE_HZ,
    DEFAULT_SLOTS,
    NAMED_TILES,
)
from focalloop.firmware_sim.maps.feasibility import (
    MAX_QUANTITY,
    MIN_QUANTITY,
    Feasibility,
    FeasibilityError,
    Hardware,
)
from focalloop.firmware_sim.maps.level_shares import shares_for_mean
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.staggering import stagger
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.wire.framing import DEFAULT_MAX_PAYLOAD, MIN_MAX_PAYLOAD
from focalloop.host.cli.arguments import load_map
from focalloop.host.cli.commands.map_export import export
from focalloop.host.cli.output import JsonFlag, emit_json, stdout
from focalloop.host.cli.views.map_report import describe, drawing, facts_table, tell_written
from focalloop.host.cli.views.schedule_picture import draw_schedule
from focalloop.host.cli.views.schedule_report import schedule_facts, schedule_table

maps = typer.Typer(
    name="map",
    help="Show, make and convert ratio maps, and plan their reads.",
    no_args_is_help=True,
)
make = typer.Typer(name="make", help="Make a ratio map.", no_args_is_help=True)
maps.add_typer(make)
maps.command()(export)

MapArgument = Annotated[
    str,
    typer.Argument(
        metavar="MAP",
        help=f"A .npz or .png file, a bundle, or a named tile: {', '.join(NAMED_TILES)}.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add ``focalloop map``."""
    app.add_typer(maps)


@maps.command()
def show(
    ratio_map: MapArgument,
    png: Annotated[
        Path | None, typer.Option(help="Also draw the map to this PNG, one pixel a pixel.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Draw a map in colour, with its ratio, histogram, reads and hash.

    Example: focalloop map show tile-2of16
    """
    loaded = load_map(ratio_map)
    if png is not None:
        loaded.with_aperture(None).save(png.with_suffix(".png"))
    facts = describe(loaded)
    if json:
        emit_json(facts)
        return
    stdout.print(drawing(loaded))
    stdout.print(facts_table(facts))


@maps.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A .npz or .png map, or a tile.")],
    target: Annotated[Path, typer.Argument(metavar="TO", help="A .npz or .png file to write.")],
    json: JsonFlag = False,
) -> None:
    """Turn an .npz map into a PNG that any paint program edits, and back.

    Example: focalloop map convert learned.npz learned.png
    """
    loaded = load_map(source)
    loaded.save(target)
    tell_written(loaded, target, json)


def _above_zero(value: float | None) -> float | None:
    if value is not None and not MIN_QUANTITY <= value <= MAX_QUANTITY:
        raise typer.BadParameter(
            f"{value:g} is not a number above 0, from {MIN_QUANTITY:g} to {MAX_QUANTITY:g}"
        )
    return value


@maps.command()
def schedule(
    ratio_map: MapArgument,
    slot_rate: Annotated[
        float, typer.Option(callback=_above_zero, help="Slots a second.")
    ] = DEFAULT_SLOT_RATE_HZ,
    bits: Annotated[int, typer.Option(min=1, max=16, help="Bits a sample.")] = 8,
    adc_rate: Annotated[
        float | None,
        typer.Option(
            callback=_above_zero,
            help="Conversions a second, of all converters together.",
            show_default="no verdict",
        ),
    ] = None,
    link_rate: Annotated[
        float | None,
        typer.Option(
            callback=_above_zero,
            help="Bytes the link carries a second; a baud rate / 10.",
            show_default="no verdict",
        ),
    ] = None,
    payload: Annotated[
        int,
        typer.Option(min=MIN_MAX_PAYLOAD, max=65535, help="Longest frame body on the wire, bytes."),
    ] = DEFAULT_MAX_PAYLOAD,
    joules_per_conversion: Annotated[
        float,
        typer.Option(
            callback=_above_zero,
            help="Energy of one read, joules; the default is that of a low-power VGA sensor "
            "(Park et al., IEEE JSSC 2021).",
        ),
    ] = DEFAULT_JOULES_PER_CONVERSION,
    staggered: Annotated[
        bool,
        typer.Option("--stagger", help="Let pixels begin in different slots, to lower the peak."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Draw it to a .png or .svg file."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if ADC or link is too slow.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Tell what a map's reads ask of ADC, link and power, and whether they keep up.

    The exit code is 0 whether they do or not; with --check it is 1 where one is too slow.

    Example: focalloop map schedule tile-2of16 --adc-rate 4e6 --link-rate 3e6 -o schedule.png
    """
    loaded = load_map(ratio_map)
    hardware = Hardware(
        slot_rate_hz=slot_rate,
        adc_rate_hz=adc_rate,
        link_rate_bytes_per_s=link_rate,
        bits=bits,
        max_payload=payload,
        joules_per_conversion=joules_per_conversion,
    )
    phases = stagger(loaded) if staggered else None
    nominal = Feasibility.of(loaded, hardware)
    planned = nominal if phases is None else Feasibility.of(loaded, hardware, phases)
    if output is not None:
        draw_schedule(output, loaded, planned, phases, None if phases is None else nominal)
    if json:
        emit_json(schedule_facts(planned, phases))
    else:
        stdout.print(schedule_table(planned, nominal))
        if output is not None:
            stdout.print(f"wrote {output}", highlight=False, soft_wrap=True)
    if check and not planned.keeps_up:
        slow = [name for name, fits in (("ADC", planned.fits_adc_holding),
                                        ("link", planned.fits_link)) if fits is False]  # fmt: skip
        raise FeasibilityError(f"the schedule does not fit: {' and '.join(slow)} too slow")


SizeOption = Annotated[str, typer.Option("--size", metavar="HxW", help="Array size in pixels.")]
SlotsOption = Annotated[int, typer.Option("--slots", help="Frame slots a window (T).")]
LevelSetOption = Annotated[
    str, typer.Option("--level-set", help="Levels the sensor can run, separated by commas.")
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="A .npz or .png file to write.")
]
ApertureOption = Annotated[
    bool, typer.Option("--aperture", help="Under the coded aperture of the shipped bundles.")
]
_SIZE = "256x256"
_LEVEL_SET = ",".join(str(level) for level in DEFAULT_LEVEL_SET)


@make.command()
def fixed(
    level: Annotated[int, typer.Argument(help="Measurements a window of every pixel.")],
    output: OutputOption,
    size: SizeOption = _SIZE,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = False,
    json: JsonFlag = False,
) -> None:
    """Give every pixel the same level.

    Example: focalloop map make fixed 2 -o fixed.npz
    """
    made = RatioMap.uniform(level, _shape(size), slots, _integers(level_set))
    _write(made, aperture, output, json)


@make.command()
def tile(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="TILE", help="A named tile, or its rows: levels with commas, rows with slashes."
        ),
    ],
    output: OutputOption,
    size: SizeOption = _SIZE,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = False,
    json: JsonFlag = False,
) -> None:
    """Repeat a tile over the array.

    Example: focalloop map make tile 4,1/1,2 -o mine.npz
    """
    levels = NAMED_TILES.get(pattern) or tuple(_integers(row) for row in pattern.split("/"))
    if len({len(row) for row in levels}) != 1:
        raise RatioMapError(f"the rows of the tile {pattern!r} are of different lengths")
    made = RatioMap.from_tile(levels, _shape(size), slots, _integers(level_set))
    _write(made, aperture, output, json)


@make.command()
def random(
    output: OutputOption,
    r_avg: Annotated[
        float | None, typer.Option(help="Average ratio, e.g. 0.125 for 2 of 16.")
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(metavar="LEVEL:SHARE,...", help="Histogram instead, e.g. 1:3,4:1."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the placement.")] = 0,
    size: SizeOption = _SIZE,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = False,
    json: JsonFlag = False,
) -> None:
    """Scatter levels at random, for a ratio or in a histogram.

    For a ratio, levels are mixed as widely as that average allows (greatest entropy).

    Example: focalloop map make random --r-avg 0.125 --seed 1 -o random.npz
    """
    levels = _integers(level_set)
    if (r_avg is None) == (shares is None):
        raise typer.BadParameter("give one of --r-avg and --shares")
    mixture = shares_for_mean(r_avg * slots, levels) if r_avg is not None else _shares(shares or "")
    made = RatioMap.random(_shape(size), mixture, seed, slots, levels)
    _write(made, aperture, output, json)


@make.command()
def png(
    picture: Annotated[Path, typer.Argument(metavar="PNG", help="Painted in the levels' colours.")],
    output: OutputOption,
    slots: SlotsOption = DEFAULT_SLOTS,
    level_set: LevelSetOption = _LEVEL_SET,
    aperture: ApertureOption = False,
    json: JsonFlag = False,
) -> None:
    """Read a map painted in the colours that ``map show`` draws, one pixel a pixel.

    Example: focalloop map make png painted.png -o painted.npz
    """
    _write(RatioMap.load(picture, slots, _integers(level_set)), aperture, output, json)


def _write(made: RatioMap, aperture: bool, output: Path, json: bool) -> None:
    ratio_map = made.with_aperture_tile(APERTURE_TILE) if aperture else made
    ratio_map.save(output)
    tell_written(ratio_map, output, json)


def _shape(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise typer.BadParameter(f"an array size is written HxW, such as 256x256, not {text!r}")
    return int(match[1]), int(match[2])


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not levels separated by commas") from None


def _shares(text: str) -> dict[int, float]:
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return {int(level): float(share) for level, share in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not LEVEL:SHARE,..., such as 1:3,4:1") from None
