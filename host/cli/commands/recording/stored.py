"""``focalloop recording list``, ``pin``, ``unpin``, ``note`` and ``reindex``: a folder of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.host.cli.output import counted, print_json, print_result
from focalloop.host.cli.shared_options import JsonOption

if TYPE_CHECKING:
    from focalloop.host.recording.store import RecordingStore

_Folder = Annotated[
    Path | None,
    typer.Option(
        "--recordings",
        metavar="DIR",
        file_okay=False,
        exists=True,
        help="Folder of the recordings.",
        show_default="recordings in your data folder",
    ),
]
_Id = Annotated[
    str, typer.Argument(metavar="ID", help="A recording, as `recording list` names it.")
]


def list_(recordings: _Folder = None, json: JsonOption = False) -> None:
    """List the recordings of a folder.

    Example: focalloop recording list
    """
    found = _store(recordings).recordings()
    if json:
        print_json({"recordings": [asdict(each) for each in found]})
        return
    for each in found:
        summary = each.summary
        marks = [
            *(["pinned"] if each.pinned else []),
            *(["deleted"] if each.deleted_unix_s is not None else []),
            *([each.note.splitlines()[0]] if each.note else []),
        ]
        what = each.problem
        if summary is not None:
            missing = f", {summary.gaps} missing" if summary.gaps else ""
            windows = counted(summary.windows, "window")
            what = f"{windows} in {summary.seconds:.1f} s{missing}, {summary.bytes:,} bytes"
        print_result("  ".join([each.id, what, *marks]))


def pin(id_: _Id, recordings: _Folder = None, json: JsonOption = False) -> None:
    """Keep a recording whatever the quota of its folder.

    Example: focalloop recording pin 20260131T120000Z-0a1b2c
    """
    _store(recordings).pin(id_)
    _tell(json, id=id_, pinned=True)


def unpin(id_: _Id, recordings: _Folder = None, json: JsonOption = False) -> None:
    """Let the quota remove a recording again.

    Example: focalloop recording unpin 20260131T120000Z-0a1b2c
    """
    _store(recordings).pin(id_, False)
    _tell(json, id=id_, pinned=False)


def note(
    id_: _Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to note; empty for nothing.")],
    recordings: _Folder = None,
    json: JsonOption = False,
) -> None:
    """Note something of a recording as a whole.

    It takes the place of what was noted before.

    Example: focalloop recording note 20260131T120000Z-0a1b2c "lens 2, f/4"
    """
    _store(recordings).note(id_, text)
    _tell(json, id=id_, note=text)


def reindex(recordings: _Folder = None, json: JsonOption = False) -> None:
    """Make the index of a folder of recordings anew.

    The recordings are the truth, and nothing is lost without it: a list is then slow once.

    Example: focalloop recording reindex
    """
    store = _store(recordings)
    done = store.reindex()
    if json:
        print_json({"folder": str(store.folder), "recordings": done})
    else:
        print_result(f"indexed {counted(done, 'recording')} in {store.folder}")


def _tell(json: bool, **changed: str | bool) -> None:
    if json:
        print_json(changed)


def _store(folder: Path | None) -> RecordingStore:
    from focalloop.host.cli.preview_run import recordings_folder
    from focalloop.host.recording.store import RecordingStore

    return RecordingStore(folder or recordings_folder())
