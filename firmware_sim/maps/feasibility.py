"""What a ratio map's reads require of converter, link and power supply, and whether that suffices.

A read falls due after the slot in which its span ends, and many reads fall due together. The
sampled value waits in its pixel until the converter reaches it in the order of the read plan; codes
wait in the board's memory until their window has ended and the link carries them. The schedule
repeats every window, and all figures describe that steady state. ``docs/schedule.md`` derives them.
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
from focalloop.firmware_sim.wire.framing import DEFAULT_MAX_PAYLOAD, MIN_MAX_PAYLOAD
from focalloop.firmware_sim.wire.windows import window_wire_bytes

MIN_QUANTITY, MAX_QUANTITY = 1e-15, 1e15
"""Range of every rate and energy, so that their quotients stay within the range of floats."""

_ROUNDING = 1 + 1e-9
"""Slack in comparisons: a demand equal to the given rate fits, however divisions were rounded."""


class FeasibilityError(FocalloopError, ValueError):
    """A rate, energy or map for which no schedule can be computed; the message says which."""


@dataclass(frozen=True)
class Hardware:
    """Rates and energy of the hardware around the sensor.

    Parameters
    ----------
    slot_rate_hz : float
        Slots per second.
    adc_rate_hz : float, optional
        Conversions per second, of all converters together; None gives no verdict on them.
    link_rate_bytes_per_s : float, optional
        Bytes that the link carries per second (a baud rate / 10); None gives no verdict on it.
    bits : int
        Bits per sample, 1..16; up to 8 bits a sample travels as one byte, above as two.
    max_payload : int
        Longest frame body on the wire in bytes, 256..65535.
    joules_per_conversion : float
        Energy of one read.

    Raises
    ------
    FeasibilityError
        A value is out of range: rates and energy are `MIN_QUANTITY` to `MAX_QUANTITY`.
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
            if value is not None and not MIN_QUANTITY <= value <= MAX_QUANTITY:
                raise FeasibilityError(
                    f"{field.name} must be above 0, from {MIN_QUANTITY:g} to {MAX_QUANTITY:g}, "
                    f"not {value:g}"
                )
        if self.bits > 16:
            raise FeasibilityError(f"bits per sample must be 1 to 16, not {self.bits}")
        if not MIN_MAX_PAYLOAD <= self.max_payload <= 0xFFFF:
            raise FeasibilityError(
                f"the longest frame body must be {MIN_MAX_PAYLOAD} to 65535 bytes, "
                f"not {self.max_payload}"
            )

    @property
    def bytes_per_sample(self) -> int:
        """Bytes per sample in a readout."""
        return 1 if self.bits <= 8 else 2


@dataclass(frozen=True)
class Excess:
    """A slot with too many reads: `over` of its `reads` are not done within one slot time."""

    slot: int
    reads: int
    over: int


