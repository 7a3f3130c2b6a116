"""What happened in a recording, second by second."""

from __future__ import annotations

from dataclasses import dataclass

from focalloop.host.recording import messages
from focalloop.host.recording.messages import NS, unpack_json
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.window_reader import Entry

MAX_MARKS = 1000
"""Events, notes and gaps that a timeline names; the counts per second are of all of them."""


@dataclass(frozen=True)
class Mark:
    """An event, a note or a gap."""

    at_s: float
    """Seconds from the start of the recording."""
    kind: str
    """``event``, ``note``, ``gap``, or ``map`` where the board runs another map from then on."""
    level: str
    """Of an event: debug, info, warning or error; info for the others."""
    text: str


@dataclass(frozen=True)
class Timeline:
    """A recording, second by second."""

    start_unix_s: float
    seconds: float
    windows: tuple[int, ...]
    """Windows that were recorded in each second."""
    events: tuple[int, ...]
    """Events, notes and gaps in each second."""
    marks: tuple[Mark, ...]
    """The first `MAX_MARKS` of them."""


def timeline_of(recording: Recording) -> Timeline:
    """Return the timeline of a recording."""
    start_ns = recording.start_ns
    count = (recording.end_ns - start_ns) // NS + 1
    windows, events = [0] * count, [0] * count
    for channel, log_ns in recording.times():
        second = min(max(0, (log_ns - start_ns) // NS), count - 1)
        if channel is messages.READOUT:
            windows[second] += 1
        elif channel in (messages.EVENT, messages.NOTE, messages.GAP):
            events[second] += 1
    marks = []
    for entry in recording.entries(messages.EVENT, messages.NOTE, messages.GAP):
        marks.append(mark_of(entry, start_ns))
        if len(marks) == MAX_MARKS:
            break
    return Timeline(
        start_unix_s=start_ns / NS,
        seconds=(recording.end_ns - start_ns) / NS,
        windows=tuple(windows),
        events=tuple(events),
        marks=tuple(marks),
    )


def mark_of(entry: Entry, start_ns: int) -> Mark:
    """Return an event, a note or a gap from its message."""
    document = unpack_json(entry.channel, entry.data)
    at_s = (entry.log_ns - start_ns) / NS
    if entry.channel is messages.NOTE:
        return Mark(at_s, "note", "info", str(document.get("text", "")))
    if entry.channel is messages.GAP:
        what = "did not arrive" if document.get("reason") == "line" else "had no room"
        return Mark(at_s, "gap", "info", f"{document.get('windows')} windows {what}")
    names = {number: name for name, number in messages.LEVELS.items()}
    level = names.get(int(document.get("level", 2)), "info")
    kind = "map" if document.get("name") == messages.ABOUT_MAP else "event"
    return Mark(at_s, kind, level, str(document.get("message", "")))
