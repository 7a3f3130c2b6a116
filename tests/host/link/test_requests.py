"""Requests over a line that damages what it carries, against the virtual board."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.firmware_sim.virtual_board.board import BoardSettings, VirtualBoard
from focalloop.firmware_sim.wire import (
    ErrorCode,
    Frame,
    HelloAnswer,
    HelloRequest,
    MessageType,
    ResendRequest,
    StatusAnswer,
)
from focalloop.host.errors import BoardError, BoardLostError, NoAnswerError
from focalloop.host.link.requests import RequestProtocol

HELLO = HelloRequest(1024, "test").pack()


class Line:
    """The protocol and a board in one thread and on one made-up clock, with a line between."""

    def __init__(self, damage=lambda data: data):
        self.unasked = []
        self.protocol = RequestProtocol(lambda frame, now_s: self.unasked.append(frame))
        self.board = VirtualBoard(
            SyntheticScene(8, 8), BoardSettings(profile=preset("paper")), new_boot_id=lambda: 7
        )
        self.damage = damage
        self.now_s = 100.0
        self.sent = []

    def step(self):
        while data := self.protocol.transmit(self.now_s):
            self.sent.append(data)
            self.board.receive(self.damage(data))
        data = self.board.poll(int(self.now_s * 1e6))
        if data:
            self.protocol.receive(self.damage(data), self.now_s)
        self.now_s += 0.01

    def answer(self, request):
        for _ in range(8000):
            if request.done():
                return request.result()
            self.step()
        raise AssertionError("a request was neither answered nor given up in 80 s")


def mangler(seed, rate):
    """Flip, drop or double bytes, each with a probability of `rate`."""
    rng = random.Random(seed)

    def damage(data):
        out = bytearray()
        for byte in data:
            fate = rng.random() / rate
            if fate < 1:
                out.append(byte ^ (1 << rng.randrange(8)))
            elif fate < 2:
                pass
            elif fate < 3:
                out += bytes([byte, byte])
            else:
                out.append(byte)
        return bytes(out)

    return damage


def test_answers_come_back_to_their_requests():
    line = Line()
    hello = HelloAnswer.unpack(line.answer(line.protocol.submit(MessageType.HELLO, HELLO)))
    assert hello.shape == (8, 8)
    requests = [
        line.protocol.submit(MessageType.RESEND, ResendRequest(number).pack())
        for number in range(20)
    ]
    for number, request in enumerate(requests):
        with pytest.raises(BoardError, match=f"window {number} is not held"):
            line.answer(request)
    assert line.protocol.repeats == 0


def test_a_refusal_is_an_error_with_code_and_words():
    line = Line()
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    with pytest.raises(BoardError) as refused:
        line.answer(line.protocol.submit(MessageType.ARM))
    assert refused.value.code is ErrorCode.NO_MAP
    assert "ARM" in str(refused.value)
    assert refused.value.text in str(refused.value)


def test_no_more_requests_in_flight_than_the_board_takes():
    line = Line(damage=lambda data: b"")
    line.protocol.max_in_flight = 3
    for _ in range(10):
        line.protocol.submit(MessageType.STATUS)
    line.step()
    assert len(line.sent) == 3


def test_a_silent_board_is_given_up_after_the_timeout():
    line = Line(damage=lambda data: b"")
    request = line.protocol.submit(MessageType.STATUS, timeout_s=2.0)
    with pytest.raises(NoAnswerError, match="STATUS"):
        line.answer(request)
    assert len(line.sent) > 2
    assert len(set(line.sent)) == 1, "a repeat must be the very same bytes"


def test_a_board_that_dies_is_noticed_and_requests_fail():
    line = Line()
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    line.protocol.keep_alive = True
    for _ in range(300):  # the polls alone keep it alive
        line.step()
    line.damage = lambda data: b""
    with pytest.raises(BoardLostError, match="has been silent"):  # noqa: PT012
        for _ in range(200):
            line.step()
    waiting = line.protocol.submit(MessageType.STATUS)
    line.protocol.fail(BoardLostError("gone"))
    with pytest.raises(BoardLostError, match="gone"):
        waiting.result(0)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("read_first", [False, True])
def test_a_pause_of_this_program_is_no_silence_of_the_board(asked, read_first):
    line = Line()
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    line.protocol.keep_alive = True
    request = line.protocol.submit(MessageType.STATUS, timeout_s=2.0)
    if asked:
        line.board.receive(line.protocol.transmit(line.now_s))
    line.now_s += 60
    if read_first:
        line.protocol.receive(line.board.poll(int(line.now_s * 1e6)), line.now_s)
    assert StatusAnswer.unpack(line.answer(request)).boot_id == 7
    line.damage = lambda data: b""
    with pytest.raises(BoardLostError, match="has been silent"):  # noqa: PT012
        for _ in range(30):  # so busy that this program runs now and then, and yet it is noticed
            line.step()
            line.now_s += 0.5


def test_a_board_may_take_its_time_for_a_slow_request():
    line = Line()
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    line.protocol.keep_alive = True
    poll, line.board.poll = line.board.poll, lambda now_us: b""
    request = line.protocol.submit(MessageType.CONFIGURE, b"{}", timeout_s=30, slow=True)
    for _ in range(500):
        line.step()
    line.board.poll = poll
    assert HelloAnswer.unpack(line.answer(request)).boot_id == 7


def test_garbage_is_no_sign_of_life():
    line = Line()
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    line.protocol.keep_alive = True
    noise = random.Random(1)
    line.damage = lambda data: noise.randbytes(4000)
    with pytest.raises(BoardLostError):  # noqa: PT012
        for _ in range(400):
            line.step()
            line.protocol.receive(noise.randbytes(2000), line.now_s)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), rate=st.sampled_from([0.0005, 0.001, 0.002]))
def test_requests_survive_a_damaged_line(seed, rate):
    line = Line(mangler(seed, rate))
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO, timeout_s=60))
    statuses = [line.protocol.submit(MessageType.STATUS, timeout_s=60) for _ in range(20)]
    for status in statuses:
        assert StatusAnswer.unpack(line.answer(status)).boot_id == 7


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.builds(
                lambda type_, sequence, body, flags: Frame(type_, sequence, body, flags).encode(),
                st.integers(0, 255),
                st.integers(0, 65535),
                st.binary(max_size=40),
                st.integers(0, 255),
            ),
        ),
        max_size=12,
    )
)
def test_nothing_a_peer_sends_breaks_the_protocol(pieces):
    line = Line()
    for piece in pieces:
        line.protocol.receive(piece, line.now_s)
    line.protocol.receive(b"\0", line.now_s)
    answer = line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    assert HelloAnswer.unpack(answer).slots == 16


def test_repeats_adapt_to_a_slow_line():
    line = Line()
    line.answer(line.protocol.submit(MessageType.HELLO, HELLO))
    held = []

    def slow(data):
        held.append((line.now_s + 0.3, data))
        due = b"".join(late for at, late in held if at <= line.now_s)
        held[:] = [(at, late) for at, late in held if at > line.now_s]
        return due

    receive, line.protocol.receive = line.protocol.receive, lambda data, now_s: None
    poll, line.board.poll = line.board.poll, lambda now_us: b""
    for _ in range(20):
        request = line.protocol.submit(MessageType.STATUS, timeout_s=5)
        while not request.done():
            line.step()
            receive(slow(poll(int(line.now_s * 1e6))), line.now_s)
    assert line.protocol.round_trip_s == pytest.approx(0.3, abs=0.05)
    assert line.protocol.repeats <= 3


def test_sequences_wrap_around(monkeypatch):
    monkeypatch.setattr(random, "randrange", lambda stop: stop - 1)
    line = Line()
    line.answer(line.protocol.submit(MessageType.STATUS))
    assert line.sent[-1] == Frame(MessageType.STATUS, 0).encode()
