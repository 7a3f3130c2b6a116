"""Where `focalloop calibrate` gets its readings: taken from a board now, or read from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.progress import Progress

from focalloop.calibration.readings import Readings
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.captures.calibrate import kind_of, read_sources
from focalloop.host.captures.calibration_capture import take
from focalloop.host.captures.calibration_design import Design, plan
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.cli import map_memory
from focalloop.host.cli.interruption import Interruption, StoppedError
from focalloop.host.cli.output import console, print_warning, progress_bar
from focalloop.host.errors import CaptureError
from focalloop.host.recording.loading import load_windows
from focalloop.host.recording.recording import is_recording
from focalloop.host.recording.writer import RecordingWriter


def take_captures(
    board: Board,
    folder: Path,
    design: Design,
    reads: int,
    lights: Sequence[float] | None,
    board_sets_light: bool,
    *,
    kept: bool,
) -> None:
    """Take the captures of a design into a folder or recording; the board then runs its old map.

    A person at the terminal is asked to darken and light the sensor, unless the board does that
    itself.

    Raises
    ------
    CaptureError
        Somebody has to set the light, and there is no terminal.
    StoppedError
        Ctrl-C ended it; `folder` holds what was whole, and stays if it is `kept`.
    """
    steps = plan(board.info, design, reads, lights)
    by_board = board_sets_light or Feature.EMULATOR in board.info.features
    if not by_board and not (sys.stdin.isatty() and console.is_terminal):
        raise CaptureError(
            "somebody has to darken and light the sensor: run this in a terminal, or give "
            "--board-sets-light if the board does it"
        )
    active = board.status().map_hash
    makes = RecordingWriter if is_recording(folder) else CaptureWriter
    with makes(folder, board.info) as writer, progress_bar() as bar:
        total = sum(step.windows for step in steps)
        task = bar.add_task("capturing", total=total)
        done = 0

        def advance(windows: int) -> None:
            nonlocal done
            done += windows
            bar.advance(task, windows)

        with Interruption() as interruption:
            take(
                board,
                steps,
                writer,
                lights_known=by_board or bool(lights),
                set_light=None if by_board else lambda light: _ask_for(light, board, bar),
                advance=advance,
                step=interruption.step,
            )
        if not done:
            raise StoppedError("stopped before the first captures: nothing is kept")
    if design is Design.TILED:
        before = map_memory.recall(active, board.info)
        if before is not None:
            board.upload(before)
    if interruption.wanted:
        where = f"are kept in {folder}" if kept else "had come, and none is kept without --keep"
        raise StoppedError(f"stopped: {done} of {total} windows {where}")


def _ask_for(light: float, board: Board, bar: Progress) -> None:
    """Ask the person at the terminal for a light, and wait for Enter."""
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


def read_files(
    paths: Sequence[Path], bits: int | None, full_scale: float | None, relative_error: float
) -> Readings:
    """Read what a calibration is made from; parameters and errors as of `read_sources`."""
    sources = [load_windows(path, print_warning) if is_recording(path) else path for path in paths]
    kind = kind_of(sources[0]) if len(paths) == 1 else "capture"  # the only one that may be several
    if kind == "capture" and (bits or full_scale):
        raise typer.BadParameter("--bits and --full-scale are for images; captures name theirs")
    if kind == "emva" and bits:
        raise typer.BadParameter("--bits is for TIFF stacks; a descriptor names its own")
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None, visible=kind != "capture")
        return read_sources(
            *sources,
            bits=bits,
            full_scale_dn=full_scale,
            full_scale_relative_error=relative_error,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
