"""Reading a recording, finished or not, whole or damaged.

``docs/file-formats.md`` ("Recording") is the specification.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import board_facts
from focalloop.host.errors import RecordingError
from focalloop.host.recording import messages
from focalloop.host.recording.chunks import ChunkAt, Structure, messages_in, structure_of
from focalloop.host.recording.mcap_file import SCHEMA_VERSION, SUFFIX, UNFINISHED
from focalloop.host.recording.messages import CHANNELS, NS, Channel
from focalloop.host.recording.series import series_of
from focalloop.host.recording.window_reader import Entry, RecordedWindow, WindowReader
from focalloop.host.recording.writer import RecordingWriter

if TYPE_CHECKING:
    from focalloop.host.board.client import Board


def is_recording(path: str | Path) -> bool:
    """Return whether a path has the name of a recording, finished or not."""
    return Path(path).name.endswith((SUFFIX, SUFFIX + UNFINISHED))


class Recording:
    """A recording, whose windows are read when they are asked for.

    Use it as a context, or call `close`. What is damaged is left out and named in `damage`; the
    rest is as it was recorded.

    Parameters
    ----------
    path : str or Path
        A file that `RecordingWriter` wrote, finished or not.

    Raises
    ------
    RecordingError
        It is missing, no recording, or of a format to come.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file: BinaryIO = self.path.open("rb")
            self._structure: Structure = structure_of(self._file)
        except OSError as error:
            raise RecordingError(
                f"{self.path} cannot be read ({error.strerror or error}): check its name"
            ) from None
        try:
            self._check_format()
        except RecordingError:
            self._file.close()
            raise
        self._broken: set[ChunkAt] = set()
        self._reader = WindowReader()
        self._latest: tuple[ChunkAt, list[RecordedWindow | RecordingError]] | None = None

    @classmethod
    def take(cls, path: str | Path, board: Board, count: int = 1) -> Self:
        """Record windows of the scene from a board to a new file, and open it.

        Parameters
        ----------
        path : str or Path
            File to make, ``NAME.mcap``.
        board : Board
            An open board with a ratio map.
        count : int
            Number of windows.

        Raises
        ------
        RecordingError
            If the file exists, or cannot be written.
        BoardError, BoardLostError
            If the board refuses a request, or its connection is lost; what had come is kept.
        """
        with RecordingWriter(path, board.info) as writer:
            for window in board.stream(count=count):
                writer.add(window)
        return cls(path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __repr__(self) -> str:
        state = "" if self.finished else ", unfinished"
        return f"<Recording {str(self.path)!r}: {len(self)} windows{state}>"

    @property
    def finished(self) -> bool:
        """Whether the file has its end, so that nothing was cut off."""
        return self._structure.finished

    @property
    def start_ns(self) -> int:
        """Time of its first message, nanoseconds since 1970 UTC; 0 if it has none."""
        return self._structure.chunks[0].start_ns if self._structure.chunks else 0

    @property
    def end_ns(self) -> int:
        """Time of its last message."""
        return max((chunk.end_ns for chunk in self._structure.chunks), default=0)

    @property
    def damage(self) -> tuple[str, ...]:
        """What is missing of it, as far as it has been read; `check` reads all of it."""
        parts = []
        size = self.path.stat().st_size
        for begin, end in self._structure.damaged:
            if self.finished or end < size:  # otherwise it is what was cut off
                parts.append(f"bytes {begin:,} to {end:,} are damaged")
        for chunk in sorted(self._broken, key=lambda each: each.offset):
            lost = chunk.counts[messages.READOUT.number]
            what = f", with {lost} windows" if lost else ""
            at_s = (chunk.start_ns - self.start_ns) / NS
            for_s = (chunk.end_ns - chunk.start_ns) / NS
            parts.append(f"{for_s:.1f} s from {at_s:.1f} s on are damaged{what}")
        if not self.finished:
            parts.append(
                "it was cut off: a crash costs at most its last second, a copy that is not whole "
                "all that follows"
            )
        return tuple(parts)

    def check(self) -> tuple[str, ...]:
        """Read all of it; return `damage`."""
        for _ in self.entries():
            pass
        return self.damage

    def entries(self, *channels: Channel) -> Iterator[Entry]:
        """Yield the messages in the order of the file, of these channels or of all."""
        wanted = {channel.number for channel in channels or CHANNELS}
        for chunk in self._structure.chunks:
            if chunk.counts and not wanted & chunk.counts.keys():
                continue
            yield from (
                entry for entry in self._entries_of(chunk) if entry.channel.number in wanted
            )

    def chunks(self) -> Iterator[list[Entry]]:
        """Yield the messages of each intact chunk."""
        for chunk in self._structure.chunks:
            if entries := self._entries_of(chunk):
                yield entries

    def windows(self) -> Iterator[Window]:
        """Yield the windows in the order in which they were taken."""
        return (each.window for each in self.recorded_windows())

    def recorded_windows(self) -> Iterator[RecordedWindow]:
        """Yield the windows with their readouts and what was noted of their light."""
        for entries in self.chunks():
            yield from self._reader.windows(entries)

    def window(self, index: int) -> RecordedWindow:
        """Return one window by its place in the recording, from 0.

        Raises
        ------
        RecordingError
            There is none, or it is damaged.
        """
        if not 0 <= index < len(self):
            raise RecordingError(f"{self.path.name} has {len(self)} windows, and no window {index}")
        place = bisect_right(self._ends, index)
        before = self._ends[place - 1] if place else 0
        chunk = self._structure.chunks[place]
        if self._latest is None or self._latest[0] is not chunk:
            self._latest = chunk, list(self._reader.each(self._entries_of(chunk)))
        of_chunk = self._latest[1]
        if index - before >= len(of_chunk):
            raise RecordingError(f"window {index} of {self.path.name} is damaged")
        found = of_chunk[index - before]
        if isinstance(found, RecordingError):
            raise found
        return found

    @cached_property
    def board(self) -> HelloAnswer:
        """The board of its first window.

        Raises
        ------
        RecordingError
            It has no window.
        """
        for entry in self.entries(messages.BOARD):
            return messages.unpack_board(entry.data)
        raise RecordingError(f"{self.path} holds no windows")

    def profile(self) -> NoiseProfile | None:
        """Return the noise of the board as it was last known; None where it was not."""
        latest = self._latest_of(messages.PROFILE_CHANNEL)
        return None if latest is None else NoiseProfile.from_dict(latest)

    def pattern(self) -> FixedPattern | None:
        """Return the fixed pattern that corrected the reads last; None where none did."""
        latest = self._latest_of(messages.CORRECTION)
        return messages.unpack_pattern(latest) if latest and "pattern" in latest else None

    def maps(self) -> list[RatioMap | AdaptiveMap]:
        """Return every map that it holds, each once, in their order."""
        packed = dict.fromkeys(entry.data for entry in self.entries(messages.MAP))
        return [messages.unpack_map(data) for data in packed]

    def capture(self) -> Capture:
        """Return its windows as a capture, with a series for each run under the same conditions.

        The readouts are in a temporary file, and mapped into memory.
        """
        series = series_of(self.recorded_windows())
        return Capture(self.path, board_facts(self.board) if series else {}, series)

    @cached_property
    def _ends(self) -> list[int]:
        """Number of windows up to the end of each chunk."""
        number = messages.READOUT.number
        counts = []
        for chunk in self._structure.chunks:
            if not chunk.counts:
                entries = self._entries_of(chunk)
                chunk.counts.update(entry.channel.number for entry in entries)
                chunk.times_ns.extend((entry.channel.number, entry.log_ns) for entry in entries)
            counts.append(chunk.counts[number])
        return list(accumulate(counts))

    def times(self) -> Iterator[tuple[Channel, int]]:
        """Yield channel and log time of every message, by the index alone if there is one."""
        _ = self._ends
        for chunk in self._structure.chunks:
            for number, log_ns in chunk.times_ns:
                if 0 < number <= len(CHANNELS):
                    yield CHANNELS[number - 1], log_ns

    def _latest_of(self, channel: Channel) -> dict[str, Any] | None:
        """Return the last JSON message of a channel; None if it has none."""
        for chunk in reversed(self._structure.chunks):
            if not chunk.counts or channel.number in chunk.counts:
                for entry in reversed(self._entries_of(chunk)):
                    if entry.channel is channel:
                        return messages.unpack_json(channel, entry.data)
        return None

    def _entries_of(self, chunk: ChunkAt) -> list[Entry]:
        found = messages_in(self._file, chunk)
        if found is None:
            self._broken.add(chunk)
            return []
        return [
            Entry(
                CHANNELS[message.channel_id - 1],
                message.log_time,
                message.publish_time,
                message.sequence,
                message.data,
            )
            for message in found
            if 0 < message.channel_id <= len(CHANNELS)
        ]

    def _check_format(self) -> None:
        structure = self._structure
        if structure.profile not in (messages.PROFILE, None):
            raise RecordingError(
                f"{self.path} is an MCAP file of another program (profile "
                f"{structure.profile!r}): give one that focalloop recorded"
            )
        if structure.profile is None and not structure.chunks:
            raise RecordingError(f"{self.path} is no recording, or nothing of it is left")
        found = structure.metadata.get("schema_version", str(SCHEMA_VERSION))
        if found != str(SCHEMA_VERSION):
            raise RecordingError(
                f"{self.path} has schema version {found}, but this program reads "
                f"{SCHEMA_VERSION}: update focalloop"
            )
