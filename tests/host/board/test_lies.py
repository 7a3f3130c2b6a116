"""A board that sends well-formed lies neither hangs nor fools the host: an error names each."""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.wire import (
    FLAG_ERROR,
    FLAG_RESPONSE,
    ErrorAnswer,
    Feature,
    HelloAnswer,
    MessageType,
    TimeSyncAnswer,
    UploadBeginAnswer,
    UploadCommitAnswer,
    WindowDescriptor,
    WindowKind,
    WindowNumber,
)
from focalloop.host.board import patience
from focalloop.host.board.client import Board
from focalloop.host.errors import CaptureError, FaultyBoardError, NotABoardError
from focalloop.host.link import connection
from tests.support.lying_board import LyingBoard, with_body
from tests.support.served import Scene, assert_exact, make_adaptive_map, make_map, on_tcp

ANSWERS = [
    MessageType.HELLO, MessageType.STATUS, MessageType.CONFIGURE, MessageType.UPLOAD_BEGIN,
    MessageType.UPLOAD_CHUNK, MessageType.UPLOAD_COMMIT, MessageType.ARM, MessageType.STREAM_START,
    MessageType.STREAM_CREDIT, MessageType.STREAM_STOP, MessageType.RESEND,
    MessageType.DARK_CAPTURE, MessageType.CALIBRATION_CAPTURE, MessageType.TIME_SYNC,
    MessageType.SCENE, MessageType.GRID,
]  # fmt: skip
UNASKED = [MessageType.WINDOW, MessageType.READOUT, MessageType.SCENE_DATA, MessageType.LOG]

LIMIT_S = 30.0
"""Longest time that any lie may hold a whole session; most take less than a second."""


def every(type_, lie):
    """Tell a lie whenever a frame of this type is due."""
    return lambda frame: lie(frame) if frame.type == type_ else (frame,)


class Replayed:
    """Sends the first body of a type again and again, or that of the latest other frame."""

    def __init__(self, type_, other):
        self.type, self.other, self.body = type_, other, None

    def __call__(self, frame):
        if frame.type != self.type:
            if self.other:
                self.body = frame.body
            return (frame,)
        if self.body is None:
            self.body = frame.body
        return (replace(frame, body=self.body),)


def lies(type_):
    """The lies about a message, by name."""

    def body(change):
        return every(type_, with_body(change))

    yield "empty", body(lambda data: b"")
    yield "a byte short", body(lambda data: data[:-1])
    yield "a byte long", body(lambda data: data + b"\0")
    yield "very long", body(lambda data: data + bytes(900))
    yield "zeros", body(lambda data: bytes(len(data)))
    yield "huge counts", body(lambda data: b"\xff" * len(data))
    yield "a huge first count", body(lambda data: b"\xff" * 4 + data[4:])
    yield "a huge second count", body(lambda data: data[:4] + b"\xff" * 4 + data[8:])
    yield "nothing", every(type_, lambda frame: ())
    yield "twice", every(type_, lambda frame: (frame, frame))
    yield (
        "another sequence number",
        every(type_, lambda frame: (replace(frame, sequence=(frame.sequence + 1) % 65536),)),
    )
    yield "another type", every(type_, lambda frame: (replace(frame, type=frame.type ^ 0x40),))
    yield "the first again", Replayed(type_, other=False)
    yield "the body of another message", Replayed(type_, other=True)
    if type_ in ANSWERS:
        yield "an unasked frame", every(type_, lambda frame: (replace(frame, flags=0),))
        refusal = FLAG_RESPONSE | FLAG_ERROR
        yield (
            "an empty refusal",
            every(type_, lambda frame: (replace(frame, flags=refusal, body=b""),)),
        )
        said = ErrorAnswer(0xFFFF, "\x1b]0;owned\x07\x1b[2J\r\nno").pack()
        yield (
            "a refusal with escape codes",
            every(type_, lambda frame: (replace(frame, flags=refusal, body=said),)),
        )
    else:
        yield "an answer", every(type_, lambda frame: (replace(frame, flags=FLAG_RESPONSE),))


@pytest.fixture
def quick(monkeypatch):
    """Let the host run out of patience soon."""
    monkeypatch.setattr(patience, "STALL_S", 0.4)
    monkeypatch.setattr(patience, "WINDOW_S", 3.0)
    monkeypatch.setattr(connection, "SLOW_TIMEOUT_S", 1.0)


