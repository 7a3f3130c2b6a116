"""Slows a line without a rate of its own, such as a pseudo-terminal, to that of a serial line."""

from __future__ import annotations

from focalloop.firmware_sim.virtual_board.board import POLL_BYTES

BITS_PER_BYTE = 10
"""On a UART: one start bit, eight data bits, one stop bit."""

STEP_US = 2000
"""A paced line passes the bytes of this much time at once, rather than waking for every byte."""


class Pacer:
    """Computes how many bytes may pass now, at the rate of a UART and without drift.

    Parameters
    ----------
    baud : int
        Bits per second; 0 lets everything pass.
    """

    def __init__(self, baud: int) -> None:
        self._byte_us = BITS_PER_BYTE * 1e6 / baud if baud else 0.0
        self._free_us = 0.0

    def allowance(self, now_us: float) -> int:
        """Return the bytes that may pass by `now_us` beyond those already counted."""
        if not self._byte_us:
            return POLL_BYTES
        return max(0, int((now_us - self._free_us) / self._byte_us))

    def spend(self, count: int) -> None:
        """Count bytes that passed."""
        self._free_us += count * self._byte_us

    def idle_until(self, now_us: float) -> None:
        """Note that the line was idle: time before `now_us` is not made up for."""
        self._free_us = max(self._free_us, now_us)

    def due_us(self, count: int) -> float:
        """Return when `count` bytes, or those of one step if fewer, will have passed."""
        step = max(1, int(STEP_US / self._byte_us)) if self._byte_us else count
        return self._free_us + min(count, step) * self._byte_us
