"""Random maps of a wanted ratio, and what a map asks of ADC and link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firmware_sim.ratio_map import DEFAULT_LEVEL_SET, RatioMap, RatioMapError
from firmware_sim.read_plan import ReadPlan


def shares_for_mean(
    mean_level: float, level_set: Sequence[int] = DEFAULT_LEVEL_SET
) -> dict[int, float]:
    """Shares of the levels that are spread the widest for an average of `mean_level`.

    Of all histograms with that mean this one has the greatest entropy: shares proportional to
    ``exp(b * n)``.

    Parameters
    ----------
    mean_level
        Wanted measurements a pixel, from the smallest level to the largest.
    level_set
        Levels to use.

    Returns
    -------
    Share of each level, summing to 1.

    Raises
    ------
    RatioMapError
        If no mixture of the levels has that mean.
    """
    levels = np.array(sorted(level_set), np.float64)
    if not levels[0] <= mean_level <= levels[-1]:
        raise RatioMapError(
            f"levels {tuple(level_set)} cannot average {mean_level:g} measurements a pixel: "
            f"ask for {levels[0]:g} to {levels[-1]:g}"
        )

    def shares_at(slope: float) -> np.ndarray:
        weights = np.exp(slope * levels - np.max(slope * levels))
        return np.asarray(weights / weights.sum())

    low, high = -100.0, 100.0  # at these slopes all but e^-100 is on the smallest or largest level
    for _ in range(100):
        middle = (low + high) / 2
        if shares_at(middle) @ levels < mean_level:
            low = middle
        else:
            high = middle
    shares = shares_at(high)
    return {int(level): float(share) for level, share in zip(levels, shares, strict=True)}


@dataclass(frozen=True)
class ReadSchedule:
    """When a map's reads fall due, and what ADC and link must carry.

    Attributes
    ----------
    reads_per_slot
        Reads after each of the T slots.
    slot_rate_hz
        Slots a second.
    bits
        Bits a sample; it travels as one byte up to 8, as two above.
    adc_rate_hz
        Samples the ADC can take a second, if known.
    link_rate_bytes_per_s
        Bytes the link carries a second, if known.
    """

    reads_per_slot: tuple[int, ...]
    slot_rate_hz: float
    bits: int
    adc_rate_hz: float | None = None
    link_rate_bytes_per_s: float | None = None

    @classmethod
    def of(
        cls,
        ratio_map: RatioMap,
        *,
        slot_rate_hz: float,
        bits: int,
        adc_rate_hz: float | None = None,
        link_rate_bytes_per_s: float | None = None,
    ) -> ReadSchedule:
        """Work out the schedule of `ratio_map`."""
        counts = tuple(int(count) for count in ReadPlan.of(ratio_map).reads_per_slot)
        return cls(counts, slot_rate_hz, bits, adc_rate_hz, link_rate_bytes_per_s)

    @property
    def reads_per_window(self) -> int:
        """Reads of one window."""
        return sum(self.reads_per_slot)

    @property
    def window_s(self) -> float:
        """Length of a window, seconds."""
        return len(self.reads_per_slot) / self.slot_rate_hz

    @property
    def bytes_per_window(self) -> int:
        """Samples of one window on the wire, bytes; framing adds about 2 %."""
        return self.reads_per_window * (1 if self.bits <= 8 else 2)

    @property
    def mean_rate_hz(self) -> float:
        """Reads a second, averaged over the window."""
        return self.reads_per_window / self.window_s

    @property
    def peak_rate_hz(self) -> float:
        """Reads a second while the busiest slot's reads are taken within one slot time."""
        return max(self.reads_per_slot) * self.slot_rate_hz

    @property
    def link_needed_bytes_per_s(self) -> float:
        """Bytes a second that keep up with the sensor."""
        return self.bytes_per_window / self.window_s

    @property
    def link_s(self) -> float | None:
        """Time one window takes on the link, seconds."""
        if self.link_rate_bytes_per_s is None:
            return None
        return self.bytes_per_window / self.link_rate_bytes_per_s

    @property
    def fits_adc(self) -> bool | None:
        """Whether the busiest slot's reads are done before the next slot ends."""
        return None if self.adc_rate_hz is None else self.peak_rate_hz <= self.adc_rate_hz

    @property
    def fits_link(self) -> bool | None:
        """Whether the link carries every window; else the board skips some."""
        if self.link_rate_bytes_per_s is None:
            return None
        return self.link_needed_bytes_per_s <= self.link_rate_bytes_per_s
