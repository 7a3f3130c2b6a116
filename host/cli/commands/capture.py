"""``focalloop capture``: windows from a board into a folder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.output import counted, print_json, print_result, progress_bar
from focalloop.host.cli.shared_options import (
    DEFAULT_WAIT_S,
    BaudOption,
    JsonOption,
    PortOption,
    WaitOption,
    check_new,
    map_option,
    output_option,
)
from focalloop.host.link.port import DEFAULT_BAUD


def capture(
    port: PortOption,
    output: Annotated[Path, output_option("New folder to write.", "DIR")],
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=1, help="Windows to capture.")
    ] = 1,
    map_: Annotated[
        str | None,
        map_option(
            "Ratio map to upload first: a file, a named tile, or a bundle's.",
            show_default="the board's own",
        ),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    wait: WaitOption = DEFAULT_WAIT_S,
    json: JsonOption = False,
) -> None:
    """Capture windows from a board into a folder.

    Example: focalloop capture --port /dev/ttyACM0 -o night -n 100
    """
    check_new(output, "--output")
    from focalloop.host.captures.writer import CaptureWriter
    from focalloop.host.cli import map_memory
    from focalloop.host.cli.arguments import active_map, load_map, open_board
    from focalloop.host.cli.interruption import Interruption, StoppedError

    wanted = None if map_ is None else load_map(map_)
    done, failure = 0, None
    try:
        with (
            open_board(port, baud, wait) as board,
            CaptureWriter(output, board.info) as writer,
            progress_bar() as bar,
        ):
            active = board.upload(wanted or active_map(board))
            map_memory.remember(active)
            task = bar.add_task("capturing", total=count)
            try:
                with Interruption() as interruption, closing(board.stream(count=count)) as stream:
                    for window in stream:
                        with interruption.step():
                            writer.add(window)
                            done += 1
                            bar.advance(task)
            except FocalloopError as error:
                if not done:
                    raise
                failure = error
            if not done:
                raise KeyboardInterrupt
            stats = board.stats
    except KeyboardInterrupt:
        raise StoppedError("stopped: nothing is kept") from None
    kept = f"{done} of {count} windows had come, and are kept in {output}"
    if failure is not None:
        raise FocalloopError(f"{failure}; {kept}") from failure
    if json:
        print_json(
            {
                "output": str(output),
                "windows": done,
                "lost": stats.lost,
                "lost_windows": list(stats.lost_windows),
                "reconnects": stats.reconnects,
                "map_hash": active.hash_hex,
                "reads_per_window": window.plan.count,
                "bits": window.bits,
                "bad_frames": stats.frames_bad,
                "goodput_bytes_per_s": stats.goodput_bytes_per_s,
            }
        )
    else:
        lost = f", {stats.lost} lost on the line" if stats.lost else ""
        print_result(
            f"wrote {output}: {counted(done, 'window')} of {window.plan.count:,} reads{lost}"
        )
    if interruption.wanted:
        raise StoppedError(f"stopped: {kept}")
