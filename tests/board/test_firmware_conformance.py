"""One class of tests, run against the emulator and against the C firmware, its clock in our hands.

What a host may rely on is here; what an implementation may do as it likes (texts, how many windows
it holds) is asked of the board instead of assumed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_bench import (
    SHAPE,
    SLOTS,
    Bench,
    CountingScene,
    aperture_map,
    capture,
    credit,
    make_board,
    resend,
    stream,
    tile_map,
)
from c_board import PipedBoard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_sim import wire
from firmware_sim.emulator import Emulator
from firmware_sim.noise import preset
from firmware_sim.ratio_map import RatioMap
from firmware_sim.virtual_sensor import make_emulator
from firmware_sim.wire import BoardState, ErrorCode, Frame, MessageType, UploadKind, WindowKind

Make = Callable[..., Bench]

MAP, MASK, BOTH = UploadKind.MAP, UploadKind.MASK, UploadKind(3)


def expected(ratio_map: RatioMap, exposure: int) -> bytes:
    """What the emulator reads out of the test scene without noise."""
    codes = Emulator(ratio_map, preset("ideal")).capture(CountingScene().window(exposure))
    return codes.astype("<u2").tobytes()


def irregular_map(seed: int = 0) -> RatioMap:
    return RatioMap.random(SHAPE, seed=seed)


@pytest.fixture(params=["emulator", "C firmware"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes benches with a board of 40x24 pixels in front of the counting scene."""
    made: list[PipedBoard] = []

    def emulator(ratio_map: RatioMap | None = None, slot_rate_hz: int = 0) -> Bench:
        return Bench(
            make_board(
                make_reader=make_emulator, ratio_map=ratio_map, slot_rate_hz=float(slot_rate_hz)
            )
        )

    def firmware(ratio_map: RatioMap | None = None, slot_rate_hz: int = 0) -> Bench:
        options: dict[str, Any] = {"array": f"{SHAPE[1]}x{SHAPE[0]}", "slot_rate": slot_rate_hz}
        if ratio_map is not None:
            options["map"] = tmp_path / "start.map"
            options["map"].write_bytes(ratio_map.pack())
        made.append(PipedBoard(boot_id=1, **options))
        return Bench(made[-1])  # type: ignore[arg-type]

    yield emulator if request.param == "emulator" else firmware
    for board in made:
        board.close()


def refusals(bench: Bench, type_: MessageType, *bodies: Any) -> set[int]:
    return {int(bench.refused(type_, body.pack())[0]) for body in bodies}


