"""Recordings: what was written is what is read, whatever happens to the file meanwhile."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from mcap.reader import make_reader

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.errors import RecordingError
from focalloop.host.recording import mcap_file, messages, writer as writer_module
from focalloop.host.recording.chunks import structure_of
from focalloop.host.recording.mcap_file import unfinished
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.recovery import recover, recover_all
from focalloop.host.recording.writer import DiskFullError, RecordingWriter
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.served import SHAPE, make_map

COLUMN = RatioMap.from_tile([[1, 2]], SHAPE)
ADAPTIVE = AdaptiveMap(COLUMN, np.array([[[1]], [[2]]]), 16)


def every_chunk_ends(monkeypatch):
    """Make each message end its chunk."""
    monkeypatch.setattr(writer_module, "CHUNK_NS", 0)


def adaptive_window(number, tile, kind):
    """A window of which every block takes one tile of `ADAPTIVE`."""
    grid = np.full(ADAPTIVE.grid_shape, tile)
    composed = (ADAPTIVE, ADAPTIVE.grid(grid).tobytes())
    return make_window(number, ADAPTIVE.compose(grid), kind=kind, grid=composed)


def same(found, expected):
    """Whether a window is the one that was recorded, to the bit."""
    return (
        found.number == expected.number
        and found.ratio_map == expected.ratio_map
        and found.kind == expected.kind
        and found.codes.dtype == expected.codes.dtype
        and found.codes.tobytes() == expected.codes.tobytes()
        and abs(found.time_s - expected.time_s) < 1e-2
    )


windows_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from(["map", "column", "grid", "other grid", "note", "event", "state", "gap"]),
        st.sampled_from([8, 12]),
        st.sampled_from(list(WindowKind)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(windows_of_any_kind, st.booleans(), st.booleans())
def test_any_messages_in_are_the_same_messages_out(tmp_path_factory, drawn, chunks, pictures):
    path = tmp_path_factory.mktemp("r") / "a.mcap"
    written, said = [], []
    with pytest.MonkeyPatch.context() as patch:
        if chunks:
            every_chunk_ends(patch)
        with RecordingWriter(path, BOARD, floor_bytes=0, pictures=pictures) as writer:
            for number, (what, bits, kind) in enumerate(drawn):
                if what in ("note", "event", "state"):
                    text = f"{what} {number}: ü"
                    said.append(text)
                    add = {"note": writer.add_note, "event": writer.add_event}
                    add.get(what, lambda text: writer.add_state({"text": text}))(text)
                    continue
                if what == "gap":
                    writer.add_gap(3)
                    continue
                if what in ("grid", "other grid"):
                    window = adaptive_window(number, int(what == "grid"), kind)
                else:
                    ratio_map = COLUMN if what == "column" else make_map()
                    window = make_window(number, ratio_map, bits, kind=kind)
                written.append(window)
                writer.add(window, light=0.25 if kind is WindowKind.FLAT else None)
    with Recording(path) as recording:
        assert recording.check() == ()
        assert recording.finished
        assert len(recording) == len(written)
        found = list(recording.recorded_windows())
        assert all(map(same, (each.window for each in found), written))
        for index, each in enumerate(found):
            assert each.light == (0.25 if each.window.kind is WindowKind.FLAT else None)
            assert recording.window(index).readout == each.readout
        texts = [
            document.get("text", document.get("message"))
            for document in (
                messages.unpack_json(entry.channel, entry.data)
                for entry in recording.entries(messages.NOTE, messages.EVENT, messages.STATE)
            )
        ]
        assert texts == said
        times = [entry.log_ns for entry in recording.entries()]
        assert times == sorted(times)
        pictures_found = sum(1 for _ in recording.entries(messages.PICTURE))
        assert pictures_found == len(written) * pictures


def test_a_clock_that_is_set_back_does_not_reach_the_file(tmp_path, monkeypatch):
    every_chunk_ends(monkeypatch)
    path = tmp_path / "a.mcap"
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        for number in range(3):
            writer.add(make_window(number, COLUMN))
            monkeypatch.setattr("time.time_ns", lambda: 0)
            monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.undo()
    with Recording(path) as recording:
        times = [entry.log_ns for entry in recording.entries()]
        assert times == sorted(times)
        assert 0 < recording.end_ns - recording.start_ns < 60 * messages.NS


def test_other_programs_read_it(tmp_path):
    path = tmp_path / "a.mcap"
    with RecordingWriter(path, BOARD, floor_bytes=0, pictures=True) as writer:
        writer.add_profile(preset("paper"))
        writer.add(make_window(0, make_map()))
        writer.add_event("the board is back", "warning")
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "focalloop"
        found = {c.topic: (s, m) for s, c, m in reader.iter_messages()}
    assert json.loads(found["/event"][1].data)["message"] == "the board is back"
    assert json.loads(found["/noise_profile"][1].data)["name"] == "paper"
    schema, message = found["/picture"]
    assert (schema.name, schema.encoding) == ("foxglove.RawImage", "protobuf")
    image = decoded(schema.data, message.data)
    assert (image.width, image.height, image.encoding) == (SHAPE[1], SHAPE[0], "mono8")
    assert len(image.data) == SHAPE[0] * SHAPE[1]


def decoded(schema, data):
    """A message of Protocol Buffers, by the schema in the file alone."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(schema).file:
        pool.Add(file)
    kind = pool.FindMessageTypeByName("foxglove.RawImage")
    return message_factory.GetMessageClass(kind).FromString(data)


