"""``focalloop lab reindex``: the indices of a lab's recordings, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from focalloop.host.cli.output import counted, print_json, print_result
from focalloop.host.cli.shared_options import JsonOption


def reindex(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of the lab.")] = Path(
        "lab.toml"
    ),
    json: JsonOption = False,
) -> None:
    """Make the indices of a lab's recordings anew.

    The recordings are the truth, and nothing is lost without it: a list is then slow once. The lab
    may be running.

    Example: focalloop lab reindex lab.toml
    """
    from focalloop.host.cli.preview_run import recordings_folder
    from focalloop.host.lab.settings import load_settings
    from focalloop.host.recording.store import RecordingStore

    boards = load_settings(file, recordings_folder()).boards
    done = {
        name: RecordingStore(Path(board.recordings)).reindex() for name, board in boards.items()
    }
    if json:
        print_json({"boards": done})
        return
    for name, count in done.items():
        print_result(f"{name}: {counted(count, 'recording')}")
