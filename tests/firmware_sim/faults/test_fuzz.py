"""Whatever arrives over the line, neither end crashes, hangs, or fills its memory."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.faults import Direction, Pipe, Times
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.wire import (
    Fragment,
    Frame,
    FrameDecoder,
    HelloRequest,
    MessageType,
    ResendRequest,
    WindowDescriptor,
    WindowKind,
    encoded_limit,
)
from focalloop.host.board.assembly import MAX_WINDOWS_AHEAD, Assembler
from focalloop.host.board.repair import MAX_REPAIRS
from focalloop.host.errors import BoardError, BoardLostError
from focalloop.host.link.requests import RequestProtocol
from tests.support.board_bench import Bench, tile_map

frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 65535),
    st.binary(max_size=300),
    st.integers(0, 255),
    st.integers(0, 255),
)
lines = st.lists(
    st.one_of(st.binary(max_size=600), frames.map(Frame.encode), st.just(b"\1" * 3000)), max_size=12
)
bad_ways = st.builds(
    Direction,
    flips=st.sampled_from([0.0, 1e-4, 1e-3]),
    drops=st.sampled_from([0.0, 1e-4, 1e-3]),
    doubles=st.sampled_from([0.0, 1e-3]),
    bursts=st.none() | st.just(Times(3.0)),
    burst_bytes=st.integers(1, 300),
    delay_s=st.sampled_from([0.0, 0.004, 0.3]),
)


@settings(max_examples=60, deadline=None)
@given(lines, st.integers(1, 900), st.sampled_from([256, 1024]), frames)
def test_a_decoder_is_in_step_at_the_next_zero_byte(
    pieces: list[bytes], cut: int, max_payload: int, last: Frame
) -> None:
    decoder, stream = FrameDecoder(max_payload), b"".join(pieces)
    for start in range(0, len(stream), cut):
        decoder.feed(stream[start : start + cut])
        assert len(decoder._partial) <= encoded_limit(max_payload)
    heard = decoder.feed(b"\0" + replace(last, body=last.body[:256]).encode())
    assert heard[-1] == replace(last, body=last.body[:256])
    assert decoder.good + decoder.bad <= stream.count(b"\0") + 3


class Line:
    """The protocol and a board in one thread with one simulated clock, and a bad cable between."""

    def __init__(self, to_board: Direction, to_host: Direction, seed: int) -> None:
        self.protocol = RequestProtocol(lambda frame, now_s: None)
        self.board: VirtualBoard = Bench(ratio_map=tile_map()).board
        self.to_board = Pipe(to_board, f"{seed} to-board", Counter())
        self.to_host = Pipe(to_host, f"{seed} to-host", Counter())
        self.now_us = 0

    def step(self, us: int = 5000) -> None:
        self.now_us += us
        while data := self.protocol.transmit(self.now_us * 1e-6):
            self.to_board.put(data, self.now_us)
        self.board.receive(bytes(self.to_board.take(self.now_us)))
        self.to_host.put(self.board.poll(self.now_us, room=2048), self.now_us)
        self.protocol.receive(bytes(self.to_host.take(self.now_us)), self.now_us * 1e-6)


@settings(max_examples=40, deadline=None)
@given(bad_ways, bad_ways, st.integers(0, 2**32), st.data())
def test_every_request_ends_on_any_line(
    to_board: Direction, to_host: Direction, seed: int, data: st.DataObject
) -> None:
    line = Line(to_board, to_host, seed)
    body = HelloRequest(1024, "fuzz").pack()
    requests = [line.protocol.submit(MessageType.HELLO, body, timeout_s=3)]
    kinds = st.sampled_from([kind for kind in MessageType if kind != MessageType.CONFIGURE])
    for kind, request in data.draw(st.lists(st.tuples(kinds, st.binary(max_size=60)), max_size=12)):
        requests.append(line.protocol.submit(kind, request, timeout_s=3))
    for _ in range(20_000):
        if all(request.done() for request in requests):
            break
        line.step()
    for request in requests:  # each is answered, refused, or given up in its time
        assert request.done()
        assert isinstance(request.exception() or BoardError("", 1, ""), BoardError | BoardLostError)


@settings(max_examples=60, deadline=None)
@given(lines, st.integers(0, 2**32))
def test_frames_that_are_no_answer_do_no_harm(pieces: list[bytes], seed: int) -> None:
    line = Line(Direction(), Direction(), seed)
    waiting = line.protocol.submit(MessageType.STATUS, timeout_s=30)
    for piece in pieces:
        line.protocol.receive(piece, line.now_us * 1e-6)
        line.protocol.transmit(line.now_us * 1e-6)
        line.now_us += 20_000
    line.protocol.receive(b"\0", line.now_us * 1e-6)
    # A frame of the fuzz that answers STATUS under the very number is an answer like any other.
    for _ in range(400):
        if waiting.done():
            break
        line.step()
    assert waiting.done()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_an_assembler_is_bounded_whatever_windows_come(seed: int, count: int) -> None:
    rng, limit, asked = random.Random(seed), 2000, [ResendRequest(0)]
    assembler = Assembler(limit, asked.append)
    assembler.begin(rng.randrange(3))
    for _ in range(count):
        number = rng.choice([rng.randrange(12), rng.randrange(400), rng.randrange(2**32)])
        match rng.randrange(6):
            case 0:
                total = rng.choice([0, rng.randrange(limit), rng.randrange(2**32)])
                kind = WindowKind.SCENE
                assembler.add_descriptor(WindowDescriptor(number, total, 0, kind, 0, bytes(8), 0))
            case 1:
                assembler.give_up(number)
            case 2:
                assembler.answered(rng.choice(asked))
            case 3:
                assembler.nothing_under_way(number)
            case _:
                offset = rng.choice([0, rng.randrange(limit), rng.randrange(2**32)])
                assembler.add_fragment(
                    Fragment(number, offset, rng.randbytes(rng.randrange(1, 99)))
                )
        assert len(assembler._windows) <= MAX_WINDOWS_AHEAD
        assert len(assembler._repairs) <= MAX_REPAIRS
        assert all(len(window.pieces._data) <= limit for window in assembler._windows.values())
    for descriptor, data in assembler.take():
        assert len(data) == descriptor.total
