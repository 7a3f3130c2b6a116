"""A folder of recordings, each known by its id; deleted ones can be brought back for a while."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from focalloop.firmware_sim.files import written_whole
from focalloop.host.errors import RecordingError
from focalloop.host.recording.mcap_file import SUFFIX
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.recovery import recover_all
from focalloop.host.recording.summary import RecordingSummary, summary_of

GRACE_S = 7 * 86400.0
"""How long a deleted recording can be brought back."""

_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_TRASH = "deleted"
_NOTE_SUFFIX = ".txt"
"""Beside a recording, which itself is never changed."""


class NoRecordingError(RecordingError):
    """There is no recording of this id."""


@dataclass(frozen=True)
class StoredRecording:
    """A recording of a store.

    Attributes
    ----------
    id : str
        When it was begun, UTC, and a random part: ``20260131T120000Z-0a1b2c``.
    summary : RecordingSummary or None
        What it holds; None if it cannot be read.
    problem : str
        Why it cannot be read.
    deleted_unix_s : float or None
        When it was deleted; None if it was not.
    note : str or None
        What was noted of it as a whole afterwards; None if nothing was.
    """

    id: str
    summary: RecordingSummary | None
    problem: str = ""
    deleted_unix_s: float | None = None
    note: str | None = None


class RecordingStore:
    """The recordings of a folder, which is made with the first one; its files are the only truth.

    Any thread may call it.

    Parameters
    ----------
    folder : Path
        Where the recordings are. Files with other names than ids are left alone.
    grace_s : float, optional
        How long a deleted recording can be brought back.
    """

    def __init__(self, folder: Path, grace_s: float = GRACE_S) -> None:
        self.folder = folder
        self.grace_s = grace_s
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[tuple[int, int], RecordingSummary]] = {}
        self._purge()

    @property
    def free_bytes(self) -> int:
        """Free disk where the folder is, or will be."""
        there = next(
            each for each in (self.folder, *self.folder.absolute().parents) if each.exists()
        )
        return shutil.disk_usage(there).free

    def recover(self) -> list[tuple[str, tuple[str, ...]]]:
        """Finish what was cut off; return the names of the files with what is missing in each."""
        return [(path.name, missing) for path, missing in recover_all(self.folder)]

    def new(self) -> Path:
        """Return the file of a recording that begins now.

        Raises
        ------
        RecordingError
            The folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(
                f"cannot keep recordings in {self.folder} ({error.strerror}): choose another folder"
            ) from None
        begun = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return self.folder / f"{begun}-{secrets.token_hex(3)}{SUFFIX}"

    def recordings(self) -> list[StoredRecording]:
        """Return what there is and what was deleted, the newest first; none being written."""
        self._purge()
        present = [self._stored(path) for path in self._files(self.folder)]
        deleted = [self._stored(path) for path in self._files(self.folder / _TRASH)]
        return sorted(present + deleted, key=lambda each: each.id, reverse=True)

    def path(self, id_: str) -> Path:
        """Return the file of a recording.

        Raises
        ------
        NoRecordingError
            There is none of this id, or it is deleted.
        """
        return self._existing(self.folder, id_)

    def open(self, id_: str) -> Recording:
        """Open a recording; errors as of `path` and of `Recording`."""
        return Recording(self.path(id_))

    def note(self, id_: str, text: str) -> None:
        """Note something of a recording as a whole, in place of what was noted before.

        Raises
        ------
        NoRecordingError
            There is none of this id, or it is deleted.
        WriteError
            The note cannot be written.
        """
        with written_whole(self.path(id_).with_suffix(_NOTE_SUFFIX)) as partial:
            partial.write_text(text, encoding="utf-8")

    def delete(self, id_: str) -> None:
        """Delete a recording; `restore` brings it back until it is older than the grace."""
        path = self.path(id_)
        os.utime(path)  # from now on
        self._move(path, self.folder / _TRASH / path.name)

    def restore(self, id_: str) -> None:
        """Bring a deleted recording back.

        Raises
        ------
        NoRecordingError
            No recording of this id is deleted.
        """
        path = self._existing(self.folder / _TRASH, id_)
        self._move(path, self.folder / path.name)

    def _move(self, path: Path, target: Path) -> None:
        try:
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            with suppress(FileNotFoundError):
                path.with_suffix(_NOTE_SUFFIX).rename(target.with_suffix(_NOTE_SUFFIX))
        except OSError as error:
            raise RecordingError(f"{path.stem} cannot be moved ({error.strerror})") from None

    def _existing(self, folder: Path, id_: str) -> Path:
        path = folder / f"{id_}{SUFFIX}"
        if not _ID.fullmatch(id_) or not path.is_file():
            raise NoRecordingError("there is no such recording: it was deleted, or never there")
        return path

    def _files(self, folder: Path) -> list[Path]:
        return [path for path in folder.glob(f"*{SUFFIX}") if _ID.fullmatch(path.stem)]

    def _stored(self, path: Path) -> StoredRecording:
        summary, problem, note, deleted_s = None, "", None, None
        with suppress(FileNotFoundError):
            note = path.with_suffix(_NOTE_SUFFIX).read_text(encoding="utf-8", errors="replace")
        try:
            state = path.stat()
            deleted_s = None if path.parent == self.folder else state.st_mtime
            summary = self._summary(path, (state.st_size, state.st_mtime_ns))
        except (OSError, RecordingError) as error:
            problem = str(error)
        return StoredRecording(path.stem, summary, problem, deleted_s, note)

    def _summary(self, path: Path, version: tuple[int, int]) -> RecordingSummary:
        with self._lock:
            known = self._known.get(path)
        if known is None or known[0] != version:
            with Recording(path) as recording:
                known = version, summary_of(recording)
            with self._lock:
                self._known[path] = known
        return known[1]

    def _purge(self) -> None:
        oldest_s = time.time() - self.grace_s
        for path in self._files(self.folder / _TRASH):
            with suppress(OSError):
                if path.stat().st_mtime < oldest_s:
                    path.unlink()
                    path.with_suffix(_NOTE_SUFFIX).unlink(missing_ok=True)
