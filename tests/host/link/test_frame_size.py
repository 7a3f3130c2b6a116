"""The length of frames follows the line: short on a bad line, long again on a good one."""

from __future__ import annotations

import random

import pytest

from focalloop.firmware_sim.wire import LARGE_MAX_PAYLOAD, MIN_MAX_PAYLOAD
from focalloop.host.link.frame_size import FrameSize


class Line:
    """Counters of a line on which each bit is flipped with one probability."""

    def __init__(self, flips: float) -> None:
        self.flips, self.rng = flips, random.Random(1)
        self.received = self.good = self.bad = 0

    def carry(self, payload: int) -> tuple[int, int, int]:
        self.received += payload
        whole = self.rng.random() < (1 - self.flips) ** (8 * payload)
        self.good, self.bad = self.good + whole, self.bad + (not whole)
        return self.received, self.good, self.bad


def lengths(size: FrameSize, line: Line, count: int) -> list[int]:
    size.begin(line.received, line.good, line.bad)
    changes = []
    for _ in range(count):
        if size.judge(*line.carry(size.wanted)):
            size.begin(line.received, line.good, line.bad)
            changes.append(size.wanted)
    return changes


@pytest.mark.parametrize(
    ("flips", "fit"), [(0.0, 32768), (1e-7, 32768), (1e-6, 8192), (1e-5, 1024), (1e-4, 256)]
)
def test_a_length_that_mostly_gets_through_is_found_and_kept(flips: float, fit: int) -> None:
    changes = lengths(FrameSize(LARGE_MAX_PAYLOAD), Line(flips), 30_000)
    assert (changes or [LARGE_MAX_PAYLOAD])[-1] in (fit, fit // 2, fit * 2)
    assert len(changes) <= 2


def test_a_line_that_gets_better_gets_long_frames_again() -> None:
    size = FrameSize(LARGE_MAX_PAYLOAD)
    lengths(size, Line(1e-3), 1000)
    assert size.wanted == MIN_MAX_PAYLOAD
    lengths(size, Line(0.0), 40_000)
    assert size.wanted == LARGE_MAX_PAYLOAD


def test_no_frame_is_longer_than_the_board_takes() -> None:
    size = FrameSize(LARGE_MAX_PAYLOAD)
    size.limit(1024)
    assert lengths(size, Line(0.0), 20_000) == []
    assert size.wanted == 1024


def test_frames_that_do_not_get_through_are_shortened_to_the_minimum() -> None:
    size = FrameSize(2048)
    assert [size.shorten(), size.wanted] == [True, 512]
    assert [size.shorten(), size.wanted] == [True, MIN_MAX_PAYLOAD]
    assert not size.shorten()


def test_no_frame_is_shorter_than_some_request_needs() -> None:
    size = FrameSize(2048)
    assert size.shorten()
    assert size.need(700)
    assert size.wanted == 700
    assert not size.need(388)
    assert [size.shorten(), size.wanted, size.shorten()] == [True, 388, False]
    assert size.judge(100_000, 10, 90) is False
    size.need(0)
    assert [size.shorten(), size.wanted] == [True, MIN_MAX_PAYLOAD]
