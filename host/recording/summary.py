"""A recording in a few figures."""

from __future__ import annotations

from dataclasses import dataclass

from focalloop.host.recording import messages
from focalloop.host.recording.messages import NS, unpack_json
from focalloop.host.recording.recording import Recording


@dataclass(frozen=True)
class RecordingSummary:
    """A recording in a few figures.

    Attributes
    ----------
    start_ns : int
        Time of its first message, nanoseconds since 1970 UTC; 0 if it has none.
    seconds : float
        From its first to its last message.
    bytes, windows, gaps, events : int
        Size of the file, windows, windows missing between them, and events.
    notes : tuple of str
        What people noted.
    finished : bool
        Whether nothing was cut off.
    recovered : bool
        Whether it was cut off and finished later.
    board : str
        Name of the board; empty if there is no window.
    simulated : bool
        Whether the board was emulated.
    window_s : float
        How long a window takes on the board; 0 if it is not paced.
    """

    start_ns: int
    seconds: float
    bytes: int
    windows: int
    gaps: int
    events: int
    notes: tuple[str, ...]
    finished: bool
    recovered: bool
    board: str
    simulated: bool
    window_s: float


def summary_of(recording: Recording) -> RecordingSummary:
    """Return the figures of a recording; of its chunks only a few are read."""
    gaps = (
        unpack_json(entry.channel, entry.data)["windows"]
        for entry in recording.entries(messages.GAP)
    )
    notes = [unpack_json(entry.channel, entry.data) for entry in recording.entries(messages.NOTE)]
    events = sum(channel is messages.EVENT for channel, _ in recording.times())
    board = recording.board if len(recording) else None
    paced = board is not None and board.slot_rate_hz > 0
    return RecordingSummary(
        start_ns=recording.start_ns,
        seconds=(recording.end_ns - recording.start_ns) / NS,
        bytes=recording.path.stat().st_size,
        windows=len(recording),
        gaps=sum(int(gap) for gap in gaps),
        events=events,
        notes=tuple(str(note["text"]) for note in notes if not note.get("recovered")),
        finished=recording.finished,
        recovered=any(note.get("recovered") for note in notes),
        board="" if board is None else board.name,
        simulated=board is not None and board.simulated,
        window_s=board.slots / board.slot_rate_hz if board is not None and paced else 0.0,
    )