@pytest.fixture
def tracebacks(monkeypatch, caplog):
    """What threads and callbacks print of errors that nobody catches."""
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda what: seen.append(repr(what)))
    with caplog.at_level(logging.ERROR, "concurrent.futures"):
        yield seen
    seen += [record.getMessage() for record in caplog.records]


def session(url, exact=True):
    """Use every request of a board; what it sends must be what it is or an error."""
    with Board.open(
        url,
        timeout_s=0.6,
        reconnect_timeout_s=0.6,
        on_event=lambda text: None,
        on_log=lambda level, text: None,
    ) as board:
        board.upload(make_map())
        board.status()
        board.time_sync()
        board.arm()
        board.configure(seed=3)
        windows = board.capture(2)
        assert len(windows) == 2
        scene = board.scene(windows[-1].number, 0, 4)
        dark, flat = board.dark_capture(2, 2), board.calibration_capture(4, 0.5, 2)
        assert len(dark) == len(flat) == 2
        if exact:
            for window in windows + dark + flat:
                assert_exact(window)
            truth = Scene().window(windows[-1].number)[::4]
            np.testing.assert_array_equal(scene, truth)
        made = board.upload(make_adaptive_map())
        board.set_grid(board.status().next_window + 1, np.ones(made.grid_shape, int))
        windows = board.capture(2)
        if exact:
            for window in windows:
                assert_exact(window)


def check_sentence(text):
    """Fail unless `text` is for a person: one line, without escape codes or Python's own words."""
    assert text.isprintable(), repr(text)
    assert not any(word in text for word in ("Traceback", " object at ", "Error(", "NoneType"))
    assert 10 < len(text) < 500


def hold_out(lie, exact=True):
    """Run a session against a lie and return how it ended, and after how long."""
    begun_s = time.monotonic()
    with on_tcp(LyingBoard(lie, max_payload=1024)) as server:
        try:
            session(server.url, exact)
        except FocalloopError as error:
            check_sentence(str(error))
    return time.monotonic() - begun_s


@pytest.mark.parametrize("type_", [*ANSWERS, *UNASKED], ids=lambda type_: type_.name)
def test_no_lie_hangs_or_fools_the_host(type_, quick, tracebacks):
    # No frame tells that the bytes of a picture are wrong.
    exact = type_ not in (MessageType.READOUT, MessageType.SCENE_DATA)
    with ThreadPoolExecutor(20) as pool:
        running = {name: pool.submit(hold_out, lie, exact) for name, lie in lies(type_)}
    failed = {name: repr(done.exception()) for name, done in running.items() if done.exception()}
    assert not failed
    slow = {name: done.result() for name, done in running.items() if done.result() > LIMIT_S}
    assert not slow
    assert not tracebacks


def of_hello(**changes):
    return MessageType.HELLO, lambda data: replace(HelloAnswer.unpack(data), **changes).pack()


def of_window(**changes):
    return (
        MessageType.WINDOW,
        lambda data: replace(WindowDescriptor.unpack(data), **changes).pack(),
    )


def of_first_window(number):
    return MessageType.STREAM_START, lambda data: WindowNumber(number).pack()


OTHER_HASH = bytes(range(32))


