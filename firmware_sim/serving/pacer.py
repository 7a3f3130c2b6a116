"""The pace of a serial line, where nothing but a program keeps it."""

from __future__ import annotations

from focalloop.firmware_sim.virtual_board.board import POLL_BYTES

BITS_PER_BYTE = 10
"""On a UART: one start bit, eight data bits, one stop bit."""

STEP_US = 2000
"""A paced line passes what fits in this time at once, so that it need not wake for every byte."""


class Pacer:
    """Says how many bytes may pass now, so that they pass at a UART's rate, without drift.

    Parameters
    ----------
    baud : int
        Bits a second; 0 lets everything pass.
    """

    def __init__(self, baud: int) -> None:
        self._byte_us = BITS_PER_BYTE * 1e6 / baud if baud else 0.0
        self._free_us = 0.0

    def allowance(self, now_us: float) -> int:
        """Bytes that may have passed by `now_us` and are not yet counted."""
        if not self._byte_us:
            return POLL_BYTES
        return max(0, int((now_us - self._free_us) / self._byte_us))

    def spend(self, count: int) -> None:
        """Count bytes that passed."""
        self._free_us += count * self._byte_us

    def idle_until(self, now_us: float) -> None:
        """Note that the line had nothing to carry: time before `now_us` is not made up for."""
        self._free_us = max(self._free_us, now_us)

    def due_us(self, count: int) -> float:
        """When `count` bytes, or a step's worth if that is fewer, will have passed."""
        step = max(1, int(STEP_US / self._byte_us)) if self._byte_us else count
        return self._free_us + min(count, step) * self._byte_us
