"""What the recordings of a folder hold, in an SQLite file, so that a list opens none of them.

The recordings are the truth. The index may be lost, damaged, locked or of another version at any
time: what it does not tell is read from the recordings again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path

from focalloop.host.recording.summary import RecordingSummary

FILE = "index.sqlite3"
"""Name of the index, in the folder of the recordings."""

Version = tuple[int, int]
"""Size of a recording in bytes and time of its last change, ns: of another, nothing is known."""

_SCHEMA_VERSION = 1
_TABLE = """
create table if not exists recordings (
    id text primary key, size integer not null, changed_ns integer not null, summary text not null
) without rowid
"""
_WAIT_S = 1.0
"""How long another program may have it locked."""

_log = logging.getLogger("focalloop.recording")


class RecordingIndex:
    """The index of a folder; nothing that happens to it is an error.

    Any thread and any process may use it. Only lists do: no recording waits for it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def summaries(self) -> dict[str, tuple[Version, RecordingSummary]]:
        """Return what is known, by the ids of the recordings; nothing if there is no index."""
        if not self.path.is_file():
            return {}
        found: dict[str, tuple[Version, RecordingSummary]] = {}

        def read(connection: sqlite3.Connection) -> None:
            for id_, size, changed_ns, text in connection.execute("select * from recordings"):
                if (summary := _unpacked(text)) is not None:
                    found[str(id_)] = (size, changed_ns), summary

        self._do(read)
        return found

    def update(
        self,
        known: Mapping[str, tuple[Version, RecordingSummary]],
        gone: Collection[str] = (),
    ) -> None:
        """Keep what was read of recordings, and forget those that are gone."""
        rows = [
            (id_, *version, json.dumps(asdict(summary)))
            for id_, (version, summary) in known.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("delete from recordings where id = ?", [(id_,) for id_ in gone])
            connection.executemany("insert or replace into recordings values (?, ?, ?, ?)", rows)

        if rows or gone:
            self._do(write)

    def clear(self) -> None:
        """Forget everything."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(FILE + suffix).unlink(missing_ok=True)

    def _do(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something in one transaction, if need be in a new file."""
        for _ in range(2):
            try:
                with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as connection:
                    _prepare(connection)
                    with connection:
                        work(connection)
                return
            except sqlite3.OperationalError as error:  # locked, read-only, or the disk is full
                _log.info("the index %s is not used (%s)", self.path, error)
                return
            except sqlite3.DatabaseError as error:  # damaged, or something else entirely
                _log.warning("the index %s is made anew (%s)", self.path, error)
                try:
                    self.clear()
                except OSError:
                    return


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table, also in place of one of another version."""
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    (version,) = connection.execute("pragma user_version").fetchone()
    with connection:
        if version != _SCHEMA_VERSION:
            connection.execute("drop table if exists recordings")
            connection.execute(f"pragma user_version = {_SCHEMA_VERSION}")
        connection.execute(_TABLE)


_FIELDS = {field.name for field in fields(RecordingSummary)}


def _unpacked(text: object) -> RecordingSummary | None:
    """Return a summary from its text; None if it is none of this version."""
    try:
        document = json.loads(str(text))
    except ValueError:
        return None
    if not isinstance(document, dict) or document.keys() != _FIELDS:
        return None
    return RecordingSummary(**{**document, "notes": tuple(document["notes"])})
