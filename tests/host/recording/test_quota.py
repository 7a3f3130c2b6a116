"""The quota of a store: the oldest recordings that are not pinned make room."""

from __future__ import annotations

import pytest

from focalloop.host.recording import store as store_module
from focalloop.host.recording.mcap_file import unfinished
from focalloop.host.recording.recorder import Recorder
from focalloop.host.recording.store import RecordingStore
from focalloop.host.recording.writer import DiskFullError
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.served import make_map


@pytest.fixture
def ids(tmp_path, monkeypatch):
    """Ids of four recordings of the same size, from the oldest to the newest."""
    seconds = iter(range(10, 60))

    class Clock(store_module.datetime):
        @classmethod
        def now(cls, zone):
            return cls(2026, 1, 31, 12, 0, next(seconds), tzinfo=zone)

    monkeypatch.setattr(store_module, "datetime", Clock)
    paths = [RecordingStore(tmp_path).new() for _ in range(4)]
    for path in paths:
        write_recording(path)
    return [path.stem for path in paths]


def size_of(folder):
    return next(folder.glob("*.mcap")).stat().st_size


def left(folder):
    return sorted(path.stem for path in folder.glob("*.mcap"))


def test_without_a_quota_nothing_is_ever_removed(tmp_path, ids):
    store = RecordingStore(tmp_path, floor_bytes=1 << 62)
    assert store.make_room() == ()
    assert left(tmp_path) == ids


def test_the_oldest_that_are_not_pinned_go_first(tmp_path, ids):
    store = RecordingStore(tmp_path, quota_bytes=int(2.5 * size_of(tmp_path)), floor_bytes=0)
    store.pin(ids[0])
    store.note(ids[1], "to go")
    assert store.make_room() == (ids[1], ids[2])
    assert sorted(path.name for path in tmp_path.glob("*-*")) == [
        f"{ids[0]}.mcap", f"{ids[0]}.pin", f"{ids[3]}.mcap"
    ]  # fmt: skip
    assert {each.id: each.pinned for each in store.recordings()} == {ids[0]: True, ids[3]: False}
    assert store.make_room() == ()


def test_deleted_ones_go_before_all_others(tmp_path, ids):
    store = RecordingStore(tmp_path, quota_bytes=int(3.5 * size_of(tmp_path)), floor_bytes=0)
    store.delete(ids[3])
    assert store.make_room() == (ids[3],)
    assert left(tmp_path) == ids[:3]


def test_pinned_and_unfinished_ones_stay_and_a_sentence_says_so(tmp_path, ids):
    store = RecordingStore(tmp_path, quota_bytes=10, floor_bytes=0)
    for id_ in ids[:2]:
        store.pin(id_)
    store.path(ids[2]).rename(unfinished(store.path(ids[2])))
    with pytest.raises(DiskFullError, match="of a quota of 10, and what is left is pinned"):
        store.make_room()
    assert left(tmp_path) == ids[:2]
    assert unfinished(tmp_path / f"{ids[2]}.mcap").exists()
    store.pin(ids[0], False)
    with pytest.raises(DiskFullError):
        store.make_room()
    assert left(tmp_path) == ids[1:2]


def test_with_a_quota_the_floor_of_the_disk_is_kept_to_as_well(tmp_path, ids, monkeypatch):
    store = RecordingStore(tmp_path, quota_bytes=10**9, floor_bytes=1000)
    freed = property(lambda store: 400 * (4 - len(left(tmp_path))))
    monkeypatch.setattr(RecordingStore, "free_bytes", freed)
    assert store.make_room() == tuple(ids[:3])


def test_a_pin_goes_with_its_recording(tmp_path, ids):
    store = RecordingStore(tmp_path)
    store.pin(ids[0])
    store.delete(ids[0])
    assert [each.pinned for each in store.recordings() if each.deleted_unix_s] == [True]
    store.restore(ids[0])
    assert [each.id for each in store.recordings() if each.pinned] == [ids[0]]


def test_room_is_made_while_recording_and_a_recording_ends_where_none_is_left(
    tmp_path, ids, monkeypatch
):
    monkeypatch.setattr("focalloop.host.recording.writer.CHUNK_NS", 0)
    monkeypatch.setattr("focalloop.host.recording.writer._ROOM_NS", 0)
    size = size_of(tmp_path)
    store = RecordingStore(tmp_path, quota_bytes=5 * size, floor_bytes=0)
    store.pin(ids[3])
    path, ratio_map = store.new(), make_map()
    with Recorder(path, BOARD, floor_bytes=0, make_room=store.make_room) as recorder:
        for number in range(1000):
            recorder.add(make_window(number, ratio_map))
            if not recorder.state().recording:
                break
    assert left(tmp_path) == [ids[3], path.stem]
    assert "what is left is pinned or being written" in recorder.state().problem
    assert 3 * size < path.stat().st_size < 7 * size
    with store.open(path.stem) as recording:
        assert recording.check() == ()
        assert recording.finished
