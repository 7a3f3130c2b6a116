"""``focalloop map export``: a ratio map as a program for a programmable sensor's own kit."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import exists, written_whole
from focalloop.firmware_sim.maps.defaults import DEFAULT_SLOT_RATE_HZ
from focalloop.host.cli.output import print_json, print_result
from focalloop.host.cli.shared_options import JsonOption, MapArgument, output_option

if TYPE_CHECKING:
    from focalloop.firmware_sim.scamp5.exposure import Exposure
    from focalloop.firmware_sim.scamp5.readout import Timing


class ExportError(FocalloopError):
    """The folder of an export cannot be written."""


def export(
    ratio_map: MapArgument,
    target: Annotated[Literal["scamp5"], typer.Option(help="Sensor to write a program for.")],
    output: Annotated[Path | None, output_option("Folder to write.", "DIR")] = None,
    slot_rate: Annotated[
        int | None,
        typer.Option(
            metavar="HZ",
            min=1,
            max=1_000_000,
            help="Slots per second.",
            show_default=f"what the readout allows, at most {DEFAULT_SLOT_RATE_HZ:g}",
        ),
    ] = None,
    clock: Annotated[
        float,
        typer.Option(
            metavar="HZ", min=1e3, help="Instruction words that the chip executes per second."
        ),
    ] = 10e6,
    json: JsonOption = False,
) -> None:
    """Write a map as a program for the SCAMP-5d developer kit.

    Prints the cycles that a window takes and the slot rate that its readout allows; without
    --output, only that. The program has not run on a chip.

    Example: focalloop map export tile-2of16 --target scamp5 -o scamp5_program
    """
    from focalloop.firmware_sim.scamp5.exposure import Exposure
    from focalloop.firmware_sim.scamp5.machine import SHAPE
    from focalloop.firmware_sim.scamp5.readout import Timing
    from focalloop.host.cli.arguments import load_map

    exposure = Exposure.of(load_map(ratio_map, SHAPE, option="MAP"))
    timing = Timing(clock_hz=clock)
    fastest_hz = exposure.slot_rate_hz(timing)
    rate = slot_rate or max(1, int(min(fastest_hz, DEFAULT_SLOT_RATE_HZ)))
    files = [] if output is None else _write(output, exposure, rate, timing)
    facts = {"target": target, "files": files, **_facts(exposure, rate, timing)}
    if json:
        print_json(facts)
    else:
        _report(facts)


def _facts(exposure: Exposure, slot_rate_hz: int, timing: Timing) -> dict[str, Any]:
    fastest_hz = exposure.slot_rate_hz(timing)
    return {
        "map_hash": exposure.ratio_map.hash_hex,
        "masks": {dreg.name: level for dreg, level in exposure.masks.items()},
        "clock_hz": timing.clock_hz,
        "words_per_window": exposure.program.cycles,
        "words_per_slot": list(exposure.cycles_per_slot),
        "program_s": exposure.program.cycles / timing.clock_hz,
        "conversions_per_window": sum(read.count for read in exposure.reads),
        "scans": [
            {"slot": read.slot, "levels": list(read.levels), "conversions": read.count,
             "scan_s": read.count * timing.analog_read_s}
            for read in exposure.reads
        ],
        "fastest_slot_rate_hz": fastest_hz,
        "slot_rate_hz": slot_rate_hz,
        "keeps_up": slot_rate_hz <= fastest_hz,
        "run_on_a_chip": False,
    }  # fmt: skip


def _report(facts: dict[str, Any]) -> None:
    for file in facts["files"]:
        print_result(f"wrote {file}")
    masks = ", ".join(f"{name} level {level}" for name, level in facts["masks"].items())
    busiest = max(facts["scans"], key=lambda scan: scan["conversions"])
    lines = [
        f"masks      {masks}",
        f"program    {facts['words_per_window']} instruction words per window, "
        f"{facts['program_s'] * 1e6:.3g} us at {facts['clock_hz'] / 1e6:g} MHz",
        f"scans      {facts['conversions_per_window']:,} conversions per window; the largest after "
        f"slot {busiest['slot']}: {busiest['conversions']:,} in {busiest['scan_s'] * 1e3:.3g} ms",
        f"slot rate  the scans allow {facts['fastest_slot_rate_hz']:.1f} slots per second; "
        f"{facts['slot_rate_hz']} {'keeps up' if facts['keeps_up'] else 'is too fast'}",
        "The program has not run on a chip.",
    ]
    print_result("\n".join(lines))


def _write(folder: Path, exposure: Exposure, slot_rate_hz: int, timing: Timing) -> list[str]:
    """Write the files of an export; return their paths."""
    from PIL import Image

    from focalloop.firmware_sim.scamp5.kit_source import (
        PICTURE_NAME,
        cpp_source,
        mask_picture,
        readme,
    )

    picture = BytesIO()
    Image.fromarray(mask_picture(exposure)).convert("RGB").save(picture, "BMP")
    contents = {
        "ratio_map.cpp": cpp_source(exposure, slot_rate_hz).encode(),
        PICTURE_NAME: picture.getvalue(),
        "README.txt": readme(exposure, slot_rate_hz, timing).encode(),
    }
    is_new = not exists(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write into the folder {folder}: {error.strerror}") from None
    try:
        with ExitStack() as stack:  # all of them are written before any takes its place
            for name, content in contents.items():
                stack.enter_context(written_whole(folder / name)).write_bytes(content)
    except BaseException:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise
    return [str(folder / name) for name in contents]
