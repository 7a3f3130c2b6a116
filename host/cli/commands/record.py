"""``focalloop record``: everything that comes from a board, into one file."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.output import counted, print_json, print_notice, print_result, progress_bar
from focalloop.host.cli.shared_options import (
    DEFAULT_WAIT_S,
    BaudOption,
    JsonOption,
    PortOption,
    WaitOption,
    map_option,
    output_option,
)
from focalloop.host.link.port import DEFAULT_BAUD

if TYPE_CHECKING:
    from focalloop.firmware_sim.wire import HelloAnswer
    from focalloop.host.recording.recorder import Recorder

_STATE_S = 1.0
"""How often the counters of the link are recorded."""


def record(
    port: PortOption,
    output: Annotated[Path, output_option("New file to write, NAME.mcap.")],
    windows: Annotated[
        int | None,
        typer.Option(
            "--windows", "-n", metavar="N", min=1, help="End after N windows.", show_default="no"
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", min=0.1, help="End after S seconds.", show_default="no"),
    ] = None,
    map_: Annotated[
        str | None,
        map_option(
            "Ratio map to upload first: a file, a named tile, or a bundle's.",
            show_default="the board's own",
        ),
    ] = None,
    note: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A note at the beginning of the file.")
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures", help="Add a picture of each window, for Foxglove and other viewers."
        ),
    ] = False,
    baud: BaudOption = DEFAULT_BAUD,
    wait: WaitOption = DEFAULT_WAIT_S,
    json: JsonOption = False,
) -> None:
    """Record a board into one file, until Ctrl-C or as long as asked.

    The file is an MCAP file. Whatever happens to it or to this program, at most its last second is
    lost; `focalloop recording recover` finishes one that was cut off.

    Example: focalloop record --port /dev/ttyACM0 -o night.mcap --seconds 600
    """
    from focalloop.host.board.client import Board
    from focalloop.host.board.waiting import open_when_there
    from focalloop.host.cli import map_memory
    from focalloop.host.cli.arguments import active_map, load_map
    from focalloop.host.cli.interruption import Interruption
    from focalloop.host.live.board_report import link_state
    from focalloop.host.recording.mcap_file import SUFFIX
    from focalloop.host.recording.recorder import Recorder

    if output.suffix != SUFFIX or output.exists():
        why = "it exists already" if output.exists() else f"a recording is named NAME{SUFFIX}"
        raise typer.BadParameter(f"cannot write {output}: {why}", param_hint="--output")
    wanted = None if map_ is None else load_map(map_)
    recorder: Recorder | None = None

    def event(text: str) -> None:
        print_notice(text)
        if recorder is not None:
            recorder.add_event(text, "warning")

    def opened() -> Board:
        return Board.open(port, baud=baud, on_event=event)

    failure: FocalloopError | None = None
    with open_when_there(opened, wait, print_notice) as board:
        map_memory.remember(board.upload(wanted or active_map(board)))
        recorder = Recorder(output, board.info, pictures=pictures)
        with recorder, progress_bar() as bar:
            if note:
                recorder.add_note(note)
            _describe(recorder, board.info)
            task = bar.add_task("recording", total=windows)
            ends_s = time.monotonic() + (seconds or float("inf"))
            state_due_s = 0.0
            try:
                with Interruption() as interruption, closing(board.stream(count=windows)) as stream:
                    for window in stream:
                        with interruption.step():
                            recorder.add(window)
                            bar.advance(task)
                            if time.monotonic() >= state_due_s:
                                state_due_s = time.monotonic() + _STATE_S
                                recorder.add_state({"link": asdict(link_state(board))})
                        if time.monotonic() >= ends_s or not recorder.state().recording:
                            break
            except FocalloopError as error:
                failure = error
                recorder.add_event(str(error), "error")
    done = recorder.state()
    gaps = f", {counted(done.gaps, 'window')} missing" if done.gaps else ""
    kept = f"{counted(done.windows, 'window')} in {done.seconds:.1f} s, {done.bytes:,} bytes{gaps}"
    if done.problem:
        raise FocalloopError(f"{done.problem}; {kept}")
    if failure is not None:
        raise FocalloopError(f"{failure}; what had come is kept in {output}: {kept}") from failure
    if json:
        print_json({"output": str(output), **asdict(done)})
    else:
        print_result(f"wrote {output}: {kept}")


def _describe(recorder: Recorder, board: HelloAnswer) -> None:
    """Record what is kept of the board, which does not change what is recorded of its windows."""
    from focalloop.host.cli.board_memory import correction_for

    known = correction_for(board)
    if known.noise is not None:
        recorder.add_profile(known.noise)
    if known.correction is not None:
        recorder.add_correction(known.by, known.correction.pattern)
