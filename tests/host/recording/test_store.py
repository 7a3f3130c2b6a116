"""The store: recordings by id, recovered, deleted and brought back."""

from __future__ import annotations

import os

import pytest

from focalloop.host.errors import RecordingError
from focalloop.host.recording import messages
from focalloop.host.recording.mcap_file import unfinished
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.store import NoRecordingError, RecordingStore
from focalloop.host.recording.timeline import timeline_of
from focalloop.host.recording.writer import RecordingWriter
from tests.support.made_windows import BOARD, write_recording


@pytest.fixture
def store(tmp_path):
    return RecordingStore(tmp_path / "recordings")


def test_an_empty_store_makes_no_folder(store):
    assert store.recordings() == []
    assert store.recover() == []
    assert store.free_bytes > 0
    assert not store.folder.exists()


def test_recordings_are_listed_by_id_and_deleted_ones_come_back(store):
    paths = sorted(store.new() for _ in range(2))
    for path in paths:
        write_recording(path)
    (store.folder / "mine.mcap").write_bytes(b"of somebody else")
    assert [each.id for each in store.recordings()] == [path.stem for path in reversed(paths)]
    (first, _) = store.recordings()
    assert (first.summary.windows, first.summary.notes) == (3, ("made by hand",))
    store.delete(first.id)
    with pytest.raises(NoRecordingError):
        store.open(first.id)
    assert [each.deleted_unix_s is not None for each in store.recordings()] == [True, False]
    store.restore(first.id)
    with store.open(first.id) as recording:
        assert recording.check() == ()
    with pytest.raises(NoRecordingError):
        store.restore(first.id)


def test_a_note_goes_with_its_recording(store):
    path = store.new()
    write_recording(path)
    store.note(path.stem, "too dark\nby far")
    store.delete(path.stem)
    assert [each.note for each in store.recordings()] == ["too dark\nby far"]
    store.restore(path.stem)
    store.note(path.stem, "")
    assert [each.note for each in store.recordings()] == [""]
    path.with_suffix(".txt").unlink()
    path.with_suffix(".txt").mkdir()  # nothing that can be read
    assert [each.note for each in store.recordings()] == [None]


def test_an_unreadable_recording_can_be_deleted(store):
    path = store.new()
    path.write_bytes(b"nothing of it is left")
    store.delete(path.stem)
    (found,) = store.recordings()
    assert found.problem
    assert found.deleted_unix_s is not None


def test_what_was_cut_off_is_told_as_recovered(store):
    path = store.new()
    write_recording(path)
    os.truncate(path, path.stat().st_size - 10)
    path.rename(unfinished(path))
    assert [name for name, _ in store.recover()] == [path.name]
    (found,) = store.recordings()
    assert found.summary.recovered
    assert found.summary.notes == ("made by hand",)
    with store.open(found.id) as recording:
        assert timeline_of(recording).marks[-1].text.startswith("Recovered: ")


def test_what_was_deleted_goes_when_its_grace_is_over(tmp_path):
    store = RecordingStore(tmp_path, grace_s=1000)
    path = store.new()
    write_recording(path)
    store.delete(path.stem)
    (trashed,) = tmp_path.glob("*/*.mcap")
    os.utime(trashed, (0, 0))
    assert store.recordings() == []
    assert not trashed.exists()


@pytest.mark.parametrize("id_", ["", "..", "../x", "mine", "20260131T120000Z-0a1b2c/../x", "\0"])
def test_what_is_no_id_is_no_recording(store, id_):
    write_recording(store.new())
    for call in (store.path, store.open, store.delete, store.restore, store.pin):
        with pytest.raises(NoRecordingError):
            call(id_)


def test_a_recording_that_cannot_be_read_says_so(store):
    path = store.new()
    path.write_bytes(b"nothing of it is left")
    ((found),) = store.recordings()
    assert found.summary is None
    assert "is no recording" in found.problem


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordingError, match="choose another folder"):
        RecordingStore(tmp_path / "file" / "recordings").new()


def test_a_timeline_tells_another_map_from_other_events(store):
    path = store.new()
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add_event("The board runs the ratio map.", about=messages.ABOUT_MAP)
        writer.add_event("The board is back.", "warning")
    with Recording(path) as recording:
        marks = timeline_of(recording).marks
    assert [(mark.kind, mark.level) for mark in marks] == [("map", "info"), ("event", "warning")]


def test_a_timeline_counts_by_the_second(store):
    path = store.new()
    write_recording(path, 5)
    with Recording(path) as recording:
        timeline = timeline_of(recording)
    assert sum(timeline.windows) == 5
    assert sum(timeline.events) == 1
    assert [(mark.kind, mark.text) for mark in timeline.marks] == [("note", "made by hand")]
