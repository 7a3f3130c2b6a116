"""A folder of recordings, each known by its id, within a quota.

Deleted ones can be brought back for a while. The files are the truth: a note of a recording as a
whole and its pin are files beside it, and `RecordingIndex` only spares a list to open them all.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from focalloop.firmware_sim.files import written_whole
from focalloop.host.errors import RecordingError
from focalloop.host.recording.index import RecordingIndex, Version
from focalloop.host.recording.mcap_file import SUFFIX, UNFINISHED
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.recovery import recover_all
from focalloop.host.recording.summary import RecordingSummary, summary_of
from focalloop.host.recording.writer import DEFAULT_FLOOR_BYTES, DiskFullError

GRACE_S = 7 * 86400.0
"""How long a deleted recording can be brought back."""


_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_TRASH = "deleted"
_NOTE, _PIN = ".txt", ".pin"
"""Suffixes of files beside a recording, which itself is never changed."""


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
    pinned : bool
        Whether it is kept whatever the quota.
    """

    id: str
    summary: RecordingSummary | None
    problem: str = ""
    deleted_unix_s: float | None = None
    note: str | None = None
    pinned: bool = False


class RecordingStore:
    """The recordings of a folder, which is made with the first one; its files are the only truth.

    Any thread may call it.

    Parameters
    ----------
    folder : Path
        Where the recordings are. Files with other names than ids are left alone.
    grace_s : float, optional
        How long a deleted recording can be brought back.
    quota_bytes : int or None, optional
        Bytes that all of them may take, deleted ones and the one being written included;
        `make_room` keeps to it. By default any.
    floor_bytes : int, optional
        Free disk that is left to the rest of the machine.
    """

    def __init__(
        self,
        folder: Path,
        grace_s: float = GRACE_S,
        *,
        quota_bytes: int | None = None,
        floor_bytes: int = DEFAULT_FLOOR_BYTES,
    ) -> None:
        self.folder = folder
        self.grace_s = grace_s
        self.quota_bytes = quota_bytes
        self.floor_bytes = floor_bytes
        self._index = RecordingIndex(folder)
        self._known: dict[str, tuple[Version, RecordingSummary]] = {}
        self._lock = threading.Lock()
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
        with self._lock:
            known = self._known or self._index.summaries()
            paths = [*self._files(self.folder), *self._files(self.folder / _TRASH)]
            found = [self._stored(path, known) for path in paths]
            self._known = {
                each.id: (version, each.summary) for each, version in found if each.summary
            }
            new = {id_: each for id_, each in self._known.items() if known.get(id_) != each}
            self._index.update(new, known.keys() - self._known.keys())
        return sorted((each for each, _ in found), key=lambda each: each.id, reverse=True)

    def reindex(self) -> int:
        """Make the index anew from the files; return the number of recordings that can be read.

        Raises
        ------
        RecordingError
            The old one cannot be removed.
        """
        with self._lock:
            self._known = {}
            try:
                self._index.clear()
            except OSError as error:
                raise RecordingError(
                    f"{self._index.path} cannot be removed ({error.strerror}): remove it by hand"
                ) from None
        return sum(each.summary is not None for each in self.recordings())

    def make_room(self) -> tuple[str, ...]:
        """Remove the oldest recordings that are not pinned until quota and floor are kept to.

        Deleted ones go first. Without a quota nothing is removed. It touches no index, so that the
        thread of a recorder can call it.

        Returns
        -------
        tuple of str
            The ids of those that were removed, which cannot be brought back.

        Raises
        ------
        DiskFullError
            All that is left is pinned or being written, and there is still no room.
        """
        if self.quota_bytes is None:
            return ()
        removed: list[str] = []
        candidates = self._unpinned()
        while problem := self._no_room(self.quota_bytes):
            path = next(candidates, None)
            if path is None:
                raise DiskFullError(
                    f"there is no room for recordings in {self.folder}: {problem}, and what is "
                    "left is pinned or being written; unpin or move some, or raise the quota"
                )
            with suppress(OSError):
                self._remove(path)
                removed.append(path.stem)
        return tuple(removed)

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
        with written_whole(self.path(id_).with_suffix(_NOTE)) as partial:
            partial.write_text(text, encoding="utf-8")

    def pin(self, id_: str, pinned: bool = True) -> None:
        """Keep a recording whatever the quota, or no longer.

        Raises
        ------
        NoRecordingError
            There is none of this id, or it is deleted.
        WriteError
            The file that says so cannot be written.
        """
        pin = self.path(id_).with_suffix(_PIN)
        if not pinned:
            pin.unlink(missing_ok=True)
            return
        with written_whole(pin) as partial:
            partial.write_bytes(b"")

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
            for suffix in (_NOTE, _PIN):
                with suppress(FileNotFoundError):
                    path.with_suffix(suffix).rename(target.with_suffix(suffix))
        except OSError as error:
            raise RecordingError(f"{path.stem} cannot be moved ({error.strerror})") from None

    def _existing(self, folder: Path, id_: str) -> Path:
        path = folder / f"{id_}{SUFFIX}"
        if not _ID.fullmatch(id_) or not path.is_file():
            raise NoRecordingError("there is no such recording: it was deleted, or never there")
        return path

    def _files(self, folder: Path) -> list[Path]:
        return [path for path in folder.glob(f"*{SUFFIX}") if _ID.fullmatch(path.stem)]

    def _stored(
        self, path: Path, known: dict[str, tuple[Version, RecordingSummary]]
    ) -> tuple[StoredRecording, Version]:
        summary, problem, note, deleted_s, version = None, "", None, None, (0, 0)
        with suppress(OSError):  # a list without a note is better than none
            note = path.with_suffix(_NOTE).read_text(encoding="utf-8", errors="replace")
        try:
            state = path.stat()
            version = state.st_size, state.st_mtime_ns
            deleted_s = None if path.parent == self.folder else state.st_mtime
            if path.stem in known and known[path.stem][0] == version:
                summary = known[path.stem][1]
            else:
                with Recording(path) as recording:
                    summary = summary_of(recording)
        except (OSError, RecordingError) as error:
            problem = str(error)
        pinned = path.with_suffix(_PIN).exists()
        return StoredRecording(path.stem, summary, problem, deleted_s, note, pinned), version

    def _unpinned(self) -> Iterator[Path]:
        """Yield what may be removed to make room, deleted ones first, the oldest first."""
        for folder in (self.folder / _TRASH, self.folder):
            for path in sorted(self._files(folder)):
                if not path.with_suffix(_PIN).exists():
                    yield path

    def _no_room(self, quota_bytes: int) -> str:
        """Return why there is no room for more; empty if there is."""
        files = [*self._files(self.folder), *self._files(self.folder / _TRASH)]
        taken = 0
        for path in [*files, *self.folder.glob(f"*{SUFFIX}{UNFINISHED}")]:
            with suppress(OSError):  # removed or finished meanwhile
                taken += path.stat().st_size
        if taken >= quota_bytes:
            return f"they take {taken:,} bytes of a quota of {quota_bytes:,}"
        free = self.free_bytes
        return f"only {free:,} bytes of the disk are free" if free < self.floor_bytes else ""

    def _remove(self, path: Path) -> None:
        path.unlink()
        for suffix in (_NOTE, _PIN):
            path.with_suffix(suffix).unlink(missing_ok=True)

    def _purge(self) -> None:
        oldest_s = time.time() - self.grace_s
        for path in self._files(self.folder / _TRASH):
            with suppress(OSError):
                if path.stat().st_mtime < oldest_s:
                    self._remove(path)
