"""Uploads: resumable, in chunks of any order, and activated as a whole or not at all."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import ErrorCode, MessageType, UploadKind
from tests.support.board_bench import SHAPE, Bench, aperture_map, expected_readout, tile_map


def random_map(seed: int = 0) -> RatioMap:
    return RatioMap.random(SHAPE, seed=seed)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_chunks_in_any_order_with_losses_and_reconnections(data: st.DataObject) -> None:
    """A host that follows the board's answers uploads any object."""
    bench = Bench()
    bench.hello(256)
    ratio_map = aperture_map(data.draw(st.integers(0, 3)))
    mask = ratio_map.pack_aperture()
    size = bench.begin(UploadKind.MASK, mask).chunk_size
    offsets = list(range(0, len(mask), size))
    held: set[int] = set()
    for offset in data.draw(st.lists(st.sampled_from([*offsets, -1]), max_size=30)):
        if offset < 0:  # the line dropped: say hello and begin again
            bench.hello(256)
            progress = bench.begin(UploadKind.MASK, mask)
        else:
            progress = bench.chunk(UploadKind.MASK, offset, mask[offset : offset + size])
            held.add(offset)
        missing = [offset for offset in offsets if offset not in held]
        wanted = missing[0] if missing else len(mask)
        assert progress.next_offset == wanted
        beyond = {wanted + size * (bit + 1) for bit in range(32) if progress.bitmap >> bit & 1}
        assert beyond == {o for o in held if wanted < o <= wanted + 32 * size}
    for offset in sorted(set(offsets) - held):
        bench.chunk(UploadKind.MASK, offset, mask[offset : offset + size])
    bench.put(UploadKind.MAP, ratio_map.pack())
    bench.commit(UploadKind.MAP | UploadKind.MASK, ratio_map.hash())
    assert bench.status().map_hash == ratio_map.hash()


def test_commit_activates_and_can_be_repeated() -> None:
    bench = Bench()
    bench.upload(random_map())
    assert bench.commit(UploadKind.MAP, random_map().hash()) == random_map().hash()
    assert any("is active" in log.text for log in bench.take_logs())
    status = bench.status()
    assert (status.map_hash, status.upload_kind) == (random_map().hash(), UploadKind(0))


def test_a_mask_alone_goes_with_the_active_levels() -> None:
    bench = Bench()
    coded = aperture_map()
    bench.upload(RatioMap(coded.levels))
    bench.put(UploadKind.MASK, coded.pack_aperture())
    assert bench.commit(UploadKind.MASK, coded.hash()) == coded.hash()
    bench.upload(RatioMap(coded.levels))
    assert bench.status().map_hash == RatioMap(coded.levels).hash()


def test_a_mask_without_a_map_is_refused() -> None:
    bench = Bench()
    bench.put(UploadKind.MASK, aperture_map().pack_aperture())
    body = wire.UploadCommitRequest(UploadKind.MASK, aperture_map().hash()).pack()
    assert bench.refused(MessageType.UPLOAD_COMMIT, body)[0] == ErrorCode.NO_MAP


def commit_code(bench: Bench, ratio_map: RatioMap) -> tuple[ErrorCode | int, str]:
    body = wire.UploadCommitRequest(UploadKind.MAP, ratio_map.hash()).pack()
    return bench.refused(MessageType.UPLOAD_COMMIT, body)


class TestTheOldMapStays:
    @pytest.fixture
    def bench(self) -> Bench:
        bench = Bench()
        bench.hello(256)
        bench.upload(tile_map())
        return bench

    def old_map_runs(self, bench: Bench) -> bool:
        bench.take_logs()
        bench.ask(MessageType.CAPTURE, wire.CaptureRequest(1).pack())
        ((_, readout),) = bench.take_windows().values()
        return readout == expected_readout(tile_map(), bench.status().next_window - 1)

    def test_when_nothing_was_begun(self, bench: Bench) -> None:
        assert commit_code(bench, random_map())[0] == ErrorCode.UPLOAD_NOT_BEGUN
        assert self.old_map_runs(bench)

    def test_when_half_of_it_came(self, bench: Bench) -> None:
        data = random_map().pack()
        size = bench.begin(UploadKind.MAP, data).chunk_size
        bench.chunk(UploadKind.MAP, 0, data[:size])
        assert size < len(data)
        code, text = commit_code(bench, random_map())
        assert code == ErrorCode.UPLOAD_INCOMPLETE
        assert f"byte {size} " in text
        assert self.old_map_runs(bench)
        assert bench.begin(UploadKind.MAP, data).next_offset == size

    def test_when_the_object_is_not_the_one_announced(self, bench: Bench) -> None:
        data = random_map().pack()
        request = wire.UploadBeginRequest(
            UploadKind.MAP, len(data), hashlib.sha256(data[::-1]).digest()
        )
        body = bench.ask(MessageType.UPLOAD_BEGIN, request.pack())
        size = wire.UploadBeginAnswer.unpack(body).chunk_size
        for offset in range(0, len(data), size):
            bench.chunk(UploadKind.MAP, offset, data[offset : offset + size])
        assert commit_code(bench, random_map())[0] == ErrorCode.HASH_MISMATCH
        assert commit_code(bench, random_map())[0] == ErrorCode.UPLOAD_NOT_BEGUN
        assert self.old_map_runs(bench)

    def test_when_it_makes_up_another_map(self, bench: Bench) -> None:
        bench.put(UploadKind.MAP, random_map(1).pack())
        assert commit_code(bench, random_map(2))[0] == ErrorCode.HASH_MISMATCH
        assert self.old_map_runs(bench)

    def test_when_it_is_no_map(self, bench: Bench) -> None:
        bench.put(UploadKind.MAP, b"garbage" * 5)
        assert commit_code(bench, random_map())[0] == ErrorCode.BAD_MAP
        assert self.old_map_runs(bench)

    @pytest.mark.parametrize(
        ("other", "words"),
        [
            (RatioMap.uniform(1, (24, 44)), ("44x24", "40x24")),
            (RatioMap.uniform(1, SHAPE, slots=8), ("8 slots", "16 slots")),
            (RatioMap.uniform(1, SHAPE, level_set=(1, 16)), ("1, 16", "0, 1, 2, 4, 8")),
        ],
    )
    def test_when_it_is_made_for_another_array(
        self, bench: Bench, other: RatioMap, words: tuple[str, str]
    ) -> None:
        bench.put(UploadKind.MAP, other.pack())
        code, text = commit_code(bench, other)
        assert code == ErrorCode.BAD_MAP
        assert words[0] in text
        assert words[1] in text
        assert self.old_map_runs(bench)

    def test_when_the_mask_has_another_size(self, bench: Bench) -> None:
        bench.put(UploadKind.MAP, random_map().pack())
        bench.put(UploadKind.MASK, b"\xff" * 7)
        body = wire.UploadCommitRequest(UploadKind(3), random_map().hash()).pack()
        assert bench.refused(MessageType.UPLOAD_COMMIT, body)[0] == ErrorCode.BAD_MAP
        assert self.old_map_runs(bench)