@dataclass(frozen=True, eq=False)
class Feasibility:
    """The periodic reads of one map, compared with one `Hardware`; build it with `of`.

    Verdicts and figures that need a rate that was not given are None.

    Attributes
    ----------
    hardware : Hardware
    levels : tuple of int
        Levels above 0 that occur in the map, ascending.
    reads : ndarray of int64, shape (levels, T)
        Reads of each level that fall due after each slot.
    latest_phase : int
        Slots from the window's end until its last read falls due; 0 unless staggered.
    """

    hardware: Hardware
    levels: tuple[int, ...]
    reads: NDArray[np.int64]
    latest_phase: int = 0

    @classmethod
    def of(
        cls, ratio_map: RatioMap, hardware: Hardware, phases: NDArray[np.uint8] | None = None
    ) -> Feasibility:
        """Count the reads of a map.

        Parameters
        ----------
        ratio_map : RatioMap
            What is read.
        hardware : Hardware
            What reads it.
        phases : ndarray of uint8, shape (H, W), optional
            Phase of each pixel, from `staggering.stagger`; all 0 by default.

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

    # Demand
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
        """Length of a window in seconds."""
        return self.slots / self.hardware.slot_rate_hz

    @property
    def mean_rate_hz(self) -> float:
        """Reads per second, averaged over the window."""
        return self.reads_per_window / self.window_s

    @property
    def peak_rate_hz(self) -> float:
        """Reads per second if the busiest slot's reads are done within one slot time."""
        return int(self.reads_per_slot.max()) * self.hardware.slot_rate_hz

    @property
    def energy_j_per_window(self) -> float:
        """Energy of a window's reads in joules."""
        return self.reads_per_window * self.hardware.joules_per_conversion

    @property
    def power_w(self) -> float:
        """Power of the reads in watts."""
        return self.energy_j_per_window / self.window_s

    # The converter

    @property
    def fits_adc(self) -> bool | None:
        """Whether the reads of each slot are converted before the next slot ends."""
        return _at_most(self.peak_rate_hz, self.hardware.adc_rate_hz)

    @property
    def fits_adc_holding(self) -> bool | None:
        """Whether each read is converted before the same pixel's next one falls due.

        That suffices if a pixel can hold one value while its next exposure lasts.
        """
        return _at_most(self.holding_rate_hz, self.hardware.adc_rate_hz)

    @cached_property
    def holding_rate_hz(self) -> float:
        """Conversions per second that suffice if pixels hold their value for one span.

        The reads of every run of slots must be done before the shortest span that follows its last
        slot is over. A slot's reads count as done when all are, since the read plan mixes levels.
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
        """Slots whose reads are not all converted within one slot time."""
        return self._over(self._adc_per_slot)

    @cached_property
    def waiting(self) -> NDArray[np.float64] | None:
        """Unconverted reads (T,) as each slot ends, including those just due.

        None without a converter rate, or if reads come faster than they are converted.
        """
        per_slot = self._adc_per_slot
        if per_slot is None or not _at_most(self.reads_per_window, per_slot * self.slots):
            return None
        waiting = np.zeros(self.slots)
        left = 0.0
        for _ in range(2):  # reads are no more than conversions, so the second window is steady
            for slot, due in enumerate(self.reads_per_slot):
                waiting[slot] = left + due
                left = max(0.0, waiting[slot] - per_slot)
        return waiting

    @property
    def most_held_reads(self) -> int | None:
        """Largest number of reads that at one time wait in their pixels for over a slot."""
        if self.waiting is None or self._adc_per_slot is None:
            return None
        return max(0, math.ceil(float(self.waiting.max()) / _ROUNDING - self._adc_per_slot))

    @property
    def longest_wait_s(self) -> float | None:
        """Longest time from the end of a span to the conversion of its read, in seconds."""
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
        """Bytes of one window's samples."""
        return self.reads_per_window * self.hardware.bytes_per_sample

    @property
    def wire_bytes_per_window(self) -> int:
        """Bytes of one window on the line, framed; see `window_wire_bytes`."""
        return window_wire_bytes(self.bytes_per_window, self.hardware.max_payload)

    @property
    def link_needed_bytes_per_s(self) -> float:
        """Bytes per second on the line that keep up with the sensor."""
        return self.wire_bytes_per_window / self.window_s

    @property
    def link_s(self) -> float | None:
        """Time that one window takes on the link, in seconds."""
        rate = self.hardware.link_rate_bytes_per_s
        return None if rate is None else self.wire_bytes_per_window / rate

    @property
    def fits_link(self) -> bool | None:
        """Whether the link carries every window; otherwise the board skips some."""
        return _at_most(self.link_needed_bytes_per_s, self.hardware.link_rate_bytes_per_s)

    @property
    def link_reads_per_slot(self) -> float | None:
        """Reads that the link carries in one slot time, after the bytes of framing."""
        if self.link_s is None:
            return None
        return self.reads_per_window / (self.link_s * self.hardware.slot_rate_hz)

    @property
    def slots_over_link(self) -> list[Excess] | None:
        """Slots with more reads than the link carries in one slot time; they fill the buffer."""
        return self._over(self.link_reads_per_slot)

    @property
    def windows_carried(self) -> float | None:
        """Largest share of the windows that the link can carry; the board skips the others."""
        return None if self.link_s is None else min(1.0, self.window_s / self.link_s)

    @property
    def buffer_bytes(self) -> int | None:
        """Largest number of sample bytes in the board's memory; None if the link is too slow.

        A window is sent once it has ended, because its descriptor states its end time. Meanwhile
        the reads of the next window arrive: as soon as they are due, with the fastest converter.
        """
        carried = self.link_reads_per_slot
        if carried is None or not self.fits_link:
            return None
        sent = carried * np.arange(1, self.slots + 1)
        held = np.cumsum(self.reads_per_slot) + np.maximum(self.reads_per_window - sent, 0)
        return math.ceil(float(held.max()) / _ROUNDING) * self.hardware.bytes_per_sample

    # Converter and link together

    @property
    def keeps_up(self) -> bool:
        """Whether neither the converter, with pixels that hold, nor the link is too slow."""
        return self.fits_adc_holding is not False and self.fits_link is not False

    @property
    def converted_after_s(self) -> float | None:
        """Seconds from the end of a window to the conversion of its last read."""
        if self.waiting is None or self.hardware.adc_rate_hz is None:
            return None
        queued = float(self.waiting[self.latest_phase - 1]) / self.hardware.adc_rate_hz
        return self.latest_phase / self.hardware.slot_rate_hz + queued

    @property
    def arrived_after_s(self) -> float | None:
        """Seconds from the end of a window to the arrival of its last read at the host.

        None unless the link keeps up, or if the converter does not. A converter of unknown rate
        counts as instant. The last reads of a staggered window travel with the next window.
        """
        if self.link_s is None or not self.keeps_up or not self.fits_link:
            return None
        last = 0.0
        if self.waiting is not None and self.hardware.adc_rate_hz is not None:
            last = float(self.waiting[-1]) / self.hardware.adc_rate_hz
        return (self.window_s if self.latest_phase else 0.0) + max(last, self.link_s)

    @property
    def highest_slot_rate_hz(self) -> dict[str, float | None]:
        """Highest slot rate at which each demand is met.

        ``"adc"`` as in `fits_adc`, ``"adc_holding"`` as in `fits_adc_holding`, ``"link"`` as in
        `fits_link`, and ``"all"`` as in `keeps_up`.
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
