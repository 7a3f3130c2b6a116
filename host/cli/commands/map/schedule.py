"""``focalloop map schedule``: what the reads of a map demand of converter, link and power."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.firmware_sim.maps.defaults import (
    DEFAULT_JOULES_PER_CONVERSION,
    DEFAULT_SLOT_RATE_HZ,
)
from focalloop.firmware_sim.wire.framing import DEFAULT_MAX_PAYLOAD, MIN_MAX_PAYLOAD
from focalloop.host.cli.output import print_json, print_result, stdout
from focalloop.host.cli.shared_options import JsonOption, MapArgument, output_option, refuse_unused

if TYPE_CHECKING:
    from focalloop.firmware_sim.maps.feasibility import Feasibility


def _above_zero(value: float | None) -> float | None:
    from focalloop.firmware_sim.maps.feasibility import MAX_QUANTITY, MIN_QUANTITY

    if value is not None and not MIN_QUANTITY <= value <= MAX_QUANTITY:
        raise typer.BadParameter(
            f"{value:g} is not a number above 0, from {MIN_QUANTITY:g} to {MAX_QUANTITY:g}"
        )
    return value


def schedule(
    ratio_map: MapArgument,
    slot_rate: Annotated[
        float, typer.Option(metavar="HZ", callback=_above_zero, help="Slots per second.")
    ] = DEFAULT_SLOT_RATE_HZ,
    bits: Annotated[int, typer.Option(metavar="N", min=1, max=16, help="Bits per sample.")] = 8,
    adc_rate: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            callback=_above_zero,
            help="Conversions per second, of all converters together.",
            show_default="no verdict",
        ),
    ] = None,
    link_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            callback=_above_zero,
            help="Bytes per second that the link carries: a baud rate / 10.",
            show_default="no verdict",
        ),
    ] = None,
    payload: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=MIN_MAX_PAYLOAD,
            max=65535,
            help="Longest frame body on the wire, bytes.",
        ),
    ] = DEFAULT_MAX_PAYLOAD,
    joules_per_conversion: Annotated[
        float,
        typer.Option(
            metavar="J",
            callback=_above_zero,
            help="Energy of one read, joules; the default is that of a low-power VGA sensor "
            "(Park et al., IEEE JSSC 2021).",
        ),
    ] = DEFAULT_JOULES_PER_CONVERSION,
    staggered: Annotated[
        bool,
        typer.Option(
            "--stagger", help="Let pixels begin in different slots, which lowers the peak."
        ),
    ] = False,
    output: Annotated[
        Path | None, output_option("Also draw the schedule to a .png or .svg file.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if the ADC or the link is too slow.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show what a map's reads demand of ADC, link and power.

    Where the rates of ADC and link are given, it also says whether they keep up. The exit code is
    0 in either case; with --check it is 1 if one is too slow.

    Example: focalloop map schedule tile-2of16 --adc-rate 4e6 --link-rate 3e6 -o schedule.png
    """
    from focalloop.firmware_sim.maps.feasibility import Feasibility, Hardware
    from focalloop.firmware_sim.maps.staggering import stagger
    from focalloop.host.cli.arguments import load_map
    from focalloop.host.cli.views.schedule_picture import draw_schedule
    from focalloop.host.cli.views.schedule_report import schedule_facts, schedule_table

    if adc_rate is None and link_rate is None:
        refuse_unused(["check"], "needs --adc-rate or --link-rate, to check against")
    loaded = load_map(ratio_map, option="MAP")
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
        print_json(schedule_facts(planned, phases))
    else:
        stdout.print(schedule_table(planned, nominal))
        if output is not None:
            print_result(f"wrote {output}")
    if check:
        _check(planned)


def _check(planned: Feasibility) -> None:
    from focalloop.firmware_sim.maps.feasibility import FeasibilityError

    if not planned.keeps_up:
        fits = {"ADC": planned.fits_adc_holding, "link": planned.fits_link}
        slow = [name for name, fast_enough in fits.items() if fast_enough is False]
        are = "is" if len(slow) == 1 else "are"
        raise FeasibilityError(f"the schedule does not fit: {' and '.join(slow)} {are} too slow")