def test_a_recording_is_a_capture_too(tmp_path):
    path = tmp_path / "a.mcap"
    dark = [make_window(n, COLUMN, kind=WindowKind.DARK) for n in (0, 1)]
    flat = [make_window(n, COLUMN, kind=WindowKind.FLAT) for n in (2, 3, 4)]
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        for window in dark:
            writer.add(window)
        for window in flat:
            writer.add(window, light=0.5)
    with Recording(path) as recording:
        capture = recording.capture()
    assert [(len(s), s.kind, s.light) for s in capture.series] == [
        (2, WindowKind.DARK, None),
        (3, WindowKind.FLAT, 0.5),
    ]
    assert capture.board["serial"] == "s"
    assert isinstance(capture.series[0].readouts, np.memmap)
    assert all(map(same, capture.windows(), [*dark, *flat]))


def test_windows_that_are_missing_are_noted(tmp_path):
    path = tmp_path / "a.mcap"
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        for number in (3, 4, 7):
            writer.add(make_window(number, COLUMN))
        writer.add_gap(2)
        writer.add(make_window(10, COLUMN))
        writer.new_run()
        writer.add(make_window(20, COLUMN))
        writer.add(replace(make_window(0, COLUMN), board=replace(BOARD, boot_id=2)))
        assert writer.gaps == 4
    with Recording(path) as recording:
        gaps = [
            messages.unpack_json(entry.channel, entry.data)
            for entry in recording.entries(messages.GAP)
        ]
    assert gaps == [
        {"windows": 2, "reason": "line", "before": 7},
        {"windows": 2, "reason": "recorder"},
    ]


class Chunked(tuple):
    """Bytes of a recording, and its windows."""

    def __repr__(self):
        return "Chunked()"  # Hypothesis would print all of it


