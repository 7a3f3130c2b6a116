"""What a crash costs: of the machine, at any point, and of whatever the disk had not got yet."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings, strategies as st
from mcap.reader import make_reader

from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.noise import preset
from focalloop.host.recording import mcap_file, messages, recovery
from focalloop.host.recording.mcap_file import unfinished
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.recovery import recover, recover_all
from focalloop.host.recording.summary import summary_of
from focalloop.host.recording.timeline import timeline_of
from focalloop.host.recording.writer import RecordingWriter
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.served import make_map

MAP = make_map()
LOST_S = 1.0


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 40),
    rate_hz=st.sampled_from([3.75, 15, 60]),
    tail=st.sampled_from(["gone", "written", "zeros", "garbage"]),
    seed=st.randoms(use_true_random=False),
)
def test_what_was_not_synced_costs_a_second_at_most(tmp_path_factory, count, rate_hz, tail, seed):
    path = tmp_path_factory.mktemp("crash") / "a.mcap"
    synced = 0
    sync = mcap_file.McapFile.sync

    def synchronised(file):
        nonlocal synced
        sync(file)
        synced = file.tell()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mcap_file.McapFile, "sync", synchronised)
        with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
            for number in range(count):
                writer.add(make_window(number, MAP), received_s=1000 + number / rate_hz)
            crashed, on_disk = unfinished(path).read_bytes(), synced
    path.unlink()
    lost = len(crashed) - on_disk
    kept = {"gone": b"", "written": crashed[on_disk:], "zeros": bytes(lost)}
    rest = kept.get(tail, seed.randbytes(lost + 100))
    unfinished(path).write_bytes(crashed[:on_disk] + rest)
    with Recording(unfinished(path)) as recording:
        there = len(recording)
        assert len(list(recording.windows())) == there
    target, missing = recover(unfinished(path))
    assert missing
    with Recording(target) as recording:
        assert recording.check() == ()
        found = list(recording.windows())
    assert len(found) == there
    assert [each.number for each in found] == list(range(there))
    assert all(each.codes.tobytes() == make_window(each.number, MAP).codes.tobytes()
               for each in found)  # fmt: skip
    assert (count - there) / rate_hz <= LOST_S


def test_a_file_is_finished_where_it_is_and_as_other_programs_expect(tmp_path, monkeypatch):
    monkeypatch.setattr("focalloop.host.recording.writer.CHUNK_NS", 0)
    monkeypatch.setattr(recovery, "written_whole", None)  # it takes no second file
    write_recording(whole := tmp_path / "whole.mcap", 5)
    cut = whole.read_bytes()[:-1]
    with Recording(whole) as recording:
        expected = [(e.channel.topic, e.log_ns, e.data) for e in recording.entries()]
    path = tmp_path / "a.mcap"
    unfinished(path).write_bytes(cut)
    recover(unfinished(path))
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary.statistics.message_count == len(expected) + 1
        assert summary.statistics.chunk_count == len(summary.chunk_indexes)
        found = [(c.topic, m.log_time, m.data) for _, c, m in reader.iter_messages()]
        assert sorted(found[:-1]) == sorted(expected)
        assert json.loads(found[-1][2])["recovered"] is True
        windows = list(reader.iter_messages(topics=["/readout"]))
        assert [m.sequence for _, _, m in windows] == list(range(5))
        assert reader.get_header().profile == messages.PROFILE
    with Recording(path) as recording:
        assert recording.finished
        assert recording.check() == ()
        assert len(recording) == 5
        summary = summary_of(recording)
    assert (summary.windows, summary.recovered, summary.notes) == (5, True, ("made by hand",))


def test_a_name_that_was_not_on_the_disk_costs_nothing(tmp_path):
    windows = write_recording(tmp_path / "a.mcap")
    (tmp_path / "a.mcap").rename(tmp_path / "a.mcap.unfinished")
    ((target, missing),) = recover_all(tmp_path)
    assert missing == ()
    with Recording(target) as recording:
        assert len(recording) == len(windows)


def test_one_that_cannot_be_recovered_keeps_no_other_from_it(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_recording(path := tmp_path / f"{name}.mcap")
        os.truncate(path, path.stat().st_size - 1)
        path.rename(unfinished(path))
    finish, asked = recovery.finish, []

    def full_once(file, *rest):
        asked.append(file)
        if len(asked) == 1:
            raise OSError(28, "No space left on device")
        finish(file, *rest)

    monkeypatch.setattr(recovery, "finish", full_once)
    (failed, done) = recover_all(tmp_path)
    assert failed[0] == tmp_path / "a.mcap.unfinished"
    assert "No space left on device" in failed[1][0]
    assert failed[0].exists()
    assert done[0] == tmp_path / "b.mcap"
    assert [path for path, _ in recover_all(tmp_path)] == [tmp_path / "a.mcap"]


HOSTILE = (None, True, -1, 1 << 70, "\0", "é", [], {})


def mutations(document):
    """Every document with one value replaced, or left out."""
    yield from ([], "text", 7)
    for key in document:
        yield {name: value for name, value in document.items() if name != key}
        yield from ({**document, key: value} for value in HOSTILE)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A recording with a message in every channel of JSON."""
    path = tmp_path_factory.mktemp("sound") / "a.mcap"
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add_profile(preset("paper"))
        writer.add_correction("hand", draw_pattern("scamp5", MAP.shape, 1))
        for number in (0, 2):
            writer.add(make_window(number, MAP), light=0.5, gain=1.0, temperature_c=20.0)
        writer.add_event("something", "warning")
        writer.add_note("made by hand")
        writer.add_state({"link": {"resent": 1}})
    return path


@pytest.mark.parametrize("channel", [c for c in messages.CHANNELS if c.encoding == messages.JSON])
def test_messages_of_somebody_else_are_one_sentence(sound, monkeypatch, channel):
    """Intact chunks in which the messages of one channel are not what they should be."""
    entries_of = Recording._entries_of

    def replaced(recording, chunk):
        return [
            replace(entry, data=data) if entry.channel is channel else entry
            for entry in entries_of(recording, chunk)
        ]

    with Recording(sound) as recording:
        first = next(recording.entries(channel))
    monkeypatch.setattr(Recording, "_entries_of", replaced)
    for document in mutations(json.loads(first.data)):
        data = json.dumps(document).encode()
        with Recording(sound) as recording:
            for read in (
                recording.capture, recording.maps, recording.profile, recording.pattern,
                partial(summary_of, recording), partial(timeline_of, recording),
            ):  # fmt: skip
                with suppress(FocalloopError):
                    read()
