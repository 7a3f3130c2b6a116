"""The recorder: nothing waits for its disk, and what it wrote survives its program."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading

import pytest

from focalloop.host.recording import messages
from focalloop.host.recording.mcap_file import unfinished
from focalloop.host.recording.recorder import Recorder
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.recovery import recover_all
from focalloop.host.recording.writer import RecordingWriter
from tests.support.made_windows import BOARD, make_window
from tests.support.served import make_map

MAP = make_map()


class Disk:
    """A disk that stands still until it is let go."""

    def __init__(self, monkeypatch):
        self.going = threading.Event()
        self.asked = threading.Event()
        add = RecordingWriter.add

        def slow(writer, *arguments, **options):
            self.asked.set()
            assert self.going.wait(30)
            add(writer, *arguments, **options)

        monkeypatch.setattr(RecordingWriter, "add", slow)


def test_a_full_queue_is_a_gap_and_no_pause(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    windows = [make_window(number, MAP) for number in range(10)]
    room = 3 * windows[0].codes.nbytes
    path = tmp_path / "a.mcap"
    with Recorder(path, BOARD, queue_bytes=room, floor_bytes=0) as recorder:
        recorder.add(windows[0])
        assert disk.asked.wait(30)  # it is out of the queue, and on its way
        for window in windows[1:]:
            recorder.add(window)
        assert recorder.state().gaps == 6
        recorder.add_note("still here")
        disk.going.set()
    state = recorder.state()
    assert (state.windows, state.gaps, state.recording, state.problem) == (4, 6, False, "")
    with Recording(path) as recording:
        assert [window.number for window in recording.windows()] == [0, 1, 2, 3]
        told = [
            (e.channel.topic, messages.unpack_json(e.channel, e.data))
            for e in recording.entries(messages.GAP, messages.NOTE)
        ]
    assert told == [
        ("/gap", {"windows": 6, "reason": "recorder"}),
        ("/note", {"text": "still here"}),
    ]


def test_after_a_gap_it_goes_on_without_counting_it_twice(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    path = tmp_path / "a.mcap"
    with Recorder(path, BOARD, queue_bytes=1, floor_bytes=0) as recorder:
        recorder.add(make_window(0, MAP))
        assert disk.asked.wait(30)
        recorder.add(make_window(1, MAP))  # one is always taken
        recorder.add(make_window(2, MAP))
        disk.going.set()
        while recorder.state().windows < 2:
            pass
        recorder.add(make_window(3, MAP))
    assert (recorder.state().windows, recorder.state().gaps) == (3, 1)


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path):
    said = []
    path = tmp_path / "a.mcap"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("focalloop.host.recording.writer.CHUNK_NS", 0)
        recorder = Recorder(path, BOARD, floor_bytes=1 << 62, on_problem=said.append)
        with recorder:
            recorder.add(make_window(0, MAP))
            while recorder.state().recording:
                pass
            recorder.add(make_window(1, MAP))
            recorder.add_event("the board goes on")
    assert "make room" in recorder.state().problem
    assert said == [recorder.state().problem]
    with Recording(path) as recording:
        assert recording.check() == ()
        assert len(recording) == 1


def test_a_folder_that_goes_ends_the_recording_and_nothing_else(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("focalloop.host.recording.writer.CHUNK_NS", 0)
        with Recorder(folder / "a.mcap", BOARD, floor_bytes=1) as recorder:
            shutil.rmtree(folder)
            recorder.add(make_window(0, MAP))
            while recorder.state().recording:
                pass
            recorder.add(make_window(1, MAP))
    assert "cannot be renamed" in recorder.state().problem


WRITER = """
import sys, time
from focalloop.host.recording import writer
writer.CHUNK_NS = 20_000_000
from focalloop.host.recording.recorder import Recorder
from tests.support.made_windows import BOARD, make_window
from tests.support.served import make_map
ratio_map = make_map()
with Recorder(sys.argv[1], BOARD, floor_bytes=0) as recorder:
    number = 0
    while True:
        recorder.add(make_window(number, ratio_map))
        number += 1
        time.sleep(0.002)
        print(recorder.state().windows, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 80])
def test_what_is_on_the_disk_survives_kill(tmp_path, lines):
    path = tmp_path / "a.mcap"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    with process:
        for _ in range(lines):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert unfinished(path).exists()
    ((target, missing),) = recover_all(tmp_path)
    assert target == path
    assert missing
    assert not unfinished(path).exists()
    with Recording(path) as recording:
        assert recording.check() == ()
        numbers = [window.number for window in recording.windows()]
        # A chunk takes 20 ms here, in which at most ten windows come; one more is on its way.
        assert len(numbers) >= told - 30
        assert numbers == list(range(len(numbers)))
