"""Windows of the virtual board: captured, streamed, resent, paced, in bounded memory.

What it must do as every board does is asked of it in
``tests/firmware_sim/reference_firmware/test_windows.py``.
"""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.wire import BoardState, ErrorCode, Frame, MessageType, WindowKind
from tests.support.board_bench import (
    SHAPE,
    SLOTS,
    Bench,
    CountingScene,
    aperture_map,
    capture,
    credit,
    expected_readout,
    resend,
    stream,
    tile_map,
)


class TestWindows:
    @pytest.mark.parametrize("max_payload", [256, 1024, 32768])
    def test_capture_sends_the_windows_in_read_plan_order(self, max_payload: int) -> None:
        bench = Bench()
        bench.hello(max_payload)
        ratio_map = aperture_map()
        bench.upload(ratio_map)
        bench.take_logs()
        bench.ask(MessageType.ARM)
        assert bench.status().state == BoardState.ARMED
        first = wire.WindowNumber.unpack(bench.ask(*capture(3))).window
        assert max(len(frame.body) for frame in bench.unasked) <= max_payload
        windows = bench.take_windows()
        assert (first, list(windows)) == (0, [0, 1, 2])
        for number, (descriptor, data) in windows.items():
            assert data == expected_readout(ratio_map, number)
            assert descriptor.map_hash == ratio_map.hash()[:8]
            assert (descriptor.kind, descriptor.level) == (WindowKind.SCENE, 0)
        assert bench.status().state == BoardState.IDLE

    def test_eight_bits_travel_as_bytes(self) -> None:
        bench = Bench(ratio_map=tile_map(), profile=preset("scamp5"))
        bench.ask(*capture(1))
        descriptor, data = bench.take_windows()[0]
        assert descriptor.total == len(data) == int(tile_map().levels.sum())

    def test_one_run_at_a_time(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*stream(0))
        for request in (
            capture(1),
            stream(1),
            (MessageType.ARM, b""),
            (MessageType.DARK_CAPTURE, wire.DarkCaptureRequest(1, 1).pack()),
        ):
            assert bench.refused(*request)[0] == ErrorCode.BUSY

    def test_credit_without_a_stream_is_refused(self) -> None:
        assert Bench().refused(*credit(5))[0] == ErrorCode.BAD_ARGUMENT

    def test_stop_sends_no_more_and_the_windows_can_be_asked_for(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.board.receive(Frame(stream(8)[0], 1, stream(8)[1]).encode())
        bench.board.poll(0, room=200)  # the answer and one frame of the first window
        bench.ask(MessageType.STREAM_STOP)
        assert bench.unasked == []
        bench.ask(*resend(0))
        assert bench.take_windows()[0][1] == expected_readout(tile_map(), 0)

    def test_resend_of_a_part_and_of_the_whole(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*capture(2))
        readout = bench.take_windows()[1][1]
        bench.ask(*resend(1, 10, 30))
        (piece,) = [wire.Fragment.unpack(frame.body) for frame in bench.unasked]
        assert (piece.window, piece.offset, piece.data) == (1, 10, readout[10:40])
        bench.unasked.clear()
        bench.ask(*resend(1))
        assert bench.take_windows()[1][1] == readout

    def test_only_the_last_windows_are_held(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*capture(wire.HELD_WINDOWS + 3))
        status = bench.status()
        assert (status.oldest_window, status.next_window) == (3, wire.HELD_WINDOWS + 3)
        bench.ask(*resend(3))
        for gone in (2, wire.HELD_WINDOWS + 3):
            code, text = bench.refused(*resend(gone))
            assert code == ErrorCode.WINDOW_GONE
            assert f"window {gone} " in text

    def test_resend_beyond_the_end_is_refused(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*capture(1))
        total = len(expected_readout(tile_map(), 0))
        assert bench.refused(*resend(0, total - 1, 2))[0] == ErrorCode.BAD_ARGUMENT
        assert bench.refused(*resend(0, 2**32 - 1, 2**32 - 1))[0] == ErrorCode.BAD_ARGUMENT

    def test_repairs_wait_in_a_short_queue(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.ask(*capture(1))
        for sequence in range(50, 50 + wire.MAX_IN_FLIGHT + 1):
            bench.board.receive(Frame(MessageType.RESEND, sequence, resend(0)[1]).encode())
        answers = bench.poll()
        assert [answer.is_error for answer in answers] == [False] * wire.MAX_IN_FLIGHT + [True]
        error = wire.ErrorAnswer.unpack(answers[-1].body)
        assert error.code == ErrorCode.BUSY

    def test_unasked_frames_are_numbered(self) -> None:
        bench = Bench(ratio_map=tile_map())
        bench.hello(256)
        bench.ask(*capture(2))
        numbers = [frame.sequence for frame in bench.unasked]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > 4

    def test_dark_and_flat_captures(self) -> None:
        bench = Bench(profile=preset("scamp5"))
        dark = wire.DarkCaptureRequest(2, 2).pack()
        flat = wire.CalibrationCaptureRequest(8, 1, 0.25).pack()
        bench.ask(MessageType.DARK_CAPTURE, dark)
        bench.ask(MessageType.CALIBRATION_CAPTURE, flat)
        windows = bench.take_windows()
        pixels = SHAPE[0] * SHAPE[1]
        for number, kind, level, code in ((0, 1, 2, 0), (1, 1, 2, 0), (2, 2, 8, 50)):
            descriptor, data = windows[number]
            assert (descriptor.kind, descriptor.level) == (kind, level)
            assert descriptor.map_hash == RatioMap.uniform(level, SHAPE).hash()[:8]
            assert data == bytes([code]) * (level * pixels)  # SumReader: 100 * 0.25 * 2 slots

    def test_exact_boards_take_flats_as_bytes(self) -> None:
        bench = Bench()
        bench.ask(MessageType.CALIBRATION_CAPTURE, wire.CalibrationCaptureRequest(1, 1, 1.0).pack())
        data = bench.take_windows()[0][1]
        assert set(np.frombuffer(data, "<u2")) == {255 * SLOTS}

    @pytest.mark.parametrize(
        "body",
        [
            wire.CalibrationCaptureRequest(0, 1, 0.5),
            wire.CalibrationCaptureRequest(3, 1, 0.5),
            wire.CalibrationCaptureRequest(1, 0, 0.5),
            wire.CalibrationCaptureRequest(1, 1, 1.5),
            wire.CalibrationCaptureRequest(1, 1, float("nan")),
        ],
    )
    def test_impossible_calibration_captures_are_refused(
        self, body: wire.CalibrationCaptureRequest
    ) -> None:
        bench = Bench()
        code, _ = bench.refused(MessageType.CALIBRATION_CAPTURE, body.pack())
        assert code == ErrorCode.BAD_ARGUMENT
        assert bench.status().next_window == 0

    def test_a_capture_of_nothing_is_refused(self) -> None:
        assert Bench(ratio_map=tile_map()).refused(*capture(0))[0] == ErrorCode.BAD_ARGUMENT


class TestPacing:
    def test_windows_end_on_the_beat_of_the_slots(self) -> None:
        bench = Bench(ratio_map=tile_map(), slot_rate_hz=240.0)
        bench.poll()
        bench.poll(1000)
        bench.ask(*capture(3))
        assert bench.take_windows() == {}
        due = []
        while (next_due_us := bench.board.next_due_us) is not None:
            due.append(next_due_us)
            bench.poll(next_due_us - bench.now_us - 1)
            assert len(bench.take_windows()) == 0
            bench.poll(1)
            (window,) = bench.take_windows().values()
            assert window[0].time_us == next_due_us
        start_us = 1000
        assert due == [start_us + -(-16 * i * 10**6 // 240) for i in (1, 2, 3)]

    def test_without_credit_windows_are_skipped_and_counted(self) -> None:
        bench = Bench(ratio_map=tile_map(), slot_rate_hz=160.0)  # 100 ms a window
        bench.ask(*stream(1))
        bench.poll(100_000)
        bench.poll(1_000_000)
        bench.ask(*credit(2))
        bench.poll(100_000)
        windows = bench.take_windows()
        assert windows[0][0].skipped == 0
        assert windows[1][0].skipped == 10
        assert windows[1][0].time_us == 1_200_000
        assert windows[1][1] == expected_readout(tile_map(), 11)  # the scene went on meanwhile
        assert bench.status().skipped == 10

    def test_a_line_that_takes_nothing_lets_memory_stay_small(self) -> None:
        bench = Bench(ratio_map=tile_map(), slot_rate_hz=160.0)
        bench.ask(*stream(1000))
        for _ in range(50):
            bench.now_us += 100_000
            assert bench.board.poll(bench.now_us, room=0) == b""
        bench.poll()
        assert list(bench.take_windows()) == [0, 1]
        assert bench.status().skipped == 48

    def test_an_unpaced_board_exposes_only_what_the_line_takes(self) -> None:
        exposed = []

        class Watched(CountingScene):
            def window(self, index: int) -> np.ndarray:
                exposed.append(index)
                return super().window(index)

        bench = Bench(scene=Watched(), ratio_map=tile_map())
        bench.board.receive(Frame(MessageType.STREAM_START, 1, stream(1000)[1]).encode())
        for _ in range(100):
            bench.board.poll(0, room=0)
        assert len(exposed) <= 2
        assert bench.board.next_due_us is None

    def test_requests_beyond_the_queue_are_dropped(self) -> None:
        bench = Bench()
        for sequence in range(1000):
            bench.board.receive(Frame(MessageType.STATUS, sequence).encode())
            bench.board.poll(0, room=0)
        answers = bench.poll()
        assert 0 < len(answers) < 100
        assert [answer.sequence for answer in answers] == list(range(len(answers)))