class TestConformance:
    def test_hello(self, make: Make) -> None:
        hello = make(slot_rate_hz=240).hello()
        assert (hello.shape, hello.slots, hello.bits) == (SHAPE, SLOTS, 16)
        assert (hello.black_level_dn, hello.full_scale_dn) == (0.0, 255.0 * SLOTS)
        assert hello.level_set == (0, 1, 2, 4, 8)
        assert hello.slot_rate_hz == 240.0
        assert hello.max_in_flight >= 1
        assert hello.held_windows >= 1
        assert hello.max_payload >= wire.MIN_MAX_PAYLOAD
        assert wire.Feature.APERTURE | wire.Feature.CALIBRATION in hello.features

    @pytest.mark.parametrize("type_", [MessageType.HELLO, MessageType.STATUS, 0x77])
    def test_another_version_is_told_ours(self, make: Make, type_: int) -> None:
        (answer,) = make().send_raw(Frame(type_, 9, b"whatever", version=2).encode())
        assert (answer.type, answer.sequence, answer.version) == (type_, 9, 1)
        assert wire.ErrorAnswer.unpack(answer.body).code == ErrorCode.VERSION_MISMATCH

    def test_requests_that_are_none(self, make: Make) -> None:
        bench = make(tile_map())
        boot_id = bench.hello().boot_id
        other = wire.HelloRequest(1024, "of another version", protocol=3).pack()
        for hello in (other, other + b"which says more", b"\3"):
            assert bench.refused(MessageType.HELLO, hello)[0] == ErrorCode.VERSION_MISMATCH
        tiny = wire.HelloRequest(wire.MIN_MAX_PAYLOAD - 1, "tiny").pack()
        assert bench.refused(MessageType.HELLO, tiny)[0] == ErrorCode.BAD_ARGUMENT
        for type_ in (0x00, 0x04, MessageType.LOG, MessageType.READOUT, 0xFF):
            assert bench.refused(type_)[0] == ErrorCode.UNKNOWN_TYPE
        for type_ in (
            *(MessageType.STATUS, MessageType.ARM, MessageType.STREAM_STOP, MessageType.RESET),
            *(MessageType.CAPTURE, MessageType.STREAM_START, MessageType.STREAM_CREDIT),
            *(MessageType.UPLOAD_BEGIN, MessageType.UPLOAD_COMMIT, MessageType.RESEND),
            *(MessageType.DARK_CAPTURE, MessageType.CALIBRATION_CAPTURE, MessageType.TIME_SYNC),
            MessageType.HELLO,
        ):
            assert bench.refused(type_, b"\1")[0] == ErrorCode.BAD_BODY, type_
        assert bench.refused(MessageType.UPLOAD_CHUNK, b"\1\0\0\0")[0] == ErrorCode.BAD_BODY
        assert bench.send_raw(Frame(MessageType.STATUS, 1, b"", wire.FLAG_RESPONSE).encode()) == []
        status = bench.status()
        assert (status.boot_id, status.state) == (boot_id, BoardState.IDLE)

    def test_a_repeated_request_is_answered_again_and_not_run_again(self, make: Make) -> None:
        bench = make(tile_map())
        request = Frame(MessageType.CAPTURE, 5, capture(2)[1]).encode()
        assert bench.send_raw(request) == bench.send_raw(request)
        for sequence in range(100, 100 + wire.ANSWER_CACHE - 1):
            bench.send_raw(Frame(MessageType.STATUS, sequence).encode())
        bench.send_raw(request)
        assert list(bench.take_windows()) == [0, 1]
        (answer,) = bench.send_raw(Frame(MessageType.CAPTURE, 5, capture(3)[1]).encode())
        assert wire.WindowNumber.unpack(answer.body).window == 2

    def test_hello_starts_a_session_and_keeps_what_outlasts_it(self, make: Make) -> None:
        bench = make(tile_map())
        bench.ask(*stream(2))
        bench.begin(MAP, bytes(50))
        before = bench.status()
        hello = Frame(MessageType.HELLO, 1, wire.HelloRequest(1024, "bench").pack()).encode()
        bench.send_raw(hello)
        bench.send_raw(hello)
        after = bench.status()
        assert (after.state, after.map_hash) == (BoardState.IDLE, before.map_hash)
        assert (after.upload_kind, after.next_window) == (MAP, 2)
        bench.unasked.clear()
        bench.ask(*resend(1))
        assert bench.take_windows()[1][1] == expected(tile_map(), 1)

    def test_reset_loses_everything_and_changes_the_boot_id(self, make: Make) -> None:
        bench = make()
        before = bench.hello()
        bench.upload(tile_map())
        bench.put(MASK, b"half of something")
        bench.ask(*capture(3))
        bench.poll(1000)
        bench.ask(MessageType.RESET)
        status = bench.status()
        assert before.boot_id != status.boot_id == bench.status().boot_id
        assert (status.map_hash, status.next_window) == (wire.NO_HASH, 0)
        assert (status.upload_kind, status.uptime_us, status.good_frames) == (UploadKind(0), 0, 1)
        assert bench.refused(*capture(1))[0] == ErrorCode.NO_MAP

    def test_time_and_counters(self, make: Make) -> None:
        bench = make()
        bench.now_us = 10**12
        body = wire.TimeSyncRequest(123).pack()
        assert wire.TimeSyncAnswer.unpack(bench.ask(MessageType.TIME_SYNC, body)).board_us == 0
        bench.poll(2500)
        assert wire.TimeSyncAnswer.unpack(bench.ask(MessageType.TIME_SYNC, body)).board_us == 2500
        bench.send_raw(b"\0noise\0more noise\0")
        status = bench.status()
        assert (status.uptime_us, status.good_frames, status.bad_frames) == (2500, 3, 2)


