"""``focalloop calibrate``: a noise profile from captures, images, or the board itself."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from focalloop.firmware_sim.default_calibration import DEFAULT_READS
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import scratch_folder
from focalloop.host.cli.output import activity, print_json, print_result
from focalloop.host.cli.shared_options import (
    DEFAULT_WAIT_S,
    AddressOption,
    JsonOption,
    RayOption,
    baud_option,
    check_exists,
    check_new,
    check_place,
    output_option,
    refuse_unused,
    wait_option,
)
from focalloop.host.link.port import DEFAULT_BAUD

if TYPE_CHECKING:
    from focalloop.calibration import Calibration, Readings
    from focalloop.calibration.fitting.analysis import Each

NOMINAL_SLOT_S = 1 / 240
"""Length of a slot, seconds, of a board without a clock, such as an emulator at full speed: CRL's
frame rate."""

_BOARD = "From a board"
_IMAGES = "From images"


def calibrate(
    captures: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CAPTURE",
            help="Capture folders or recordings; or an EMVA 1288 descriptor; or a folder of TIFF "
            "stacks.",
        ),
    ] = None,
    output: Annotated[Path | None, output_option("Noise profile to write, JSON.")] = None,
    correction: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Fixed pattern to write, .npz: what corrects the sensor's reads."
        ),
    ] = None,
    remember: Annotated[
        bool,
        typer.Option(
            "--remember",
            help="Keep profile and correction for this board, by its serial number: `live` and "
            "`serve` then use them.",
        ),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Report to write, one HTML page.")
    ] = None,
    protocol: Annotated[
        Literal["default", "emva"],
        typer.Option(help="How to fit: all levels by their weights, or as EMVA 1288 does."),
    ] = "default",
    full_scale_error: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0, max=0.5, help="Relative standard uncertainty of the full scale."
        ),
    ] = 0.0,
    export_emva: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="New folder to write: the reads with an EMVA 1288 descriptor."
        ),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Take the captures now, from the board at this device name or URL.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    design: Annotated[
        Literal["spans", "lights", "tiled"],
        typer.Option(
            help="What to vary: the span, the light, or the span from pixel to pixel.",
            rich_help_panel=_BOARD,
        ),
    ] = "spans",
    reads: Annotated[
        int,
        typer.Option(
            metavar="N", min=2, help="Reads of every level, at least.", rich_help_panel=_BOARD
        ),
    ] = DEFAULT_READS,
    light: Annotated[
        list[float] | None,
        typer.Option(
            metavar="RADIANCE",
            help="Light above 0, up to 1, which fills a whole window; may be given several times.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    board_sets_light: Annotated[
        bool,
        typer.Option(
            "--board-sets-light",
            help="The board darkens and lights itself, as an emulated one does: ask nobody.",
            rich_help_panel=_BOARD,
        ),
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Keep the captures there: a folder, or NAME.mcap.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    baud: Annotated[int, baud_option(rich_help_panel=_BOARD)] = DEFAULT_BAUD,
    wait: Annotated[float, wait_option(rich_help_panel=_BOARD)] = DEFAULT_WAIT_S,
    bits: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=16,
            help="Bits of the converter, for TIFF stacks.",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    full_scale: Annotated[
        float | None,
        typer.Option(
            metavar="DN",
            min=1,
            help="Codes from black to signal 1.0, for images.",
            show_default="up to saturation",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    ray: RayOption = False,
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a sensor's noise and write it as a noise profile.

    The captures are dark and flat reads; docs/calibration.md says how to take them. With --port
    they are taken now. `focalloop emulate --profile FILE` emulates the sensor that was measured.
    --correction writes the offset, gain and defects of each pixel, by which `evaluate`,
    `reconstruct`, `live` and `serve` correct its reads.

    With --ray, other processors measure levels too, with the same results (docs/scaling.md).

    Example: focalloop calibrate --port /dev/ttyACM0 -o profile.json --correction correction.npz
    """
    if not ray:
        refuse_unused(["address"], "goes with --ray")
    if bool(captures) == bool(port):
        raise typer.BadParameter("give captures, or --port to take them now", param_hint="CAPTURE")
    for source in captures or ():
        check_exists(source, "CAPTURE")
    if captures:
        taking = ("design", "reads", "light", "board_sets_light", "keep", "baud", "wait")
        refuse_unused(taking, "goes with --port, for captures that are taken now")
    else:
        refuse_unused(("bits", "full_scale"), "is for images; a board names its own")
    if port and export_emva and design == "tiled":
        raise typer.BadParameter("--design tiled takes no whole images, which --export-emva needs")
    _check_writable(output, report, export_emva, keep, correction)

    from focalloop.host.captures.calibration_design import Design
    from focalloop.host.cli import board_memory
    from focalloop.host.cli.arguments import open_board
    from focalloop.host.cli.calibration_sources import read_files, take_captures
    from focalloop.host.cli.processors import cluster_for

    with scratch_folder() as scratch:
        if port:
            folder = keep or scratch / "capture"
            with open_board(port, baud, wait) as board:
                if remember:
                    board_memory.check_serial(board.info.serial)
                take_captures(
                    board, folder, Design(design), reads, light, board_sets_light, kept=bool(keep)
                )
            captures = [folder]

        def fit() -> Calibration:  # closes its files at its end: Windows removes no open file
            readings = read_files(captures or [], bits, full_scale, full_scale_error)
            name = "calibrated" if output is None else output.stem
            with cluster_for(ray, address) as cluster:
                result = _fit(readings, protocol, name, map if cluster is None else cluster.map)
            if export_emva is not None:
                _export(export_emva, readings, result)
            return result

        result = fit()
    pattern, kept = result.pattern, None
    if isinstance(pattern, FocalloopError) and (correction or remember):
        raise pattern
    if remember and not isinstance(pattern, FocalloopError):
        kept = board_memory.remember(result, pattern)
    _write(result, output, report, correction)
    if json:
        print_json(result.as_dict())
        return
    from focalloop.host.cli.views.calibration_report import print_calibration

    print_calibration(result)
    for path in (output, correction, report, export_emva, keep, kept):
        if path is not None:
            print_result(f"wrote {path}")