@pytest.mark.parametrize(
    ("told", "error", "says"),
    [
        (of_hello(max_payload=255), FaultyBoardError, "max_payload is 255, which is 256 or more"),
        (of_hello(height=0), FaultyBoardError, "pixels high and wide"),
        (of_hello(height=65535, width=65535), FaultyBoardError, "exceeds the limit"),
        (of_hello(slots=0), FaultyBoardError, "0 slots|slots"),
        (of_hello(slots=15), FaultyBoardError, "does not divide"),
        (of_hello(height=8192, width=8192, slots=240), FaultyBoardError, "its slots is 240"),
        (of_hello(bits=0), FaultyBoardError, "its bits is 0, which is 1 to 16"),
        (of_hello(bits=200), FaultyBoardError, "its bits is 200, which is 1 to 16"),
        (of_hello(black_level_dn=math.nan), FaultyBoardError, "black_level_dn is nan"),
        (of_hello(black_level_dn=-1.0), FaultyBoardError, "black_level_dn is -1"),
        (of_hello(full_scale_dn=math.nan), FaultyBoardError, "full_scale_dn is nan"),
        (of_hello(full_scale_dn=math.inf), FaultyBoardError, "full_scale_dn is inf"),
        (of_hello(full_scale_dn=0.0), FaultyBoardError, "full_scale_dn is 0, which is above 0"),
        (of_hello(level_set=()), FaultyBoardError, "1 to 16 different levels"),
        (of_hello(level_set=(0,)), FaultyBoardError, "highest level is 0, which is above 0"),
        (of_hello(level_set=(0, 3)), FaultyBoardError, "does not divide"),
        (of_hello(level_set=(2, 1)), FaultyBoardError, "ascending"),
        (of_hello(max_in_flight=0), FaultyBoardError, "max_in_flight is 0"),
        (of_hello(held_windows=0), FaultyBoardError, "held_windows is 0"),
        (of_hello(slot_rate_hz=math.nan), FaultyBoardError, "slot_rate_hz is nan"),
        (of_hello(slot_rate_hz=1e-30), FaultyBoardError, "slot_rate_hz is 1e-30"),
        (of_hello(name="\x1b[31mred\x07\n"), None, ""),
        (
            (MessageType.HELLO, lambda data: data[:-1]),
            NotABoardError,
            "what answers at .* is not a board",
        ),
        (of_window(kind=WindowKind.DARK), FaultyBoardError, "came as a dark window"),
        (of_window(level=4), FaultyBoardError, "of level 4"),
        (of_window(total=2**32 - 1), FaultyBoardError, "window 0 whole.*4294967295 bytes, of at"),
        (of_window(total=2), CaptureError, "window 0 has 2 bytes, but its ratio map asks for"),
        (of_window(window=77), FaultyBoardError, "does not send window 0 whole"),
        (of_window(time_us=2**64 - 1), FaultyBoardError, "its clock is faulty"),
        (
            (MessageType.WINDOW, lambda data: data[:16] + b"\x07" + data[17:]),
            FaultyBoardError,
            "does not send window 0 whole: .*7 is not a WindowKind",
        ),
        (of_first_window(2**32 - 1), FaultyBoardError, "its next window is 4294967295"),
        (of_first_window(9), FaultyBoardError, "does not send window 9 whole"),
        (
            (MessageType.STREAM_START, lambda data: b""),
            FaultyBoardError,
            "answers STREAM_START against the protocol",
        ),
        (
            (MessageType.DARK_CAPTURE, lambda data: b""),
            FaultyBoardError,
            "answers DARK_CAPTURE against the protocol",
        ),
        (
            (MessageType.UPLOAD_COMMIT, lambda data: UploadCommitAnswer(OTHER_HASH).pack()),
            FaultyBoardError,
            "says that it runs 0001020304050607",
        ),
        (
            (MessageType.UPLOAD_BEGIN, lambda data: UploadBeginAnswer(0, 0, 0).pack()),
            FaultyBoardError,
            "chunks of 0 bytes",
        ),
        (
            (MessageType.UPLOAD_BEGIN, lambda data: UploadBeginAnswer(2**31, 0, 512).pack()),
            FaultyBoardError,
            "wants byte 2147483648",
        ),
        (
            (MessageType.TIME_SYNC, lambda data: TimeSyncAnswer(2**64 - 1).pack()),
            FaultyBoardError,
            "its clock is faulty",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(told, error, says, quick, tracebacks):
    type_, change = told
    lie = every(type_, with_body(change))
    with on_tcp(LyingBoard(lie, max_payload=1024)) as server:
        if error is None:
            session(server.url)
            return
        with pytest.raises(error, match=says) as caught:
            session(server.url)
    check_sentence(str(caught.value))
    assert not tracebacks


def test_readouts_of_half_the_length_are_not_taken_for_bytes(quick):
    def halve(frame):
        if frame.type == MessageType.WINDOW:
            told = WindowDescriptor.unpack(frame.body)
            return (replace(frame, body=replace(told, total=told.total // 2).pack()),)
        return (frame,)

    with on_tcp(LyingBoard(halve)) as server, Board.open(server.url) as board:
        board.upload(make_map())
        with pytest.raises(CaptureError, match=r"samples of 16 bits: board and host disagree"):
            board.capture()


def test_another_map_in_mid_stream_is_not_believed():
    uniform = []

    def swap(frame):
        if frame.type == MessageType.WINDOW and uniform:
            told = WindowDescriptor.unpack(frame.body)
            return (replace(frame, body=replace(told, map_hash=uniform[0]).pack()),)
        return (frame,)

    with on_tcp(LyingBoard(swap)) as server, Board.open(server.url) as board:
        board.upload(make_map())
        uniform.append(make_map().hash()[:8])
        with pytest.raises(FaultyBoardError, match="not what was asked for"):
            board.dark_capture(2)
        assert board.info.features & Feature.CALIBRATION
