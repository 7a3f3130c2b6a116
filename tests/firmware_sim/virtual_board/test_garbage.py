"""Nothing that arrives over the line crashes the board, makes it hang, or fills its memory."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import example, given, settings, strategies as st

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.wire import Frame, MessageType, UploadKind
from tests.support.board_bench import Bench, tile_map

DRAIN_ROUNDS = 200
"""Number of polls in a test; none may hang or return more than requested."""

types = st.sampled_from(MessageType) | st.integers(0, 255)
bodies = st.binary(max_size=100) | st.builds(
    lambda kind, body: bytes([kind]) + body, st.integers(0, 3), st.binary(max_size=40)
)
small = st.integers(0, 5)
messages = st.one_of(
    st.tuples(types, bodies),
    st.tuples(
        st.just(MessageType.CAPTURE), small.map(lambda count: wire.CaptureRequest(count).pack())
    ),
    st.tuples(
        st.just(MessageType.STREAM_START),
        small.map(lambda credit: wire.StreamStartRequest(credit).pack()),
    ),
    st.tuples(
        st.just(MessageType.RESEND),
        st.builds(wire.ResendRequest, small, small, small).map(wire.ResendRequest.pack),
    ),
    st.tuples(
        st.just(MessageType.UPLOAD_BEGIN),
        st.builds(
            wire.UploadBeginRequest,
            st.sampled_from(UploadKind),
            st.integers(0, 3000),
            st.just(bytes(32)),
        ).map(wire.UploadBeginRequest.pack),
    ),
    st.tuples(st.sampled_from([MessageType.STREAM_STOP, MessageType.RESET]), st.just(b"")),
)


def drain(bench: Bench) -> None:
    """Take what the board sends for 0.4 s of its time."""
    for _ in range(DRAIN_ROUNDS):
        bench.now_us += 2000
        data = bench.board.poll(bench.now_us, room=4096)
        assert len(data) <= 4096 + wire.encoded_limit(wire.LARGE_MAX_PAYLOAD) + 2
        bench.decoder.feed(data)
    assert bench.decoder.bad == 0


def assert_sound(bench: Bench) -> None:
    """Check that a well-behaved host still gets its window."""
    bench.patience = 100
    drain(bench)
    bench.send_raw(b"\0")
    assert bench.hello(1024).max_payload == wire.LARGE_MAX_PAYLOAD
    bench.upload(tile_map())
    bench.unasked.clear()
    bench.ask(MessageType.CAPTURE, wire.CaptureRequest(1).pack())
    bench.poll(advance_us=1_000_000)
    assert len(bench.take_windows()) == 1


def streams_of_messages(
    change: Callable[[random.Random, list[bytes]], list[bytes]],
) -> st.SearchStrategy[bytes]:
    def build(sent: list[tuple[int, bytes]], rng: random.Random) -> bytes:
        lines = [Frame(type_, n, body).encode() for n, (type_, body) in enumerate(sent)]
        return b"".join(change(rng, lines))

    seeds = st.integers(0, 2**32)
    return st.builds(build, st.lists(messages, max_size=20), seeds.map(random.Random))


def flip(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    flipped = []
    for line in lines:
        damaged = bytearray(line)
        if rng.random() < 0.5:
            damaged[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
        flipped.append(bytes(damaged))
    return flipped


def drop(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    return [bytes(byte for byte in line if rng.random() > 0.01) for line in lines]


def duplicate(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    return [line for line in lines for _ in range(rng.choice((1, 1, 2, 3)))]


def reorder(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    return rng.sample(lines, len(lines))


def truncate(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    return [line[: rng.randrange(len(line) + 1)] for line in lines]


def shuffle_bytes(rng: random.Random, lines: list[bytes]) -> list[bytes]:
    stream = bytearray(b"".join(lines))
    for _ in range(5):
        if stream:
            at, to = rng.randrange(len(stream)), rng.randrange(len(stream))
            stream[at], stream[to] = stream[to], stream[at]
    return [bytes(stream)]


streams = st.one_of(
    st.binary(max_size=3000),
    *map(streams_of_messages, (flip, drop, duplicate, reorder, truncate, shuffle_bytes)),
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(streams, max_size=3),
    st.sampled_from([0.0, 240.0]),
    st.booleans(),
    st.integers(1, 5000),
)
def test_whatever_comes_a_clean_hello_works(
    pieces: list[bytes], slot_rate_hz: float, has_map: bool, cut: int
) -> None:
    bench = Bench(slot_rate_hz=slot_rate_hz, ratio_map=tile_map() if has_map else None)
    stream = b"".join(pieces)
    for start in range(0, len(stream), cut):
        bench.board.receive(stream[start : start + cut])
        bench.now_us += 5000
        bench.decoder.feed(bench.board.poll(bench.now_us))
    assert_sound(bench)


@settings(deadline=None, max_examples=100)
@given(st.lists(messages, max_size=40))
@example([(MessageType.STREAM_START, b"\xff\xff\xff\xff"), (MessageType.STATUS, b"")])
@example([(MessageType.CAPTURE, b"\xff\xff"), (MessageType.RESET, b"")])
def test_every_well_framed_request_is_answered_once(sent: list[tuple[int, bytes]]) -> None:
    bench = Bench(ratio_map=tile_map())
    bench.patience = 2  # answers come first; a stream started by chance need not be heard out
    for type_, body in sent:
        answer = bench.send(type_, body)
        assert (answer.type, answer.sequence) == (type_, bench.sequence)
        if answer.is_error:
            error = wire.ErrorAnswer.unpack(answer.body)
            assert isinstance(error.code, wire.ErrorCode)
            assert error.text
    assert_sound(bench)