@pytest.fixture(scope="module")
def chunked(tmp_path_factory):
    """A recording of 12 windows in chunks of one, as bytes, and its windows."""
    path = tmp_path_factory.mktemp("chunked") / "a.mcap"
    with pytest.MonkeyPatch.context() as patch:
        every_chunk_ends(patch)
        windows = write_recording(path, 12)
    return Chunked((path.read_bytes(), windows))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_flipped_file_gives_every_intact_chunk(tmp_path_factory, chunked, data):
    whole, windows = chunked
    damaged = bytearray(whole)
    flips = data.draw(st.lists(st.integers(8, len(whole) * 8 - 1), min_size=1, max_size=3))
    for bit in flips:
        damaged[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.mktemp("flipped") / "a.mcap"
    path.write_bytes(damaged)
    try:
        recording = Recording(path)
    except RecordingError:  # its header says that it is not one of these
        assert any(bit < 2000 for bit in flips)
        return
    with recording:
        damage = recording.check()
        found = list(recording.windows())
        assert len(found) >= len(windows) - len(set(flips))
        assert all(same(each, windows[each.number]) for each in found)
        if len(found) < len(windows):
            assert damage
        for index in range(len(recording)):
            with suppress(RecordingError):
                each = recording.window(index).window
                assert same(each, windows[each.number])
        recover(path, path.with_name("b.mcap"))
    with Recording(path.with_name("b.mcap")) as again:
        assert again.check() == ()
        assert [each.number for each in again.windows()] == [each.number for each in found]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_cut_file_loses_its_last_chunk_at_most(tmp_path_factory, chunked, data):
    whole, windows = chunked
    folder = tmp_path_factory.mktemp("cut")
    cut = data.draw(st.integers(8, len(whole)))
    path = folder / "a.mcap.unfinished"
    path.write_bytes(whole[:cut])
    chunks = structure_of(BytesIO(whole)).chunks
    try:
        recording = Recording(path)
    except RecordingError:
        assert cut < chunks[0].offset
        return
    with recording:
        found = list(recording.windows())
        assert all(map(same, found, windows))
        held = [chunk for chunk in chunks if chunk.offset + chunk.length <= cut]
        assert len(found) == sum(chunk.counts[messages.READOUT.number] for chunk in held)
        assert recording.finished == (cut == len(whole))
    target, missing = recover(path)
    assert target == folder / "a.mcap"
    assert not path.exists()
    assert bool(missing) == (cut < len(whole))
    with Recording(target) as again:
        assert again.check() == ()
        assert all(map(same, again.windows(), found))
        assert len(again) == len(found)


def test_a_recording_that_is_being_written_can_be_read_and_not_recovered(tmp_path):
    path = tmp_path / "a.mcap"
    with pytest.MonkeyPatch.context() as patch:
        every_chunk_ends(patch)
        with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
            writer.add(make_window(0, COLUMN))
            with Recording(unfinished(path)) as recording:
                assert len(list(recording.windows())) == 1
            with pytest.raises(RecordingError, match="is being written"):
                recover(unfinished(path))
            assert recover_all(tmp_path) == []
            with (
                pytest.raises(RecordingError, match="is being written"),
                RecordingWriter(path, BOARD),
            ):
                pass
    assert path.exists()
    with pytest.raises(RecordingError, match="exists already"), RecordingWriter(path, BOARD):
        pass


def test_a_full_disk_keeps_what_is_on_it(tmp_path, monkeypatch):
    every_chunk_ends(monkeypatch)
    path = tmp_path / "a.mcap"
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add(make_window(0, COLUMN))
        writer.add(make_window(1, COLUMN))
        full_after(monkeypatch, 100)
        with pytest.raises(DiskFullError, match=r"recording a.mcap ended \(No space left"):
            writer.add(make_window(2, COLUMN))
    monkeypatch.undo()
    assert recover_all(tmp_path)[0][0] == path
    with Recording(path) as recording:
        assert recording.check() == ()
        assert [window.number for window in recording.windows()] == [0, 1]


def full_after(monkeypatch, room):
    """Let the disk take `room` more bytes of recordings."""
    left = room

    def write(self, data):
        nonlocal left
        taken = bytes(data[:left])
        left -= len(taken)
        self._raw.write(taken)
        if len(taken) < len(data):
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(mcap_file.McapFile, "write", write)


def test_a_recording_ends_before_the_disk_is_full(tmp_path, monkeypatch):
    every_chunk_ends(monkeypatch)
    path = tmp_path / "a.mcap"
    with (
        pytest.raises(DiskFullError, match="MiB of the disk are free: make room"),
        RecordingWriter(path, BOARD, floor_bytes=1 << 62) as writer,
    ):
        writer.add(make_window(0, COLUMN))
    with Recording(path) as recording:
        assert recording.check() == ()
        assert len(recording) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no recording"),
        (b"something else entirely" * 100, "is no recording"),
        (b"\x89MCAP0\r\n", "is no recording"),
    ],
)
def test_other_files_are_refused(tmp_path, content, says):
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=says):
        Recording(path)
    with pytest.raises(RecordingError, match="check its name"):
        Recording(tmp_path / "nowhere.mcap")


def test_files_of_other_programs_and_of_formats_to_come_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.mcap"
    monkeypatch.setattr(messages, "PROFILE", "ros2")
    write_recording(path)
    monkeypatch.undo()
    with pytest.raises(RecordingError, match="of another program"):
        Recording(path)
    path.unlink()
    monkeypatch.setattr(mcap_file, "SCHEMA_VERSION", 2)
    write_recording(path)
    with pytest.raises(RecordingError, match="schema version 2"):
        Recording(path)


def test_a_plan_is_derived_from_the_recorded_map(tmp_path):
    write_recording(tmp_path / "a.mcap")
    with Recording(tmp_path / "a.mcap") as recording:
        plan = recording.window(0).window.plan
    np.testing.assert_array_equal(plan.pixel, ReadPlan.of(make_map()).pixel)
