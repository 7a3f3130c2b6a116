"""What a ratio map's reads ask of converter, link and power, and whether the hardware gives it.

A read falls due when its span ends, after a slot, and many fall due together. The value waits in
its pixel, sampled, until the converter comes to it in the order of the read plan; codes wait in the
board's memory until their window has ended and the link carries them. The schedule repeats with
the window, so everything here is of the steady state. ``docs/schedule.md`` derives the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import (
    DEFAULT_JOULES_PER_CONVERSION,
    DEFAULT_SLOT_RATE_HZ,
)
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import read_slots
from focalloop.firmware_sim.wire.framing import DEFAULT_MAX_PAYLOAD, MIN_MAX_PAYLOAD, encoded_limit
from focalloop.firmware_sim.wire.windows import FRAGMENT_OVERHEAD, WindowDescriptor

LEAST, MOST = 1e-15, 1e15
"""Range of every rate and energy, so that no quotient of them leaves that of floats."""

_ROUNDING = 1 + 1e-9
"""What needs exactly the rate there is fits, whichever way the division was rounded."""


class FeasibilityError(FocalloopError, ValueError):
    """A rate, energy or map that no schedule can be judged for; the message says which."""


@dataclass(frozen=True)
class Hardware:
    """What the sensor's surroundings can do.

    Parameters
    ----------
    slot_rate_hz : float
        Slots a second.
    adc_rate_hz : float, optional
        Conversions a second, of all converters together; None gives no verdict on them.
    link_rate_bytes_per_s : float, optional
        Bytes the link carries a second (a baud rate / 10); None gives no verdict on it.
    bits : int
        Bits a sample, 1..16; it travels as one byte up to 8, as two above.
    max_payload : int
        Longest frame body on the wire in bytes, 256..65535.
    joules_per_conversion : float
        Energy of one read.

    Raises
    ------
    FeasibilityError
        A value is out of its range: rates and energy are `LEAST` to `MOST`.
    """

    slot_rate_hz: float = DEFAULT_SLOT_RATE_HZ
    adc_rate_hz: float | None = None
    link_rate_bytes_per_s: float | None = None
    bits: int = 8
    max_payload: int = DEFAULT_MAX_PAYLOAD
    joules_per_conversion: float = DEFAULT_JOULES_PER_CONVERSION

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not LEAST <= value <= MOST:
                raise FeasibilityError(
                    f"{field.name} is a number above 0, from {LEAST:g} to {MOST:g}, not {value:g}"
                )
        if self.bits > 16:
            raise FeasibilityError(f"a sample has 1 to 16 bits, not {self.bits}")
        if not MIN_MAX_PAYLOAD <= self.max_payload <= 0xFFFF:
            raise FeasibilityError(
                f"the longest frame body is {MIN_MAX_PAYLOAD} to 65535 bytes, "
                f"not {self.max_payload}"
            )

    @property
    def bytes_per_sample(self) -> int:
        """Bytes that a sample takes in a readout."""
        return 1 if self.bits <= 8 else 2


@dataclass(frozen=True)
class Excess:
    """Reads that a slot has too many: `over` of its `reads` do not get through within a slot."""

    slot: int
    reads: int
    over: int


def wire_bytes(readout_bytes: int, max_payload: int) -> int:
    """Most bytes on the line for one window: descriptor and fragments, framed and COBS coded.

    COBS takes up to one byte in 254, fewer where the data has zeros. Answers to the host's
    requests, 14 bytes and more a request, come on top.
    """
    data = max_payload - FRAGMENT_OVERHEAD
    full, rest = divmod(readout_bytes, data)
    bodies = [WindowDescriptor.LAYOUT.size] + ([rest + FRAGMENT_OVERHEAD] if rest else [])
    return sum(_frame_bytes(body) for body in bodies) + full * _frame_bytes(max_payload)


def _frame_bytes(body: int) -> int:
    return encoded_limit(body) + 2  # the zero bytes around it


@dataclass(frozen=True, eq=False)
class Feasibility:
    """The reads of one map, period after period, against one `Hardware`.

    Make it with `of`. A verdict or figure that needs a rate not given is None.

    Attributes
    ----------
    hardware : Hardware
    levels : tuple of int
        Levels that the map has, ascending, without 0.
    reads : ndarray of int64, shape (levels, T)
        Reads of each level that fall due after each slot.
    latest_phase : int
        Slots after the window's end until the last read that covers it falls due; 0 unless
        staggered.
    """

    hardware: Hardware
    levels: tuple[int, ...]
    reads: NDArray[np.int64]
    latest_phase: int = 0

    @classmethod
    def of(
        cls, ratio_map: RatioMap, hardware: Hardware, phases: NDArray[np.uint8] | None = None
    ) -> Feasibility:
        """Count the reads of `ratio_map`, under `phases` (H, W) of `staggering`.

        Raises
        ------
        FeasibilityError
            The map measures nothing.
        """
        slots = ratio_map.slots
        levels = tuple(int(level) for level in np.unique(ratio_map.levels) if level)
        if not levels:
            raise FeasibilityError("the ratio map measures nothing: every pixel has level 0")
        reads = np.zeros((len(levels), slots), np.int64)
        for row, level in zip(reads, levels, strict=True):
            here = ratio_map.levels == level
            of_level = np.zeros(1, np.int64) if phases is None else phases[here]
            pixels = np.bincount(of_level)
            if phases is None:
                pixels[0] = np.count_nonzero(here)
            for phase, count in enumerate(pixels):
                row += int(count) * read_slots(slots, level, phase)
        return cls(hardware, levels, reads, 0 if phases is None else int(phases.max()))

    # What is asked

    @property
    def slots(self) -> int:
        """Slots in a window (T)."""
        return int(self.reads.shape[1])

    @cached_property
    def reads_per_slot(self) -> NDArray[np.int64]:
        """Reads that fall due after each slot (T,)."""
        return np.asarray(self.reads.sum(axis=0))

    @cached_property
    def reads_per_window(self) -> int:
        """Reads of one window."""
        return int(self.reads.sum())

    @property
    def window_s(self) -> float:
        """Length of a window, seconds."""
        return self.slots / self.hardware.slot_rate_hz

    @property
    def mean_rate_hz(self) -> float:
        """Reads a second, averaged over the window."""
        return self.reads_per_window / self.window_s

    @property
    def peak_rate_hz(self) -> float:
        """Reads a second while the busiest slot's reads are taken within one slot time."""
        return int(self.reads_per_slot.max()) * self.hardware.slot_rate_hz

    @property
    def energy_j_per_window(self) -> float:
        """Energy of a window's reads, joules."""
        return self.reads_per_window * self.hardware.joules_per_conversion

    @property
    def power_w(self) -> float:
        """Power of the reads, watts."""
        return self.energy_j_per_window / self.window_s

    # The converter

    @property
    def fits_adc(self) -> bool | None:
        """Whether the reads of each slot are converted before the next slot ends."""
        return _at_most(self.peak_rate_hz, self.hardware.adc_rate_hz)

    @property
    def fits_adc_holding(self) -> bool | None:
        """Whether each read is converted before the same pixel's next one falls due.

        It is enough where a pixel can hold one value for as long as its next exposure lasts.
        """
        return _at_most(self.holding_rate_hz, self.hardware.adc_rate_hz)

    @cached_property
    def holding_rate_hz(self) -> float:
        """Conversions a second that suffice where pixels hold their value through a span.

        The reads of each run of slots must be done before the shortest span after its last slot is
        over; a slot's reads count as done when all are, as levels are mixed in the read plan.
        """
        counts = np.tile(self.reads_per_slot, 2)
        need = self.reads_per_window / self.slots
        for last in range(self.slots, 2 * self.slots):
            span = self._shortest_span[last - self.slots]
            if span:
                runs = np.cumsum(counts[last : last - self.slots : -1])
                need = max(need, float((runs / (span + np.arange(len(runs)))).max()))
        return need * self.hardware.slot_rate_hz

    @cached_property
    def _shortest_span(self) -> NDArray[np.int64]:
        """Shortest span (T,) of the pixels read after each slot; 0 after a slot without reads."""
        highest = (np.array(self.levels)[:, None] * (self.reads > 0)).max(axis=0)
        return np.where(highest, self.slots // np.maximum(highest, 1), 0)

    @property
    def slots_over_adc(self) -> list[Excess] | None:
        """Slots whose reads are not all converted within a slot."""
        return self._over(self._adc_per_slot)

    @cached_property
    def waiting(self) -> NDArray[np.float64] | None:
        """Reads not yet converted (T,) as each slot ends, those just due among them.

        None without a converter, or where reads come faster than it ever takes them.
        """
        per_slot = self._adc_per_slot
        if per_slot is None or not _at_most(self.reads_per_window, per_slot * self.slots):
            return None
        waiting = np.zeros(self.slots)
        left = 0.0
        for _ in range(2):  # as more come off than on in a window, the second is the steady state
            for slot, due in enumerate(self.reads_per_slot):
                waiting[slot] = left + due
                left = max(0.0, waiting[slot] - per_slot)
        return waiting

    @property
    def most_held_reads(self) -> int | None:
        """Most reads that wait in their pixels for more than a slot, at one time."""
        if self.waiting is None or self._adc_per_slot is None:
            return None
        return max(0, math.ceil(float(self.waiting.max()) / _ROUNDING - self._adc_per_slot))

    @property
    def longest_wait_s(self) -> float | None:
        """Longest time from the end of a span to its read's conversion, seconds."""
        if self.waiting is None or self.hardware.adc_rate_hz is None:
            return None
        return float(self.waiting.max()) / self.hardware.adc_rate_hz

    @property
    def _adc_per_slot(self) -> float | None:
        rate = self.hardware.adc_rate_hz
        return None if rate is None else rate / self.hardware.slot_rate_hz

    # The link

    @property
    def bytes_per_window(self) -> int:
        """Samples of one window, bytes."""
        return self.reads_per_window * self.hardware.bytes_per_sample

    @property
    def wire_bytes_per_window(self) -> int:
        """The same on the line, framed: see `wire_bytes`."""
        return wire_bytes(self.bytes_per_window, self.hardware.max_payload)

    @property
    def link_needed_bytes_per_s(self) -> float:
        """Bytes a second on the line that keep up with the sensor."""
        return self.wire_bytes_per_window / self.window_s

    @property
    def link_s(self) -> float | None:
        """Time one window takes on the link, seconds."""
        rate = self.hardware.link_rate_bytes_per_s
        return None if rate is None else self.wire_bytes_per_window / rate

    @property
    def fits_link(self) -> bool | None:
        """Whether the link carries every window; else the board skips some."""
        return _at_most(self.link_needed_bytes_per_s, self.hardware.link_rate_bytes_per_s)

    @property
    def link_reads_per_slot(self) -> float | None:
        """Reads that the link carries in one slot time, framing taken off."""
        if self.link_s is None:
            return None
        return self.reads_per_window / (self.link_s * self.hardware.slot_rate_hz)

    @property
    def slots_over_link(self) -> list[Excess] | None:
        """Slots in which more falls due than the link carries in a slot: those need the buffer."""
        return self._over(self.link_reads_per_slot)

    @property
    def windows_carried(self) -> float | None:
        """Largest share of the windows that can get through; the board skips the others."""
        return None if self.link_s is None else min(1.0, self.window_s / self.link_s)

    @property
    def buffer_bytes(self) -> int | None:
        """Most bytes of samples in the board's memory; None where the link does not keep up.

        A window is sent when it has ended, as its descriptor tells its end, and the next one's
        reads come in meanwhile; here as soon as they are due, which no converter is ahead of.
        """
        carried = self.link_reads_per_slot
        if carried is None or not self.fits_link:
            return None
        sent = carried * np.arange(1, self.slots + 1)
        held = np.cumsum(self.reads_per_slot) + np.maximum(self.reads_per_window - sent, 0)
        return math.ceil(float(held.max()) / _ROUNDING) * self.hardware.bytes_per_sample

    # Both

    @property
    def keeps_up(self) -> bool:
        """Whether neither converter nor link is known to be too slow, pixels holding values."""
        return self.fits_adc_holding is not False and self.fits_link is not False

    @property
    def converted_after_s(self) -> float | None:
        """From the end of a window to the conversion of the last read that covers it, seconds."""
        if self.waiting is None or self.hardware.adc_rate_hz is None:
            return None
        queued = float(self.waiting[self.latest_phase - 1]) / self.hardware.adc_rate_hz
        return self.latest_phase / self.hardware.slot_rate_hz + queued

    @property
    def arrived_after_s(self) -> float | None:
        """From the end of a window to its last read's arrival at the host, seconds.

        None without a link that keeps up, or with a converter that does not. An unknown converter
        takes no time. A staggered window's last reads travel with the window after it.
        """
        if self.link_s is None or not self.keeps_up or not self.fits_link:
            return None
        last = 0.0
        if self.waiting is not None and self.hardware.adc_rate_hz is not None:
            last = float(self.waiting[-1]) / self.hardware.adc_rate_hz
        return (self.window_s if self.latest_phase else 0.0) + max(last, self.link_s)

    @property
    def highest_slot_rate_hz(self) -> dict[str, float | None]:
        """Highest slot rate for the converter as in `fits_adc`, `fits_adc_holding`, and the link.

        ``"all"`` is that of the latter two together, as in `keeps_up`.
        """
        rates = {
            "adc": (self.hardware.adc_rate_hz, self.peak_rate_hz),
            "adc_holding": (self.hardware.adc_rate_hz, self.holding_rate_hz),
            "link": (self.hardware.link_rate_bytes_per_s, self.link_needed_bytes_per_s),
        }
        highest = {
            name: None if given is None else self.hardware.slot_rate_hz * given / needed
            for name, (given, needed) in rates.items()
        }
        known = [rate for name in ("adc_holding", "link") if (rate := highest[name]) is not None]
        return {**highest, "all": min(known, default=None)}

    def _over(self, per_slot: float | None) -> list[Excess] | None:
        if per_slot is None:
            return None
        return [
            Excess(slot, int(reads), math.ceil(reads - per_slot))
            for slot, reads in enumerate(self.reads_per_slot)
            if not _at_most(float(reads), per_slot)
        ]


def _at_most(needed: float, given: float | None) -> bool | None:
    return None if given is None else needed <= given * _ROUNDING
