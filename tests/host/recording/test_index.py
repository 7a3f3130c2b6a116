"""The index: a list opens no file twice, and the files are right whatever became of the index."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from focalloop.host.errors import RecordingError
from focalloop.host.recording import store as store_module
from focalloop.host.recording.index import FILE
from focalloop.host.recording.recorder import Recorder
from focalloop.host.recording.store import RecordingStore
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.served import make_map


@pytest.fixture
def folder(tmp_path):
    """A folder of two recordings, that were listed once."""
    store = RecordingStore(tmp_path / "recordings")
    for _ in range(2):
        write_recording(store.new())
    store.recordings()
    return store.folder


@pytest.fixture
def opened(monkeypatch):
    """Paths of the recordings that are opened."""
    paths = []
    recording = store_module.Recording

    def opening(path):
        paths.append(path)
        return recording(path)

    monkeypatch.setattr(store_module, "Recording", opening)
    return paths


def test_another_program_lists_without_opening_them(folder, opened):
    (first, second) = RecordingStore(folder).recordings()
    assert opened == []
    assert [each.summary.windows for each in (first, second)] == [3, 3]
    assert first.summary.notes == ("made by hand",)


def test_what_is_new_or_changed_is_read_and_what_is_gone_forgotten(folder, opened):
    store = RecordingStore(folder)
    (gone, changed) = (store.path(each.id) for each in store.recordings())
    gone.unlink()
    changed.unlink()
    write_recording(changed, 7)
    write_recording(new := store.new())
    assert {each.id: each.summary.windows for each in store.recordings()} == {
        changed.stem: 7,
        new.stem: 3,
    }
    assert sorted(opened) == sorted([changed, new])
    with closing(sqlite3.connect(folder / FILE)) as index:
        rows = index.execute("select id from recordings order by id").fetchall()
    assert rows == [(each,) for each in sorted([changed.stem, new.stem])]


def garbage(path):
    path.write_bytes(b"this was an index once" * 1000)


def other_version(path):
    with closing(sqlite3.connect(path)) as index, index:
        index.execute("drop table recordings")
        index.execute("create table recordings (something text)")
        index.execute("pragma user_version = 99")


def other_rows(path):
    with closing(sqlite3.connect(path)) as index, index:
        index.execute("""update recordings set summary = '{"windows": 99}'""")


def no_rows(path):
    with closing(sqlite3.connect(path)) as index, index:
        index.execute("update recordings set summary = 'nothing'")


@pytest.mark.parametrize("damage", [garbage, other_version, other_rows, no_rows])
def test_an_index_that_is_damaged_is_made_anew(folder, opened, damage):
    for suffix in ("-wal", "-shm"):
        (folder / (FILE + suffix)).unlink(missing_ok=True)
    damage(folder / FILE)
    found = RecordingStore(folder).recordings()
    assert [each.summary.windows for each in found] == [3, 3]
    assert len(opened) == 2
    RecordingStore(folder).recordings()
    assert len(opened) == 2


def test_an_index_that_is_locked_or_no_file_is_done_without(folder, opened, monkeypatch):
    monkeypatch.setattr("focalloop.host.recording.index._WAIT_S", 0.0)
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as other:
        other.execute("pragma locking_mode = exclusive")
        other.execute("begin exclusive")
        assert len(RecordingStore(folder).recordings()) == 2
        # Nobody who records waits for it.
        store = RecordingStore(folder, quota_bytes=10**9, floor_bytes=0)
        path = store.new()
        with Recorder(path, BOARD, floor_bytes=0, make_room=store.make_room) as recorder:
            recorder.add(make_window(0, make_map()))
    assert recorder.state().problem == ""
    assert len(opened) == 2
    for file in folder.glob(f"{FILE}*"):
        file.unlink()
    (folder / FILE).mkdir()
    assert len(RecordingStore(folder).recordings()) == 3
    with pytest.raises(RecordingError, match=r"index.sqlite3 cannot be removed"):
        RecordingStore(folder).reindex()


def test_reindexing_reads_every_file(folder, opened):
    store = RecordingStore(folder)
    (broken := store.new()).write_bytes(b"nothing of it is left")
    assert store.reindex() == 2
    assert len(opened) == 3
    assert broken in opened