def refused_begin(kind: int, total: int) -> ErrorCode | int:
    request = wire.UploadBeginRequest(UploadKind(kind), total, bytes(32))
    return Bench().refused(MessageType.UPLOAD_BEGIN, request.pack())[0]


def test_uploads_that_cannot_be_begun() -> None:
    assert refused_begin(0, 10) == ErrorCode.BAD_ARGUMENT
    assert refused_begin(3, 10) == ErrorCode.BAD_ARGUMENT
    assert refused_begin(1, 0) == ErrorCode.BAD_ARGUMENT
    assert refused_begin(1, 2**32 - 1) == ErrorCode.TOO_LARGE


def test_chunks_that_do_not_fit() -> None:
    bench = Bench()
    bench.hello(256)
    chunk = wire.UploadChunkRequest(UploadKind.MAP, 0, b"x").pack()
    assert bench.refused(MessageType.UPLOAD_CHUNK, chunk)[0] == ErrorCode.UPLOAD_NOT_BEGUN
    size = bench.begin(UploadKind.MAP, bytes(600)).chunk_size
    assert size + wire.UPLOAD_CHUNK_OVERHEAD == 256
    for offset, length in ((1, size), (0, size - 1), (2 * size, size), (3 * size, 1), (600, 0)):
        chunk = wire.UploadChunkRequest(UploadKind.MAP, offset, bytes(length)).pack()
        assert bench.refused(MessageType.UPLOAD_CHUNK, chunk)[0] == ErrorCode.BAD_ARGUMENT
    assert bench.begin(UploadKind.MAP, bytes(600)).next_offset == 0


def test_another_object_starts_from_the_beginning() -> None:
    bench = Bench()
    bench.hello(256)
    size = bench.begin(UploadKind.MAP, bytes(600)).chunk_size
    bench.chunk(UploadKind.MAP, 0, bytes(size))
    status = bench.status()
    assert (status.upload_kind, status.upload_offset) == (UploadKind.MAP, size)
    assert bench.begin(UploadKind.MAP, b"\1" * 600).next_offset == 0
    bench.chunk(UploadKind.MAP, 0, b"\1" * size)
    bench.hello(512)  # other chunks now: what is held fits no more
    assert bench.begin(UploadKind.MAP, b"\1" * 600).next_offset == 0


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32).map(random.Random), st.floats(0, 0.2))
def test_no_damage_on_the_line_makes_a_half_map_run(rng: random.Random, rate: float) -> None:
    """Whatever is lost or damaged, the active map is the old one or the new one."""
    bench = Bench()
    bench.hello(256)
    bench.upload(tile_map())
    new = random_map()
    data = new.pack()
    begin = wire.UploadBeginRequest(UploadKind.MAP, len(data), hashlib.sha256(data).digest())
    size = 256 - wire.UPLOAD_CHUNK_OVERHEAD
    requests = [(MessageType.UPLOAD_BEGIN, begin.pack())]
    requests += [
        (
            MessageType.UPLOAD_CHUNK,
            wire.UploadChunkRequest(UploadKind.MAP, at, data[at : at + size]).pack(),
        )
        for at in range(0, len(data), size)
    ]
    requests.append(
        (
            MessageType.UPLOAD_COMMIT,
            wire.UploadCommitRequest(UploadKind.MAP, new.hash()).pack(),
        )
    )
    for sequence, (type_, body) in enumerate(requests):
        line = bytearray(wire.Frame(type_, sequence, body).encode())
        for at in range(len(line)):
            if rng.random() < rate / 20:
                line[at] ^= 1 << rng.randrange(8)
        if rng.random() >= rate:
            bench.send_raw(bytes(line))
    bench.send_raw(b"\0")
    assert bench.status().map_hash in (tile_map().hash(), new.hash())
    bench.upload(new)
    assert bench.status().map_hash == new.hash()
