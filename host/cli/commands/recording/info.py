"""``focalloop recording info``: what a recording holds."""

from __future__ import annotations

from datetime import UTC, datetime

from focalloop.host.cli.output import activity, counted, print_json, print_result, print_warning
from focalloop.host.cli.shared_options import JsonOption, RecordingArgument


def info(file: RecordingArgument, json: JsonOption = False) -> None:
    """Say what a recording holds, and what of it is damaged.

    Example: focalloop recording info night.mcap
    """
    from focalloop.host.recording.messages import NS
    from focalloop.host.recording.recording import Recording
    from focalloop.host.recording.summary import summary_of

    with Recording(file) as recording:
        with activity(f"reading {file}"):
            damage = recording.check()
        summary = summary_of(recording)
        maps = [ratio_map.summary for ratio_map in recording.maps()]
        board = recording.board if len(recording) else None
    document = {
        "finished": recording.finished,
        "started": datetime.fromtimestamp(summary.start_ns / NS, UTC).isoformat("T", "seconds"),
        "seconds": summary.seconds,
        "bytes": summary.bytes,
        "windows": summary.windows,
        "gaps": summary.gaps,
        "events": summary.events,
        "notes": list(summary.notes),
        "board": None if board is None else {"name": board.name, "serial": board.serial},
        "maps": maps,
        "damage": list(damage),
    }
    if json:
        print_json(document)
        return
    for each in damage:
        print_warning(each)
    of = "" if board is None else f" of {board.name} ({board.serial or 'no serial number'})"
    missing = f", {counted(summary.gaps, 'window')} missing" if summary.gaps else ""
    lines = [
        f"{counted(summary.windows, 'window')}{of} in {summary.seconds:.1f} s{missing}",
        f"started {document['started']}, {summary.bytes:,} bytes",
        *(f"map: {text}" for text in maps),
        *(f"note: {text}" for text in summary.notes),
    ]
    print_result("\n".join(lines))
