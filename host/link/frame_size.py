"""How long frames should be on a line that damages some of them.

A damaged bit costs its whole frame. On a good line long frames are cheaper, on a bad one short
ones; what is best for the line at hand shows in how many frames arrive damaged.
"""

from __future__ import annotations

import math

from focalloop.firmware_sim.wire import MIN_MAX_PAYLOAD

TOLERATED = 0.1
"""Share of the longest frames that may be damaged."""

KEPT = (TOLERATED / 4, TOLERATED * 1.5)
"""Shares between which a length is kept: two judgements of the same line differ by chance."""

BAD_TO_JUDGE = 64
"""Damaged frames after which a line is judged: their number is then right within an eighth."""

BAD_TO_SEE = 8
"""Damaged frames that are enough where they are more than the whole ones."""

BYTES_TO_JUDGE = 8 << 20
"""Bytes after which a line that damages fewer is judged, and longer frames are tried again."""


class FrameSize:
    """Watches the frames that come, and says how long their bodies should be.

    Parameters
    ----------
    longest : int
        Longest body that both sides take, in bytes.

    Attributes
    ----------
    wanted : int
        Longest body that the line is good for: `longest`, or a smaller power of two.
    """

    def __init__(self, longest: int) -> None:
        self.longest = self.wanted = longest
        self._before = (0, 0, 0)

    def limit(self, longest: int) -> None:
        """Take note of what the board at the other end takes."""
        self.longest = longest
        self.wanted = min(self.wanted, longest)

    def begin(self, received: int, good: int, bad: int) -> None:
        """Count from here on: frames of the length agreed on come from now."""
        self._before = received, good, bad

    def judge(self, received: int, good: int, bad: int) -> bool:
        """Look at the counters of a line; return whether `wanted` has changed.

        Parameters
        ----------
        received : int
            Bytes so far.
        good, bad : int
            Frames so far that were whole, and damaged.
        """
        length, whole, broken = (
            now - then for now, then in zip((received, good, bad), self._before, strict=True)
        )
        mostly_bad = broken >= BAD_TO_SEE and broken > whole
        if broken < BAD_TO_JUDGE and not mostly_bad and length < BYTES_TO_JUDGE:
            return False
        self.begin(received, good, bad)
        frames = whole + broken
        share = (broken + 0.5) / (frames + 1)  # never 0 nor 1
        errors_per_byte = -math.log1p(-share) * frames / length
        fit = min(self.longest, max(MIN_MAX_PAYLOAD, _power_of_two(TOLERATED / errors_per_byte)))
        if KEPT[0] <= errors_per_byte * self.wanted <= KEPT[1] or fit == self.wanted:
            return False
        self.wanted = fit
        return True

    def shorten(self) -> bool:
        """Want much shorter frames, as what is long does not come through; False if none are."""
        if self.wanted <= MIN_MAX_PAYLOAD:
            return False
        self.wanted = max(MIN_MAX_PAYLOAD, _power_of_two(self.wanted / 4))
        return True


def _power_of_two(most: float) -> int:
    """Greatest power of two that is not above `most`, which is 1 or more."""
    return 1 << int(math.log2(max(1.0, most)))
