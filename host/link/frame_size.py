"""How long frames should be on a line that damages some of them.

A wrong bit costs its whole frame. Long frames are cheaper on a good line, short ones on a bad line.
Which this line is shows in how many frames arrive damaged. The driver calls this, in the link's
writer and, for an upload that does not get through, in the user's thread.
"""

from __future__ import annotations

import math

from focalloop.firmware_sim.wire import MIN_MAX_PAYLOAD

MAX_DAMAGED_SHARE = 0.1
"""Share of the longest frames that may be damaged."""

KEPT_SHARES = (MAX_DAMAGED_SHARE / 4, MAX_DAMAGED_SHARE * 1.5)
"""Shares between which a length is kept: two judgements of the same line differ by chance."""

BAD_FRAMES_TO_JUDGE = 64
"""Damaged frames after which a line is judged: an eighth of that is its standard error."""

BAD_FRAMES_IF_MOST = 8
"""Damaged frames after which a line is judged if fewer arrived whole."""

BYTES_TO_JUDGE = 8 << 20
"""Bytes after which any line is judged, so that longer frames are tried again."""


class FrameSize:
    """Watches the frames that arrive, and says how long their bodies should be.

    Parameters
    ----------
    longest : int
        Longest body that both sides accept, in bytes.

    Attributes
    ----------
    wanted : int
        Longest body that suits the line: `longest`, or a smaller power of two that is no less than
        some request needs.
    """

    def __init__(self, longest: int) -> None:
        self.longest = self.wanted = longest
        self._shortest = MIN_MAX_PAYLOAD
        self._before = (0, 0, 0)

    def limit(self, longest: int) -> None:
        """Keep to the longest body that the board accepts."""
        self.longest = longest
        self.wanted = min(self.wanted, longest)

    def need(self, shortest: int) -> bool:
        """Want frames for bodies of `shortest` bytes; return whether `wanted` has changed."""
        self._shortest = max(MIN_MAX_PAYLOAD, shortest)
        grows = self.wanted < self._shortest
        self.wanted = max(self.wanted, self._shortest)
        return grows

    def begin(self, received: int, good: int, bad: int) -> None:
        """Count from these counters on: frames have the length agreed on from now."""
        self._before = received, good, bad

    def judge(self, received: int, good: int, bad: int) -> bool:
        """Judge the line by its counters; return whether `wanted` has changed.

        Parameters
        ----------
        received : int
            Bytes received so far.
        good, bad : int
            Frames received so far whole, and damaged.
        """
        length, whole, broken = (
            now - then for now, then in zip((received, good, bad), self._before, strict=True)
        )
        mostly_bad = broken >= BAD_FRAMES_IF_MOST and broken > whole
        if broken < BAD_FRAMES_TO_JUDGE and not mostly_bad and length < BYTES_TO_JUDGE:
            return False
        self.begin(received, good, bad)
        frames = whole + broken
        share = (broken + 0.5) / (frames + 1)  # neither 0 nor 1
        errors_per_byte = -math.log1p(-share) * frames / length
        fit = min(
            self.longest, max(self._shortest, _power_of_two(MAX_DAMAGED_SHARE / errors_per_byte))
        )
        if KEPT_SHARES[0] <= errors_per_byte * self.wanted <= KEPT_SHARES[1] or fit == self.wanted:
            return False
        self.wanted = fit
        return True

    def shorten(self) -> bool:
        """Want much shorter frames, as long ones do not get through. False if there are none."""
        if self.wanted <= self._shortest:
            return False
        self.wanted = max(self._shortest, _power_of_two(self.wanted / 4))
        return True


def _power_of_two(limit: float) -> int:
    """Return the greatest power of two up to `limit`, and at least 1."""
    return 1 << int(math.log2(max(1.0, limit)))
