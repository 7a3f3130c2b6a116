"""The two threads between a port and the request protocol, with a port that a test controls."""

import queue

import pytest

from focalloop.firmware_sim.wire import FLAG_RESPONSE, Frame, FrameDecoder, MessageType
from focalloop.host.errors import BoardLostError
from focalloop.host.link.io_threads import Link
from tests.support.waiting import wait_until


class Board:
    """A port that answers every request at once, and sends an unasked frame right behind."""

    def __init__(self):
        self.decoder = FrameDecoder()
        self.arriving = queue.Queue()
        self.fault = None
        self.closed = False

    def read(self):
        try:
            data = self.arriving.get(timeout=0.02)
        except queue.Empty:
            return b""
        if isinstance(data, Exception):
            raise data
        return data

    def write(self, data):
        if self.fault is not None:
            raise self.fault
        for request in self.decoder.feed(data):
            answer = Frame(request.type, request.sequence, b"answer", FLAG_RESPONSE)
            self.arriving.put(answer.encode() + Frame(MessageType.LOG, 0, b"log").encode())

    def close(self):
        self.closed = True


class Listener:
    """Records what a link tells it."""

    def __init__(self):
        self.heard, self.ticks = [], 0

    def on_frame(self, frame, now_s):
        self.heard.append(frame.body)

    def on_status(self, body):
        self.heard.append(body)

    def on_tick(self, now_s):
        self.ticks += 1


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def failures():
    return []


@pytest.fixture
def link(board, listener, failures):
    link = Link(board, 921600, listener, failures.append)
    yield link
    link.close()
    assert board.closed


def test_an_answer_is_taken_before_the_frame_behind_it(link, listener):
    for _ in range(200):
        answer = link.submit(MessageType.STATUS, b"", listener.heard.append)
        assert answer.result(5) == b"answer"
    wait_until(lambda: len(listener.heard) == 400)
    assert listener.heard == [b"answer", b"log"] * 200
    assert listener.ticks


@pytest.mark.parametrize(
    ("fault", "words"), [(OSError(5, "gone"), "port is gone"), (TimeoutError(), "takes no bytes")]
)
def test_a_port_that_fails_fails_every_request_once(link, board, failures, fault, words):
    board.fault = fault
    waiting = [link.submit(MessageType.STATUS) for _ in range(3)]
    for answer in waiting:
        with pytest.raises(BoardLostError, match=words):
            answer.result(5)
    wait_until(lambda: failures)
    with pytest.raises(BoardLostError, match=words):
        link.request(MessageType.STATUS)
    assert failures == [link.failure]


def test_a_port_that_cannot_be_read_fails_too(link, board, failures):
    board.arriving.put(OSError("the other end hung up"))
    wait_until(lambda: failures)
    assert "hung up" in str(link.failure)


def test_closing_fails_what_is_unanswered_and_is_no_failure(board, listener, failures):
    board.write = lambda data: None
    link = Link(board, 921600, listener, failures.append)
    waiting = link.submit(MessageType.STATUS)
    link.close()
    with pytest.raises(BoardLostError, match="closed"):
        waiting.result(0)
    assert not failures