class TestUploads:
    @pytest.mark.parametrize("seed", range(4))
    def test_chunks_in_any_order_with_losses_and_reconnections(self, make: Make, seed: int) -> None:
        bench, rng, ratio_map = make(), random.Random(seed), aperture_map(seed)
        bench.hello(256)
        mask = ratio_map.pack_aperture()
        size = bench.begin(MASK, mask).chunk_size
        offsets = list(range(0, len(mask), size))
        held: set[int] = set()
        while len(held) < len(offsets):
            if rng.random() < 0.1:  # the line dropped: say hello and begin again
                bench.hello(256)
                progress = bench.begin(MASK, mask)
            else:
                offset = rng.choice(offsets)
                progress = bench.chunk(MASK, offset, mask[offset : offset + size])
                held.add(offset)
            missing = [offset for offset in offsets if offset not in held]
            wanted = missing[0] if missing else len(mask)
            assert progress.next_offset == wanted
            beyond = {wanted + size * (bit + 1) for bit in range(32) if progress.bitmap >> bit & 1}
            assert beyond == {o for o in held if wanted < o <= wanted + 32 * size}
        bench.put(MAP, ratio_map.pack())
        assert bench.commit(BOTH, ratio_map.hash()) == ratio_map.hash()
        assert any(log.level == wire.LogLevel.INFO for log in bench.take_logs())
        bench.commit(BOTH, ratio_map.hash())
        status = bench.status()
        assert (status.map_hash, status.upload_kind) == (ratio_map.hash(), UploadKind(0))

    def test_a_mask_alone_goes_with_the_active_levels(self, make: Make) -> None:
        bench, coded = make(), aperture_map()
        bench.put(MASK, coded.pack_aperture())
        code, _ = bench.refused(
            MessageType.UPLOAD_COMMIT, wire.UploadCommitRequest(MASK, coded.hash()).pack()
        )
        assert code == ErrorCode.NO_MAP
        bench.upload(RatioMap(coded.levels))
        bench.put(MASK, coded.pack_aperture())
        assert bench.commit(MASK, coded.hash()) == coded.hash()
        bench.take_logs()
        bench.ask(*capture(1))
        assert bench.take_windows()[0][1] == expected(coded, 0)
        bench.upload(RatioMap(coded.levels))
        bench.take_logs()
        bench.ask(*capture(1))
        assert bench.take_windows()[1][1] == expected(RatioMap(coded.levels), 1)

    def test_uploads_that_cannot_be_begun(self, make: Make) -> None:
        bench = make()
        for kind, total, code in (
            (0, 10, ErrorCode.BAD_ARGUMENT),
            (3, 10, ErrorCode.BAD_ARGUMENT),
            (1, 0, ErrorCode.BAD_ARGUMENT),
            (1, 2**32 - 1, ErrorCode.TOO_LARGE),
        ):
            request = wire.UploadBeginRequest(UploadKind(kind), total, bytes(32))
            assert bench.refused(MessageType.UPLOAD_BEGIN, request.pack())[0] == code

    def test_chunks_that_do_not_fit(self, make: Make) -> None:
        bench = make()
        bench.hello(256)
        chunk = wire.UploadChunkRequest(MAP, 0, b"x")
        assert refusals(bench, MessageType.UPLOAD_CHUNK, chunk) == {ErrorCode.UPLOAD_NOT_BEGUN}
        size = bench.begin(MAP, bytes(600)).chunk_size
        wrong = [(1, size), (0, size - 1), (3 * size, 1), (600, 0), (2**32 - 1, 9)]
        chunks = [wire.UploadChunkRequest(MAP, offset, bytes(length)) for offset, length in wrong]
        assert refusals(bench, MessageType.UPLOAD_CHUNK, *chunks) == {ErrorCode.BAD_ARGUMENT}
        assert bench.begin(MAP, bytes(600)).next_offset == 0

    def test_another_object_starts_from_the_beginning(self, make: Make) -> None:
        bench = make()
        bench.hello(256)
        size = bench.begin(MAP, bytes(600)).chunk_size
        bench.chunk(MAP, 0, bytes(size))
        status = bench.status()
        assert (status.upload_kind, status.upload_offset) == (MAP, size)
        assert bench.begin(MAP, b"\1" * 600).next_offset == 0
        bench.chunk(MAP, 0, b"\1" * size)
        bench.hello(512)  # other chunks now, if the board fills the payload
        begun = bench.begin(MAP, b"\1" * 600)
        assert begun.next_offset == (size if begun.chunk_size == size else 0)

    def commit_code(self, bench: Bench, kinds: UploadKind, map_hash: bytes) -> int:
        body = wire.UploadCommitRequest(kinds, map_hash).pack()
        return int(bench.refused(MessageType.UPLOAD_COMMIT, body)[0])

    def assert_old_map_runs(self, bench: Bench) -> None:
        bench.take_logs()
        bench.ask(*capture(1))
        ((number, (_, readout)),) = bench.take_windows().items()
        assert readout == expected(tile_map(), number)

    def test_a_commit_that_fails_leaves_the_old_map(self, make: Make) -> None:
        bench, new = make(tile_map()), irregular_map()
        data = new.pack()
        bench.hello(256)

        assert self.commit_code(bench, UploadKind(0), new.hash()) == ErrorCode.BAD_ARGUMENT
        assert self.commit_code(bench, MAP, new.hash()) == ErrorCode.UPLOAD_NOT_BEGUN
        size = bench.begin(MAP, data).chunk_size
        bench.chunk(MAP, 0, data[:size])
        assert self.commit_code(bench, MAP, new.hash()) == ErrorCode.UPLOAD_INCOMPLETE
        self.assert_old_map_runs(bench)
        assert bench.begin(MAP, data).next_offset == size

        lie = wire.UploadBeginRequest(MAP, len(data), hashlib.sha256(data[::-1]).digest())
        bench.ask(MessageType.UPLOAD_BEGIN, lie.pack())
        for offset in range(0, len(data), size):
            bench.chunk(MAP, offset, data[offset : offset + size])
        assert self.commit_code(bench, MAP, new.hash()) == ErrorCode.HASH_MISMATCH
        assert self.commit_code(bench, MAP, new.hash()) == ErrorCode.UPLOAD_NOT_BEGUN
        self.assert_old_map_runs(bench)

        bench.put(MAP, data)
        assert self.commit_code(bench, MAP, irregular_map(1).hash()) == ErrorCode.HASH_MISMATCH
        bench.put(MASK, b"\xff" * 7)
        assert self.commit_code(bench, BOTH, new.hash()) == ErrorCode.BAD_MAP
        self.assert_old_map_runs(bench)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"garbage" * 5, id="garbage"),
            pytest.param(b"\x10", id="one byte"),
            pytest.param(RatioMap.uniform(1, (24, 44)).pack(), id="another size"),
            pytest.param(RatioMap.uniform(1, SHAPE, slots=8).pack(), id="other slots"),
            pytest.param(RatioMap.uniform(1, SHAPE, level_set=(1, 16)).pack(), id="other levels"),
            pytest.param(irregular_map().pack()[:-1], id="cells missing"),
            pytest.param(irregular_map().pack() + b"\0", id="bytes left over"),
            pytest.param(irregular_map().pack()[:-1] + b"\x05", id="an index beyond the set"),
            pytest.param(
                irregular_map().pack()[:11] + bytes(4) + irregular_map().pack()[15:],
                id="a tile of nothing",
            ),
        ],
    )
    def test_what_is_no_map_is_refused(self, make: Make, data: bytes) -> None:
        bench = make(tile_map())
        bench.put(MAP, data)
        assert self.commit_code(bench, MAP, hashlib.sha256(data).digest()) == ErrorCode.BAD_MAP
        assert bench.status().upload_kind == UploadKind(0)
        self.assert_old_map_runs(bench)


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
            RatioMap.uniform(0, SHAPE),
            irregular_map(),
            aperture_map(),
        ],
        ids=["tile", "fixed", "nothing", "irregular", "aperture"],
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
            objects = {MAP: ratio_map.pack()}
            if ratio_map.aperture is not None:
                objects[MASK] = ratio_map.pack_aperture()
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


@settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.binary(max_size=2000) | st.integers(0, 255).map(lambda n: bytes([n]) * 1500)))
def test_whatever_comes_a_clean_hello_works(make: Make, pieces: list[bytes]) -> None:
    bench = make()
    for piece in pieces:
        bench.board.receive(piece)
        bench.decoder.feed(bench.board.poll(bench.now_us))
    bench.send_raw(b"\0")
    bench.hello(1024)
    bench.upload(tile_map())
    bench.unasked.clear()
    bench.ask(*capture(1))
    assert len(bench.take_windows()) == 1


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
