"""When frames are shown: where they come unevenly, they are sampled at even times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

MAX_HELD_S = 10.0
"""Longest pause between frames of variable rate that is kept as frames; a longer one is a cut."""

Frame = TypeVar("Frame")


def even_interval(times: Sequence[float], tick: float) -> float | None:
    """Return the interval to sample at, in seconds; None where frames come evenly already.

    Parameters
    ----------
    times : sequence of float
        When each frame is shown, in seconds and ascending.
    tick : float
        The resolution of the times, in seconds, such as 0.01 for a GIF.
    """
    shown = np.unique(times)
    steps = np.diff(shown)
    if len(steps) < 2:
        return None
    if np.abs(shown - np.linspace(shown[0], shown[-1], len(shown))).max() <= 1.01 * tick:
        return None
    usual = float(np.median(steps))
    # Timestamps of whole milliseconds move a frame by one at most.
    varies = bool((np.abs(steps - usual) > max(0.25 * usual, 0.0015)).any())
    return usual if varies else None


def sampling_note(path: Path, interval: float) -> str:
    """Tell that frames of a file come unevenly, and how they are sampled."""
    return (
        f"{path} has a variable frame rate, or lacks frames: one is taken every "
        f"{1000 * interval:.3g} ms, and repeats while none is newer"
    )


def evenly(timed: Iterable[tuple[float | None, Frame]], interval: float) -> Iterator[Frame]:
    """Yield the frame that is shown at each multiple of `interval`, from the first frame on.

    Parameters
    ----------
    timed : iterable of tuple
        When a frame is shown, in seconds, if that is known, and the frame.
    """
    shown: Frame | None = None
    next_time = 0.0
    for time, frame in timed:
        if shown is None or time is None:
            next_time = (time or next_time) + interval
            yield frame
            shown = frame
            continue
        if not -MAX_HELD_S < time - next_time < MAX_HELD_S:
            next_time = time
        # Half an interval of slack, so that jitter does not repeat one frame and drop the next.
        while next_time < time - interval / 2:
            yield shown
            next_time += interval
        if next_time < time + interval / 2:
            yield frame
            next_time += interval
        shown = frame
