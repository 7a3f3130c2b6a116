"""One class of tests for the emulator and for the C firmware, with a simulated clock.

What a host may rely on is here; what an implementation may do as it likes (texts, how many windows
it holds) is asked of the board instead of assumed.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import BoardState, ErrorCode, Frame, MessageType, UploadKind
from tests.support.board_bench import (
    SHAPE,
    SLOTS,
    Bench,
    aperture_map,
    capture,
    resend,
    stream,
    tile_map,
)
from tests.support.conformance import Make, expected, irregular_map, refusals

MAP, MASK, BOTH = UploadKind.MAP, UploadKind.MASK, UploadKind(3)


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
            pytest.param(RatioMap.uniform(0, SHAPE).pack(), id="no measurement"),
        ],
    )
    def test_what_is_no_map_is_refused(self, make: Make, data: bytes) -> None:
        bench = make(tile_map())
        bench.put(MAP, data)
        assert self.commit_code(bench, MAP, hashlib.sha256(data).digest()) == ErrorCode.BAD_MAP
        assert bench.status().upload_kind == UploadKind(0)
        self.assert_old_map_runs(bench)

    def test_an_aperture_that_opens_for_no_measurement_is_refused(self, make: Make) -> None:
        bench = make(tile_map())
        levels = np.zeros(SHAPE, np.uint8)
        levels[3, 5] = 2
        for place, code in ((None, ErrorCode.BAD_MAP), ((4, 5), ErrorCode.BAD_MAP), ((3, 5), 0)):
            aperture = np.zeros((SLOTS, *SHAPE), bool)
            if place is not None:
                aperture[7][place] = True
            coded = RatioMap(levels).with_aperture(aperture)
            bench.put(MAP, coded.pack())
            bench.put(MASK, coded.pack_aperture())
            if code:
                assert self.commit_code(bench, BOTH, coded.hash()) == code
                assert bench.status().upload_kind == UploadKind(0)
                self.assert_old_map_runs(bench)
            else:
                bench.commit(BOTH, coded.hash())
                assert bench.status().map_hash == coded.hash()


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