def _check_writable(
    output: Path | None,
    report: Path | None,
    export_emva: Path | None,
    keep: Path | None,
    correction: Path | None,
) -> None:
    """Find out now what would otherwise fail after minutes of captures."""
    given = [each.resolve() for each in (output, correction, report, export_emva, keep) if each]
    if len(set(given)) < len(given):
        twice = max(given, key=given.count)
        raise typer.BadParameter(f"{twice.name} is to be written twice: give each its own name")
    check_place(correction, "FILE", "--correction")
    check_place(report, "FILE", "--report")
    check_new(export_emva, "--export-emva")
    check_new(keep, "--keep")


def _fit(
    readings: Readings, protocol: Literal["default", "emva"], name: str, each: Each
) -> Calibration:
    from focalloop.calibration import Settings, calibrate as fit

    settings = Settings(protocol="weighted" if protocol == "default" else protocol, name=name)
    with activity("fitting"):
        return fit(readings, settings, each=each)


def _export(folder: Path, readings: Readings, result: Calibration) -> None:
    from focalloop.calibration.files.emva import EmvaScale, write_emva

    rate_hz = readings.origin.get("board", {}).get("slot_rate_hz") or 1 / NOMINAL_SLOT_S
    s_ss = result.profile.s_ss
    scale = EmvaScale(slot_s=1 / rate_hz, electrons_full_scale=1 / s_ss**2) if s_ss > 0 else None
    write_emva(folder, readings, scale)


def _write(
    result: Calibration, output: Path | None, report: Path | None, correction: Path | None
) -> None:
    """Write profile, report and correction, all or none."""
    from json import dumps

    from focalloop.firmware_sim.files import written_whole

    with ExitStack() as stack:
        if output is not None:
            profile = dumps(result.as_dict(), indent=2, allow_nan=False) + "\n"
            stack.enter_context(written_whole(output)).write_text(profile, encoding="utf-8")
        if report is not None:
            from focalloop.calibration.report.page import report_html

            page = report_html(result)
            stack.enter_context(written_whole(report)).write_text(page, encoding="utf-8")
        if correction is not None and not isinstance(result.pattern, FocalloopError):
            result.pattern.save(correction)
