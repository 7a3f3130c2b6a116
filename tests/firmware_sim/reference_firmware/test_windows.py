"""Windows of the emulator and of the C firmware: the same tests, with a simulated clock."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import (
    BoardState,
    ErrorCode,
    Frame,
    MessageType,
    UploadKind,
    WindowKind,
)
from tests.support.board_bench import (
    SHAPE,
    SLOTS,
    Bench,
    aperture_map,
    capture,
    credit,
    resend,
    stream,
    tile_map,
)
from tests.support.c_board import PipedBoard
from tests.support.conformance import Make, expected, irregular_map, refusals


class TestWindows:
    def test_without_a_map_nothing_is_captured(self, make: Make) -> None:
        bench = make()
        for request in (capture(1), stream(1), (MessageType.ARM, b"")):
            assert bench.refused(*request)[0] == ErrorCode.NO_MAP

    @pytest.mark.parametrize("max_payload", [256, 1024])
    @pytest.mark.parametrize(
        "ratio_map",
        [
            tile_map(),
            RatioMap.uniform(8, SHAPE),
            irregular_map(),
            aperture_map(),
        ],
        ids=["tile", "fixed", "irregular", "aperture"],
    )
    def test_readouts_are_the_emulators_bit_for_bit(
        self, make: Make, ratio_map: RatioMap, max_payload: int
    ) -> None:
        bench = make()
        bench.hello(max_payload)
        bench.upload(ratio_map)
        bench.take_logs()
        bench.ask(MessageType.ARM)
        assert bench.status().state == BoardState.ARMED
        assert wire.WindowNumber.unpack(bench.ask(*capture(3))).window == 0
        assert max(len(frame.body) for frame in bench.unasked) <= max_payload
        windows = bench.take_windows()
        assert list(windows) == [0, 1, 2]
        for number, (descriptor, data) in windows.items():
            assert data == expected(ratio_map, number)
            assert descriptor.total == len(data)
            assert descriptor.map_hash == ratio_map.hash()[:8]
            assert (descriptor.kind, descriptor.level) == (WindowKind.SCENE, 0)
        assert bench.status().state == BoardState.IDLE

    def test_a_stream_stops_at_its_credit_and_goes_on_with_more(self, make: Make) -> None:
        bench = make(tile_map())
        bench.ask(*capture(4))
        bench.take_windows()
        assert wire.WindowNumber.unpack(bench.ask(*stream(2))).window == 4
        assert list(bench.take_windows()) == [4, 5]
        bench.ask(*credit(9))
        bench.ask(*credit(7))
        assert list(bench.take_windows()) == [6, 7, 8]
        status = bench.status()
        assert (status.state, status.credit_limit) == (BoardState.STREAMING, 9)
        for request in (
            capture(1),
            stream(1),
            (MessageType.ARM, b""),
            (MessageType.DARK_CAPTURE, wire.DarkCaptureRequest(1, 1).pack()),
        ):
            assert bench.refused(*request)[0] == ErrorCode.BUSY
        stopped = bench.ask(MessageType.STREAM_STOP)
        assert wire.WindowNumber.unpack(stopped).window == 9
        assert bench.status().state == BoardState.IDLE
        bench.ask(MessageType.STREAM_STOP)
        assert bench.refused(*credit(5))[0] == ErrorCode.BAD_ARGUMENT

    def test_a_map_committed_while_streaming_holds_from_the_next_window(self, make: Make) -> None:
        bench, maps = make(tile_map()), [tile_map()]
        bench.ask(*stream(1))
        for number in range(1, 5):
            maps.append(aperture_map(number) if number % 2 else irregular_map(number))
            bench.upload(maps[-1])
            bench.ask(*credit(number + 1))
        windows = bench.take_windows()
        assert list(windows) == list(range(5))
        for number, (descriptor, data) in windows.items():
            assert descriptor.map_hash == maps[number].hash()[:8]
            assert data == expected(maps[number], number)

    def test_stop_sends_no_more_and_the_windows_can_be_asked_for(self, make: Make) -> None:
        bench = make(tile_map())
        bench.board.receive(Frame(stream(8)[0], 1, stream(8)[1]).encode())
        bench.decoder.feed(bench.board.poll(0, room=200))
        bench.ask(MessageType.STREAM_STOP)
        left = len(bench.unasked)  # what had begun before
        bench.poll()
        assert len(bench.unasked) == left <= 1
        bench.unasked.clear()
        bench.ask(*resend(0))
        assert bench.take_windows()[0][1] == expected(tile_map(), 0)

    def test_parts_of_held_windows_again(self, make: Make) -> None:
        bench = make(tile_map())
        held = bench.hello().held_windows
        bench.ask(*capture(held + 3))
        readout = bench.take_windows()[held + 2][1]
        status = bench.status()
        assert (status.oldest_window, status.next_window) == (3, held + 3)
        bench.ask(*resend(held + 2, 10, 30))
        (piece,) = [wire.Fragment.unpack(frame.body) for frame in bench.unasked]
        assert (piece.window, piece.offset, piece.data) == (held + 2, 10, readout[10:40])
        bench.unasked.clear()
        bench.ask(*resend(held + 2))
        assert bench.take_windows()[held + 2][1] == readout
        total = len(readout)
        bench.ask(*resend(held + 2, total - 10))  # no length: the descriptor, and what is left
        (piece,) = [wire.Fragment.unpack(frame.body) for frame in bench.unasked[1:]]
        assert (piece.offset, piece.data) == (total - 10, readout[-10:])
        bench.unasked.clear()
        bench.ask(*resend(held + 2, 2**32 - 1))
        assert [frame.type for frame in bench.unasked] == [MessageType.WINDOW]
        bench.ask(*resend(3))
        for request, code in (
            (resend(2), ErrorCode.WINDOW_GONE),
            (resend(held + 3), ErrorCode.WINDOW_GONE),
            (resend(3, total - 1, 2), ErrorCode.BAD_ARGUMENT),
            (resend(3, 2**32 - 1, 2**32 - 1), ErrorCode.BAD_ARGUMENT),
        ):
            assert bench.refused(*request)[0] == code

    def test_repairs_wait_in_a_short_queue(self, make: Make) -> None:
        bench = make(tile_map())
        bench.ask(*capture(1))
        bench.unasked.clear()
        limit = bench.hello().max_in_flight
        for sequence in range(50, 50 + limit + 1):
            bench.board.receive(Frame(MessageType.RESEND, sequence, resend(0)[1]).encode())
        answers = bench.poll()
        assert [answer.is_error for answer in answers] == [False] * limit + [True]
        assert wire.ErrorAnswer.unpack(answers[-1].body).code == ErrorCode.BUSY
        sent = [frame for frame in bench.unasked if frame.type == MessageType.WINDOW]
        assert len(sent) == limit

    def test_unasked_frames_are_numbered(self, make: Make) -> None:
        bench = make()
        bench.hello(256)
        bench.upload(tile_map())
        bench.ask(*capture(2))
        numbers = [frame.sequence for frame in bench.unasked]
        assert numbers == list(range(len(numbers)))
        assert {frame.flags for frame in bench.unasked} == {0}

    def test_dark_and_flat_windows(self, make: Make) -> None:
        bench = make(tile_map())
        bench.ask(MessageType.DARK_CAPTURE, wire.DarkCaptureRequest(2, 2).pack())
        flat = wire.CalibrationCaptureRequest(8, 1, 0.25).pack()
        bench.ask(MessageType.CALIBRATION_CAPTURE, flat)
        white = wire.CalibrationCaptureRequest(1, 1, 1.0).pack()
        bench.ask(MessageType.CALIBRATION_CAPTURE, white)
        windows = bench.take_windows()
        pixels = SHAPE[0] * SHAPE[1]
        for number, kind, level, code in (
            (0, WindowKind.DARK, 2, 0),
            (1, WindowKind.DARK, 2, 0),
            (2, WindowKind.FLAT, 8, 64 * SLOTS // 8),
            (3, WindowKind.FLAT, 1, 255 * SLOTS),
        ):
            descriptor, data = windows[number]
            assert (descriptor.kind, descriptor.level) == (kind, level)
            assert descriptor.map_hash == RatioMap.uniform(level, SHAPE).hash()[:8]
            assert data == code.to_bytes(2, "little") * (level * pixels)
        assert bench.status().map_hash == tile_map().hash()

    def test_impossible_captures_are_refused(self, make: Make) -> None:
        bench = make(tile_map())
        bodies = [
            wire.CalibrationCaptureRequest(level, windows, light)
            for level, windows, light in (
                *((0, 1, 0.5), (3, 1, 0.5), (1, 0, 0.5)),
                *((1, 1, 1.5), (1, 1, -0.1), (1, 1, float("nan"))),
            )
        ]
        assert refusals(bench, MessageType.CALIBRATION_CAPTURE, *bodies) == {ErrorCode.BAD_ARGUMENT}
        assert bench.refused(*capture(0))[0] == ErrorCode.BAD_ARGUMENT
        assert bench.status().next_window == 0

    @pytest.mark.parametrize("delay", range(0, 44, 11))
    def test_maps_that_follow_close_spoil_no_readout(self, make: Make, delay: int) -> None:
        """All at once on the line: uploads fall into windows at any row."""
        bench, maps = make(tile_map()), [aperture_map(1), irregular_map(2), aperture_map(3)]
        requests = [stream(6), *[(MessageType.STATUS, b"")] * delay]
        for ratio_map in maps:
            objects = {UploadKind.MAP: ratio_map.pack()}
            if ratio_map.aperture is not None:
                objects[UploadKind.MASK] = ratio_map.pack_aperture()
            for kind, data in objects.items():
                begin = wire.UploadBeginRequest(kind, len(data), hashlib.sha256(data).digest())
                requests.append((MessageType.UPLOAD_BEGIN, begin.pack()))
                for at in range(0, len(data), 1024 - wire.UPLOAD_CHUNK_OVERHEAD):
                    piece = data[at : at + 1024 - wire.UPLOAD_CHUNK_OVERHEAD]
                    chunk = wire.UploadChunkRequest(kind, at, piece)
                    requests.append((MessageType.UPLOAD_CHUNK, chunk.pack()))
            commit = wire.UploadCommitRequest(sum(objects, UploadKind(0)), ratio_map.hash())
            requests.append((MessageType.UPLOAD_COMMIT, commit.pack()))
        bench.hello(1024)
        for sequence, request in enumerate(requests, 100):
            bench.board.receive(Frame(request[0], sequence, request[1]).encode())
        answers = bench.poll()
        assert [answer.is_error for answer in answers] == [False] * len(requests)
        windows = bench.take_windows()
        known = {ratio_map.hash()[:8]: ratio_map for ratio_map in [tile_map(), *maps]}
        assert list(windows) == list(range(6))
        for number, (descriptor, data) in windows.items():
            exposure = number + descriptor.skipped
            assert data == expected(known[descriptor.map_hash], exposure)


class TestPacing:
    def test_windows_end_on_the_beat_of_the_slots(self, make: Make) -> None:
        bench = make(tile_map(), slot_rate_hz=240)
        bench.poll()
        bench.poll(1000)
        bench.ask(*capture(3))
        assert bench.take_windows() == {}
        for number in range(3):
            due_us = 1000 + -(-16 * (number + 1) * 10**6 // 240)
            bench.poll(due_us - bench.now_us - 1)
            assert bench.take_windows() == {}
            bench.poll(1)
            ((descriptor, data),) = bench.take_windows().values()
            assert descriptor.time_us == due_us
            assert data == expected(tile_map(), number)
        assert bench.status().state == BoardState.IDLE

    def test_without_credit_windows_are_skipped_and_counted(self, make: Make) -> None:
        bench = make(tile_map(), slot_rate_hz=160)  # 100 ms a window
        bench.ask(*stream(1))
        bench.poll(100_000)
        for _ in range(10):
            bench.poll(100_000)
        bench.ask(*credit(2))
        bench.poll(100_000)
        windows = bench.take_windows()
        assert [descriptor.skipped for descriptor, _ in windows.values()] == [0, 10]
        assert windows[1][0].time_us == 1_200_000
        assert windows[1][1] == expected(tile_map(), 11)  # the scene went on meanwhile
        assert bench.status().skipped == 10

    def test_a_line_that_takes_nothing_makes_the_board_skip(self, make: Make) -> None:
        bench = make(tile_map(), slot_rate_hz=160)
        bench.ask(*stream(1000))
        for _ in range(50):
            bench.now_us += 100_000
            assert bench.board.poll(bench.now_us, room=0) == b""
        bench.poll()
        windows = bench.take_windows()
        assert list(windows) == list(range(len(windows)))
        assert bench.status().skipped == 50 - len(windows) > 0
        for number, (_, data) in windows.items():
            assert data == expected(tile_map(), number)

    def test_a_map_committed_in_mid_window_spoils_no_readout(self, make: Make) -> None:
        """Two maps are stored: a third one begun in the window of the first has it skipped."""
        bench = make(tile_map(), slot_rate_hz=160)
        maps = {m.hash()[:8]: m for m in (tile_map(), irregular_map(1), aperture_map(2))}
        bench.ask(*stream(100))
        bench.poll(50_000)
        bench.upload(irregular_map(1))
        bench.upload(aperture_map(2))
        for _ in range(4):
            bench.poll(100_000)
        windows = bench.take_windows()
        assert len(windows) >= 3
        for number, (descriptor, data) in windows.items():
            exposure = number + descriptor.skipped
            assert data == expected(maps[descriptor.map_hash], exposure)
        assert windows[max(windows)][0].map_hash == aperture_map(2).hash()[:8]


def test_a_converter_of_eight_bits_sends_bytes() -> None:
    board = PipedBoard(array="40x24", bits=8)
    bench = Bench(board)  # type: ignore[arg-type]
    hello = bench.hello()
    assert (hello.bits, hello.full_scale_dn) == (8, 255.0)
    bench.upload(irregular_map())
    bench.ask(*capture(1))
    bench.take_logs()
    sums = np.frombuffer(expected(irregular_map(), 0), "<u2")
    assert bench.take_windows()[0][1] == (sums // SLOTS).astype(np.uint8).tobytes()
    board.close()


class TestSensorsThatMisbehave:
    def test_a_window_that_was_late_is_skipped_and_counted(self) -> None:
        bench = Bench(PipedBoard(array="40x24", late_every=3))  # type: ignore[arg-type]
        bench.upload(tile_map())
        bench.ask(*capture(6))
        bench.take_logs()
        windows = bench.take_windows()
        assert [descriptor.skipped for descriptor, _ in windows.values()] == [0, 0, 1, 1, 2, 2]
        for number, (descriptor, data) in windows.items():
            assert data == expected(tile_map(), number + descriptor.skipped)
        bench.board.close()  # type: ignore[attr-defined]

    def test_a_sensor_that_fails_ends_the_run_and_the_host_is_told(self) -> None:
        bench = Bench(PipedBoard(array="40x24", fails_at=3))  # type: ignore[arg-type]
        bench.upload(tile_map())
        bench.take_logs()
        bench.ask(*stream(10))
        (log,) = bench.take_logs()
        assert log.level == wire.LogLevel.ERROR
        assert set(bench.take_windows()) <= {0, 1}
        status = bench.status()
        assert (status.state, status.next_window) == (BoardState.IDLE, 2)
        bench.board.close()  # type: ignore[attr-defined]
