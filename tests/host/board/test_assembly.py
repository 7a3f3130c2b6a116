"""Readouts from fragments that are lost, doubled and shuffled: exact, or reported lost."""

from __future__ import annotations

import random

from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.wire import Fragment, ResendRequest, WindowDescriptor, WindowKind
from focalloop.host.board.assembly import Assembler, Pieces

FIRST = 5


def descriptor(number, total):
    return WindowDescriptor(number, total, 10 * number, WindowKind.SCENE, 0, bytes(8), 0)


def readout(number, total):
    return random.Random(number).randbytes(total)


class BoardSide:
    """Sends windows in fragments, and sends again what is asked for while it holds the window."""

    def __init__(self, total, payload, held=8):
        self.total, self.payload, self.held = total, payload, held
        self.next = FIRST
        self.asked = []
        self.gone = []

    def ask(self, request):
        self.asked.append(request)

    def expose(self):
        self.next += 1
        return self.parts(self.next - 1)

    def parts(self, number, offset=0, length=0):
        data = readout(number, self.total)
        stop = offset + length if length else self.total
        offset = min(offset, self.total)
        yield from [] if length else [descriptor(number, self.total)]
        for start in range(offset, stop, self.payload):
            yield Fragment(number, start, data[start : min(stop, start + self.payload)])

    def again(self, assembler=None):
        requests, self.asked = self.asked, []
        for request in requests:
            if assembler:
                assembler.answered(request)
            if request.window < self.next - self.held:
                self.gone.append(request.window)
            else:
                yield from self.parts(request.window, request.offset, request.length)


def put(assembler, part):
    if isinstance(part, Fragment):
        assembler.add_fragment(part)
    else:
        assembler.add_descriptor(part)


def check(taken, total):
    for announced, data in taken:
        assert data == readout(announced.window, total)


def test_a_clean_line_needs_nothing_again():
    board = BoardSide(1000, 64)
    assembler = Assembler(1000, board.ask)
    assembler.begin(FIRST)
    for _ in range(3):
        for part in board.expose():
            put(assembler, part)
    taken = assembler.take()
    check(taken, 1000)
    assert [announced.window for announced, _ in taken] == [5, 6, 7]
    assert board.asked == []


def test_a_missing_middle_is_asked_for_at_once_and_only_it():
    board = BoardSide(1000, 100)
    assembler = Assembler(1000, board.ask)
    assembler.begin(FIRST)
    parts = list(board.expose())
    for part in parts[:3] + parts[5:]:
        put(assembler, part)
    assert board.asked == [ResendRequest(FIRST, 200, 200)]
    assert assembler.take() == []
    for part in board.again():
        put(assembler, part)
    check(assembler.take(), 1000)


def test_a_missing_end_shows_when_the_next_window_comes_or_the_line_is_quiet():
    for by_silence in (False, True):
        board = BoardSide(1000, 100)
        assembler = Assembler(1000, board.ask)
        assembler.begin(FIRST)
        for part in list(board.expose())[:-2]:
            put(assembler, part)
        assert board.asked == []
        if by_silence:
            assembler.nothing_under_way(board.next)
        else:
            put(assembler, next(iter(board.expose())))
        assert board.asked == [ResendRequest(FIRST, 800, 200)]


def test_windows_that_never_showed_are_asked_for():
    board = BoardSide(300, 100)
    assembler = Assembler(300, board.ask)
    assembler.begin(FIRST)
    for _ in range(3):
        list(board.expose())
    assembler.nothing_under_way(board.next)
    assert board.asked == [ResendRequest(5), ResendRequest(6), ResendRequest(7)]
    for part in board.again():
        put(assembler, part)
    assert len(assembler.take()) == 3


def test_a_lost_window_is_left_out_and_counted():
    board = BoardSide(300, 100)
    assembler = Assembler(300, board.ask)
    assembler.begin(FIRST)
    list(board.expose())
    for part in board.expose():
        put(assembler, part)
    assert assembler.take() == []
    assembler.give_up(FIRST)
    assembler.give_up(FIRST)
    taken = assembler.take()
    assert [announced.window for announced, _ in taken] == [6]
    assert assembler.lost == 1


def test_frames_of_other_windows_change_nothing():
    board = BoardSide(300, 100)
    assembler = Assembler(300, board.ask)
    for part in board.parts(FIRST):
        put(assembler, part)  # before the first number is known
    assembler.begin(FIRST)
    for number in (FIRST - 1, FIRST + 5000):
        for part in board.parts(number):
            put(assembler, part)
    put(assembler, Fragment(FIRST, 10**9, b"far"))
    put(assembler, descriptor(FIRST, 10**9))
    assert assembler.take() == []


def test_an_empty_readout_is_whole_at_once():
    assembler = Assembler(300, lambda request: None)
    assembler.begin(0)
    put(assembler, descriptor(0, 0))
    ((announced, data),) = assembler.take()
    assert (announced.window, data) == (0, b"")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    total=st.integers(1, 400),
    payload=st.integers(4, 120),
    loss=st.floats(0, 0.6),
)
def test_every_window_comes_out_exact_and_in_order(seed, total, payload, loss):
    rng = random.Random(seed)
    board = BoardSide(total, payload)
    assembler = Assembler(total, board.ask)
    assembler.begin(FIRST)
    taken = []

    def carry(parts):
        parts = [part for part in parts for _ in range(rng.choice((1, 1, 1, 2)))]
        for i in range(len(parts) - 1):
            if rng.random() < 0.05:
                parts[i], parts[i + 1] = parts[i + 1], parts[i]
        for part in parts:
            if rng.random() >= loss:
                put(assembler, part)
        taken.extend(assembler.take())

    while board.next < FIRST + 12:
        if board.next - (assembler.next or 0) < board.held:
            carry(board.expose())
        carry(board.again(assembler))
        assembler.nothing_under_way(board.next)
    for _ in range(400):
        assembler.nothing_under_way(board.next)
        carry(board.again(assembler))
    assert [announced.window for announced, _ in taken] == list(range(FIRST, FIRST + 12))
    check(taken, total)
    assert assembler.lost == 0
    assert not board.gone


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=30))
def test_holes_are_exactly_what_is_not_held(ranges):
    pieces = Pieces(100)
    pieces.expect(60)
    held = set()
    for offset, length in ranges:
        stop = min(60, offset + length)
        pieces.put(offset, bytes(stop - offset))
        held |= set(range(offset, stop))
    missing = {i for offset, length in pieces.holes() for i in range(offset, offset + length)}
    assert missing == set(range(60)) - held
    assert pieces.complete == (not missing)
