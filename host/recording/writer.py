"""Writing a recording: an MCAP file in chunks of half a second, each on the disk before the next.

The file has the name ``NAME.mcap.unfinished`` until it is finished, and loses at most its last
chunk if its program, or the machine, goes down.
"""

from __future__ import annotations

import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.captures.capture import monotonic_epoch_s
from focalloop.host.errors import RecordingError
from focalloop.host.recording import messages
from focalloop.host.recording.mcap_file import SUFFIX, McapFile, new_mcap, sync_folder, unfinished
from focalloop.host.recording.messages import NS, Channel, RecordedReadout

CHUNK_NS = NS // 2
"""Time that a chunk holds. With the next window, and the time that a busy machine takes to bring it
to the disk, it stays below a second, which is lost at most."""

MAX_CHUNK_BYTES = 32 << 20
"""A chunk ends early when it holds this much, as it is compressed in memory."""

DEFAULT_FLOOR_BYTES = 512 << 20
"""Free disk at which a recording ends, so that the rest of the machine can go on."""

_PACKED_MAPS = 16
_ROOM_NS = 10 * NS
"""How often room is made for what is being recorded."""


class DiskFullError(RecordingError):
    """There is no room for more of a recording; what it holds is on the disk."""


class RecordingWriter:
    """Writes what comes from a board to a recording; one thread at a time may use it.

    Use it as a context: whatever ends the block, the file is finished. `add` takes what
    `focalloop.host.captures.writer.CaptureWriter.add` takes.

    Parameters
    ----------
    path : str or Path
        File to make, ``NAME.mcap``; it must not exist yet.
    board : HelloAnswer
        Board of the windows that do not say it themselves.
    floor_bytes : int, optional
        Free disk at which `DiskFullError` is raised.
    make_room : callable, optional
        Called every 10 s, and where the free disk is below the floor; raises `DiskFullError` if
        there is no room for more.
    pictures : bool, optional
        Add a picture of each window's light, which viewers of MCAP files show.

    Attributes
    ----------
    windows, gaps, bytes : int
        Windows written, windows known to be missing between them, and bytes on the disk.
    """

    def __init__(
        self,
        path: str | Path,
        board: HelloAnswer,
        *,
        floor_bytes: int = DEFAULT_FLOOR_BYTES,
        make_room: Callable[[], object] = lambda: None,
        pictures: bool = False,
    ) -> None:
        self.path = Path(path)
        self.windows = self.gaps = self.bytes = 0
        self._board = board
        self._floor_bytes = floor_bytes
        self._make_room = make_room
        self._pictures = pictures
        self._profile: bytes | None = None
        self._context: dict[Channel, bytes] = {}
        self._maps_in_chunk: set[bytes] = set()
        self._packed_maps: OrderedDict[bytes, bytes] = OrderedDict()
        self._packed_board: tuple[HelloAnswer, bytes] | None = None
        self._numbers: tuple[int, int] | None = None  # boot, and number of the next window
        self._sequences = dict.fromkeys(messages.CHANNELS, 0)
        self._chunk_began_ns = self._chunk_bytes = self._room_due_ns = 0
        # One offset for the whole file: its times grow even if the clock is set back.
        self._epoch_ns = int(monotonic_epoch_s() * NS)

    @property
    def unfinished(self) -> Path:
        """Name of the file while it is being written."""
        return unfinished(self.path)

    def __enter__(self) -> Self:
        """Make the file.

        Raises
        ------
        RecordingError
            It exists, is being written, or cannot be made.
        """
        if self.path.suffix != SUFFIX:
            raise RecordingError(f"a recording is named NAME{SUFFIX}, not {self.path.name}")
        if self.path.exists():
            raise RecordingError(f"{self.path} exists already: choose another name or remove it")
        try:
            self._file = McapFile(self.unfinished)
        except FileExistsError:
            raise RecordingError(
                f"{self.unfinished} is being written, or is left of a recording that was cut off: "
                f"choose another name, or finish it by `focalloop recording recover "
                f"{self.unfinished}`"
            ) from None
        except OSError as error:
            raise RecordingError(f"cannot write {self.path}: {error.strerror or error}") from error
        try:
            self._begin()
        except OSError as error:
            self._file.close()
            self.unfinished.unlink(missing_ok=True)
            raise RecordingError(f"cannot write {self.path}: {error.strerror or error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()

    def add(
        self,
        window: Window,
        *,
        light: float | None = None,
        gain: float | None = None,
        temperature_c: float | None = None,
        received_s: float | None = None,
    ) -> None:
        """Append a window, and whatever it takes to read it if the chunk does not have it yet.

        Parameters
        ----------
        window : Window
            Its codes must not change any more.
        light, gain, temperature_c : float, optional
            As in a capture.
        received_s : float, optional
            When it had arrived, on ``time.monotonic``; by default now.

        Raises
        ------
        DiskFullError
            The chunk that it completes has no room on the disk.
        """
        log_ns = self._log_ns(received_s)
        board = window.board or replace(
            self._board,
            bits=window.bits,
            black_level_dn=window.black_level_dn,
            full_scale_dn=window.full_scale_dn,
        )
        self._note_missing(board, window.number, log_ns)
        self._put_once(messages.BOARD, self._board_bytes(board), log_ns)
        if self._profile is not None:
            self._put_once(messages.PROFILE_CHANNEL, self._profile, log_ns)
        self._put_map(window.ratio_map if window.grid is None else window.grid[0], log_ns)
        conditions: dict[str, Any] = {"kind": window.kind.name.lower()}
        known = {"light": light, "gain": gain, "temperature_c": temperature_c}
        conditions |= {key: value for key, value in known.items() if value is not None}
        self._put_once(messages.CONDITIONS, messages.pack_json(conditions), log_ns)
        readout = RecordedReadout.of(window)
        ended_ns = self._epoch_ns + int(window.time_s * NS)
        self._put(messages.READOUT, readout.pack(), log_ns, max(0, ended_ns), window.number)
        self.windows += 1
        if self._pictures:
            from focalloop.host.recording.raw_image import light_picture

            picture = light_picture(window, ended_ns)
            self._put(messages.PICTURE, picture, log_ns, max(0, ended_ns), window.number)
        self._end_chunk_when_due(log_ns)

    def new_run(self) -> None:
        """Expect any window next: those between two streams are not missing."""
        self._numbers = None

    def add_gap(self, windows: int, at_s: float | None = None) -> None:
        """Note windows that had arrived and that the recorder had no room for."""
        if self._numbers is not None:
            self._numbers = self._numbers[0], self._numbers[1] + windows
        self._put_gap(windows, "recorder", self._log_ns(at_s))

    def add_event(
        self,
        text: str,
        level: str = "info",
        at_s: float | None = None,
        about: str = messages.ANYTHING,
    ) -> None:
        """Note a sentence for people, of level debug, info, warning or error."""
        log_ns = self._log_ns(at_s)
        self._put(messages.EVENT, messages.pack_event(log_ns, text, level, about), log_ns)

    def add_note(self, text: str, at_s: float | None = None) -> None:
        """Note what a person has to say."""
        self._put(messages.NOTE, messages.pack_json({"text": text}), self._log_ns(at_s))

    def add_state(self, state: dict[str, Any], at_s: float | None = None) -> None:
        """Note figures of the board, the link or the session, as a JSON object."""
        self._put(messages.STATE, messages.pack_json(state), self._log_ns(at_s))

    def add_profile(self, profile: NoiseProfile) -> None:
        """Note the noise of the board from here on."""
        self._profile = messages.pack_json(profile.as_dict())

    def add_correction(self, by: str, pattern: FixedPattern | None) -> None:
        """Note what corrects the reads from here on; what is recorded is never corrected."""
        document = {"by": by}
        if pattern is not None:
            document["pattern"] = messages.base64_text(pattern.encode())
        self._put(messages.CORRECTION, messages.pack_json(document), self._log_ns(None))

    def end_chunk_when_due(self) -> None:
        """Write the present chunk to the disk if it is old enough.

        Raises
        ------
        DiskFullError
            There is no room for it, or after it.
        """
        self._end_chunk_when_due(self._log_ns(None))

    def finish(self) -> None:
        """Write the last chunk and the index, and give the file its name.

        Raises
        ------
        DiskFullError
            There is no room for it; the file stays unfinished, and its whole chunks can be read.
        RecordingError
            It cannot be renamed.
        """
        if self._file.closed:
            return
        try:
            self._mcap.finish()  # type: ignore[no-untyped-call]
            self._file.sync()
            self.bytes = self._file.tell()
        except OSError as error:
            self._cut_off(error)
        self._file.close()
        try:
            self.unfinished.replace(self.path)
        except OSError as error:
            raise RecordingError(
                f"{self.unfinished} is finished, but cannot be renamed ({error.strerror or error})"
            ) from error
        sync_folder(self.path.parent)

    def _begin(self) -> None:
        self._mcap = new_mcap(cast("IO[bytes]", self._file))
        self._file.sync()
        sync_folder(self.path.parent)
        self.bytes = self._file.tell()

    def _log_ns(self, at_s: float | None) -> int:
        return self._epoch_ns + int((time.monotonic() if at_s is None else at_s) * NS)

    def _note_missing(self, board: HelloAnswer, number: int, log_ns: int) -> None:
        if self._numbers is not None and self._numbers[0] == board.boot_id:
            missing = number - self._numbers[1]
            if missing > 0:
                self._put_gap(missing, "line", log_ns, number)
        self._numbers = board.boot_id, number + 1

    def _put_gap(self, windows: int, reason: str, log_ns: int, before: int | None = None) -> None:
        self.gaps += windows
        document: dict[str, Any] = {"windows": windows, "reason": reason}
        if before is not None:
            document["before"] = before
        self._put(messages.GAP, messages.pack_json(document), log_ns)

    def _board_bytes(self, board: HelloAnswer) -> bytes:
        if self._packed_board is None or self._packed_board[0] != board:
            self._packed_board = board, messages.pack_board(board)
        return self._packed_board[1]

    def _put_map(self, ratio_map: RatioMap | AdaptiveMap, log_ns: int) -> None:
        """Put in a map that the chunk does not have yet."""
        key = ratio_map.hash()
        if key in self._maps_in_chunk:
            return
        if key not in self._packed_maps:
            self._packed_maps[key] = messages.pack_map(ratio_map)
        self._packed_maps.move_to_end(key)
        while len(self._packed_maps) > _PACKED_MAPS:
            self._packed_maps.popitem(last=False)
        self._put(messages.MAP, self._packed_maps[key], log_ns)
        self._maps_in_chunk.add(key)

    def _put_once(self, channel: Channel, data: bytes, log_ns: int) -> None:
        """Put in what holds for the readouts after it, unless it is what the chunk has last."""
        if self._context.get(channel) != data:
            self._context[channel] = data
            self._put(channel, data, log_ns)

    def _put(
        self,
        channel: Channel,
        data: bytes,
        log_ns: int,
        publish_ns: int | None = None,
        sequence: int | None = None,
    ) -> None:
        if not self._chunk_bytes:
            self._chunk_began_ns = log_ns
        if sequence is None:
            sequence = self._sequences[channel]
            self._sequences[channel] += 1
        publish_ns = log_ns if publish_ns is None else publish_ns
        self._mcap.add_message(channel.number, log_ns, data, publish_ns, sequence)
        self._chunk_bytes += len(data)

    def _end_chunk_when_due(self, now_ns: int) -> None:
        old = now_ns - self._chunk_began_ns >= CHUNK_NS
        if not self._chunk_bytes or not (old or self._chunk_bytes >= MAX_CHUNK_BYTES):
            return
        try:
            self._mcap.flush()  # type: ignore[no-untyped-call]
            self._file.sync()
        except OSError as error:
            self._cut_off(error)
        self.bytes = self._file.tell()
        self._chunk_bytes = 0
        self._context.clear()
        self._maps_in_chunk.clear()
        full = _free_bytes(self.path.parent) < self._floor_bytes
        if full or now_ns >= self._room_due_ns:
            self._room_due_ns = now_ns + _ROOM_NS
            self._make_room()
        if full and _free_bytes(self.path.parent) < self._floor_bytes:
            raise DiskFullError(
                f"the recording {self.path.name} ended, as less than {self._floor_bytes >> 20} MiB "
                "of the disk are free: make room, then record again"
            )

    def _cut_off(self, error: OSError) -> None:
        """Keep the whole chunks of a file that cannot be written any further."""
        self._file.cut(self.bytes)
        self._file.close()
        raise DiskFullError(
            f"the recording {self.path.name} ended ({error.strerror or error}); everything until "
            f"its last second is in {self.unfinished.name}: make room, then finish it by "
            "`focalloop recording recover`"
        ) from error


def _free_bytes(folder: Path) -> int:
    """Return the free disk of a folder; nothing if the folder is gone."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
