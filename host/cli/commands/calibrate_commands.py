"""``focalloop calibrate``: a noise profile from captures, or from the board itself."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from json import dumps as to_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import DEFAULT_BAUD, Board
from focalloop.host.captures.calibrate import kind_of, read_sources
from focalloop.host.captures.calibration_design import Design, plan
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.cli import map_memory
from focalloop.host.cli.output import JsonFlag, console, emit_json, progress_bar, stdout
from focalloop.host.errors import CaptureError

if TYPE_CHECKING:
    from focalloop.calibration import Calibration, Readings

NOMINAL_SLOT_S = 1 / 240
"""Length of a slot, seconds, where a board has no clock of its own, as an emulator at full speed:
CRL's."""


class ProtocolName(StrEnum):
    """Values of ``--protocol``."""

    DEFAULT = "default"
    EMVA = "emva"


def register(app: typer.Typer) -> None:
    """Add ``focalloop calibrate``."""
    app.command("calibrate")(calibrate_command)


_BOARD = "From a board"
_FILES = "From images"


def calibrate_command(
    captures: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CAPTURE",
            help="Capture folders; or an EMVA 1288 descriptor; or a folder of TIFF stacks.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Noise profile to write, JSON."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Report to write, one HTML page.")
    ] = None,
    protocol: Annotated[
        ProtocolName,
        typer.Option(help="How to fit: by all levels and their weights, or as EMVA 1288 does."),
    ] = ProtocolName.DEFAULT,
    full_scale_error: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Relative standard uncertainty of the full scale."),
    ] = 0.0,
    export_emva: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to make: the reads as an EMVA 1288 descriptor."),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Take the captures now, from the board here.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    design: Annotated[
        Design,
        typer.Option(
            help="What to vary: the span, the light, or the span from pixel to pixel.",
            rich_help_panel=_BOARD,
        ),
    ] = Design.SPANS,
    reads: Annotated[
        int, typer.Option(min=2, help="Reads of every level, at least.", rich_help_panel=_BOARD)
    ] = 4,
    light: Annotated[
        list[float] | None,
        typer.Option(
            metavar="RADIANCE",
            help="Light in (0, 1], 1 filling a whole window; may be given several times.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    board_sets_light: Annotated[
        bool,
        typer.Option(
            "--board-sets-light",
            help="The board darkens and lights itself, as an emulated one: ask nobody.",
            rich_help_panel=_BOARD,
        ),
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the captures there.", rich_help_panel=_BOARD),
    ] = None,
    baud: Annotated[
        int,
        typer.Option(
            min=50, help="Line rate in bit/s, of real serial ports.", rich_help_panel=_BOARD
        ),
    ] = DEFAULT_BAUD,
    bits: Annotated[
        int | None,
        typer.Option(
            min=1, max=16, help="Bits of the converter, of TIFF stacks.", rich_help_panel=_FILES
        ),
    ] = None,
    full_scale: Annotated[
        float | None,
        typer.Option(
            metavar="DN",
            min=1,
            help="Codes from black to signal 1.0, of images. Default: to saturation.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Measure a sensor's noise, with confidence intervals, and write it as a noise profile.

    The captures are dark and flat reads; docs/calibration.md tells how to take them. With --port
    they are taken now. `focalloop emulate --profile FILE` runs with the result.

    Example: focalloop calibrate --port /dev/ttyACM0 -o profile.json --report report.html
    """
    if bool(captures) == bool(port):
        raise typer.BadParameter("give captures, or --port to take them now", param_hint="CAPTURE")
    if captures and (keep or light or board_sets_light):
        raise typer.BadParameter("--keep, --light and --board-sets-light go with --port")
    if port and (bits or full_scale):
        raise typer.BadParameter("--bits and --full-scale are for images; a board names its own")
    if port and export_emva and design is Design.TILED:
        raise typer.BadParameter("--design tiled takes no whole images, as --export-emva needs")
    _check_places(output, report)
    if export_emva is not None and export_emva.exists():
        raise CaptureError(f"{export_emva} exists already: choose another folder or remove it")
    with tempfile.TemporaryDirectory() as scratch:
        if port:
            folder = keep or Path(scratch) / "capture"
            with _open(port, baud) as board:
                _take(board, folder, design, reads, light, board_sets_light)
            captures = [folder]
        assert captures
        readings = _read(captures, bits, full_scale, full_scale_error)
        name = output.stem if output is not None else "calibrated"
        result = _fit(readings, protocol, name)
        if export_emva is not None:
            _export(export_emva, readings, result)
    document = result.as_dict()
    texts: dict[Path, str] = {}
    if output is not None:
        texts[output] = to_json(document, indent=2, allow_nan=False) + "\n"
    if report is not None:
        from focalloop.calibration.report.page import report_html

        texts[report] = report_html(result)
    _write(texts)
    if json:
        emit_json(document)
        return
    _tell(result)
    for path in (*texts, *([export_emva] if export_emva else []), *([keep] if keep else [])):
        stdout.print(f"wrote {path}", highlight=False, soft_wrap=True)


def _check_places(*paths: Path | None) -> None:
    """Find out now what would otherwise fail after minutes of captures."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            why = "is a folder" if path.is_dir() else f"is in no folder: make {path.parent} first"
            raise CaptureError(f"cannot write {path}: it {why}")


def _open(port: str, baud: int) -> Board:
    return Board.open(
        port, baud=baud, on_event=lambda text: console.print(text, highlight=False, soft_wrap=True)
    )


def _take(
    board: Board,
    folder: Path,
    design: Design,
    reads: int,
    lights: Sequence[float] | None,
    board_sets_light: bool,
) -> None:
    from focalloop.host.captures.calibration_capture import take

    steps = plan(board.info, design, reads, lights)
    by_board = board_sets_light or Feature.EMULATOR in board.info.features
    if not by_board and not (sys.stdin.isatty() and console.is_terminal):
        raise CaptureError(
            "somebody has to darken and light the sensor: run this on a terminal, or give "
            "--board-sets-light where the board does it"
        )
    active = board.status().map_hash
    with CaptureWriter(folder, board.info) as writer, progress_bar() as bar:
        task = bar.add_task("capturing", total=sum(step.windows for step in steps))
        take(
            board,
            steps,
            writer,
            lights_known=by_board or bool(lights),
            set_light=None if by_board else lambda light: _ask_for(light, board, bar),
            advance=lambda windows: bar.advance(task, windows),
        )
    if design is Design.TILED:
        before = map_memory.recall(active, board.info)
        if before is not None:
            board.upload(before)


def _ask_for(light: float, board: Board, bar: Progress) -> None:
    info = board.info
    wanted = (
        f"Light the sensor evenly, about {light:.3g} of full scale: near "
        f"{info.black_level_dn + light * info.full_scale_dn:.0f} DN at the longest span"
        if light
        else "Darken the sensor completely: lens cap on, lamp and room light off"
    )
    bar.stop()
    console.print(f"{wanted}; then press Enter. ", end="", highlight=False, soft_wrap=True)
    input()
    bar.start()


def _read(
    paths: Sequence[Path], bits: int | None, full_scale: float | None, relative_error: float
) -> Readings:
    kind = kind_of(paths[0]) if len(paths) == 1 else "capture"  # the only one that may be several
    if kind == "capture" and (bits or full_scale):
        raise typer.BadParameter("--bits and --full-scale are for images; captures name theirs")
    if kind == "emva" and bits:
        raise typer.BadParameter("--bits is for TIFF stacks; a descriptor names its own")
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None, visible=kind != "capture")
        return read_sources(
            *paths,
            bits=bits,
            full_scale_dn=full_scale,
            full_scale_relative_error=relative_error,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _fit(readings: Readings, protocol: ProtocolName, name: str) -> Calibration:
    from focalloop.calibration import Settings, calibrate

    settings = Settings(protocol="emva" if protocol is ProtocolName.EMVA else "weighted", name=name)
    with console.status("fitting"):
        return calibrate(readings, settings)


def _export(folder: Path, readings: Readings, result: Calibration) -> None:
    from focalloop.calibration.files.emva import EmvaScale, write_emva

    rate_hz = readings.origin.get("board", {}).get("slot_rate_hz") or 1 / NOMINAL_SLOT_S
    s_ss = result.profile.s_ss
    scale = EmvaScale(slot_s=1 / rate_hz, electrons_full_scale=1 / s_ss**2) if s_ss > 0 else None
    write_emva(folder, readings, scale)


def _write(texts: Mapping[Path, str]) -> None:
    """Write all of them or none: each under a temporary name, and then all renamed."""
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(written_whole(path)).write_text(text, encoding="utf-8")


def _tell(result: Calibration) -> None:
    from focalloop.calibration.report.charts import number
    from focalloop.calibration.report.verdict import verdict

    table = Table("estimate", "value", "95 % interval", "unit")
    for name, estimate in result.estimates.items():
        low, high = (number(end, 5) for end in estimate.ci95)
        table.add_row(name, number(estimate.value, 5), f"{low} … {high}", estimate.unit)
    stdout.print(table)
    found = verdict(result)
    colour = {"good": "green", "warn": "yellow", "bad": "red"}[found.mood]
    stdout.print(f"[bold {colour}]{escape(found.headline)}.[/]", highlight=False)
    for sentence in found.sentences:
        stdout.print(sentence, markup=False, highlight=False)
    for warning in result.warnings:
        stdout.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False)
