"""How the schedule of a map's reads is reported, to people and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from focalloop.firmware_sim.maps.feasibility import Excess, Feasibility
from focalloop.firmware_sim.maps.tiles import tile_of
from focalloop.host.cli.views.map_report import spaced, two_columns

_MAX_LISTED_SLOTS = 4
"""Slots with too many reads that are listed one by one; ``--json`` has all."""


def schedule_facts(planned: Feasibility, phases: NDArray[np.uint8] | None) -> dict[str, Any]:
    """Return what ``map schedule --json`` prints; what needs a rate that is not given is null."""
    return {
        "staggered": phases is not None,
        "phase_tile": None if phases is None else tile_of(phases).tolist(),
        "reads_per_slot": planned.reads_per_slot.tolist(),
        "reads_per_slot_by_level": {
            str(level): reads.tolist()
            for level, reads in zip(planned.levels, planned.reads, strict=True)
        },
        "reads_per_window": planned.reads_per_window,
        "window_s": planned.window_s,
        "mean_rate_hz": planned.mean_rate_hz,
        "peak_rate_hz": planned.peak_rate_hz,
        "holding_rate_hz": planned.holding_rate_hz,
        "fits_adc": planned.fits_adc,
        "fits_adc_holding": planned.fits_adc_holding,
        "slots_over_adc": _excess(planned.slots_over_adc),
        "most_held_reads": planned.most_held_reads,
        "longest_wait_s": planned.longest_wait_s,
        "bytes_per_window": planned.bytes_per_window,
        "wire_bytes_per_window": planned.wire_bytes_per_window,
        "link_needed_bytes_per_s": planned.link_needed_bytes_per_s,
        "link_s_per_window": planned.link_s,
        "fits_link": planned.fits_link,
        "windows_carried": planned.windows_carried,
        "slots_over_link": _excess(planned.slots_over_link),
        "buffer_bytes": planned.buffer_bytes,
        "keeps_up": planned.keeps_up,
        "energy_j_per_window": planned.energy_j_per_window,
        "power_w": planned.power_w,
        "converted_after_s": planned.converted_after_s,
        "arrived_after_s": planned.arrived_after_s,
        "highest_slot_rate_hz": planned.highest_slot_rate_hz,
    }


def _excess(slots: list[Excess] | None) -> list[dict[str, int]] | None:
    return None if slots is None else [asdict(excess) for excess in slots]


def schedule_table(planned: Feasibility, nominal: Feasibility) -> Table:
    """Lay out a schedule, with a verdict on ADC and link where their rates are known.

    `nominal` is the same map without phases, or `planned` itself.
    """
    hardware = planned.hardware
    table = two_columns()
    table.add_row("reads after each slot", spaced(planned.reads_per_slot.tolist()))
    table.add_row(
        "reads",
        f"{planned.reads_per_window:,} per window of {planned.window_s * 1e3:.4g} ms",
    )
    table.add_row(
        "reads per second",
        f"{planned.mean_rate_hz:,.0f} on average, {planned.peak_rate_hz:,.0f} to finish those of "
        "the busiest slot within one slot",
    )
    if planned is not nominal:
        before, after = nominal.reads_per_slot.max(), planned.reads_per_slot.max()
        mean = planned.reads_per_window / planned.slots
        table.add_row("staggered", f"busiest slot {after:,} reads, from {before:,}; mean {mean:,g}")
    if planned.fits_adc is not None:
        table.add_row("ADC", _adc_verdict(planned))
        if planned.slots_over_adc:
            table.add_row("", _over("longer than a slot", planned.slots_over_adc))
    table.add_row(
        "link",
        f"{planned.bytes_per_window:,} bytes per window of {hardware.bits}-bit samples, "
        f"{planned.wire_bytes_per_window:,} framed: "
        f"{planned.link_needed_bytes_per_s:,.0f} bytes per second needed",
    )
    if planned.fits_link is not None:
        table.add_row("", _link_verdict(planned))
        if planned.slots_over_link:
            table.add_row("", _over("more than the link carries", planned.slots_over_link))
    table.add_row(
        "energy",
        f"{_si(planned.energy_j_per_window)}J per window at "
        f"{_si(hardware.joules_per_conversion)}J per conversion: {_si(planned.power_w)}W",
    )
    if latency := _latency(planned):
        table.add_row("last read", f"{latency} after the window's end")
    if rates := _highest_slot_rates(planned):
        table.add_row("slots per second", f"at most {rates}")
    return table


def _latency(planned: Feasibility) -> str:
    converted, arrived = planned.converted_after_s, planned.arrived_after_s
    stages = {"converted": converted, "at the host": arrived}
    return ", ".join(
        f"{stage} {_si(delay_s)}s" for stage, delay_s in stages.items() if delay_s is not None
    )


def _highest_slot_rates(planned: Feasibility) -> str:
    names = {
        "adc": "for the ADC",
        "adc_holding": "for an ADC whose pixels hold their value",
        "link": "for the link",
    }
    highest = planned.highest_slot_rate_hz
    return ", ".join(
        f"{rate:,.4g} {shown}"
        for name, shown in names.items()
        if (rate := highest[name]) is not None
    )


def _adc_verdict(planned: Feasibility) -> Text:
    rate = f"{planned.hardware.adc_rate_hz:,.0f} per second"
    if planned.fits_adc:
        return _good(f"keeps up at {rate}")
    if planned.fits_adc_holding:
        return Text(
            f"keeps up at {rate} if pixels hold their value: up to {planned.most_held_reads:,} "
            f"reads wait longer than a slot, up to {_si(planned.longest_wait_s or 0)}s",
            style="yellow",
        )
    return _bad(
        f"is too slow at {rate}: {planned.holding_rate_hz:,.0f} would do if pixels hold their value"
    )


def _link_verdict(planned: Feasibility) -> Text:
    rate = f"{planned.hardware.link_rate_bytes_per_s:,.0f} bytes per second"
    window = f"{_si(planned.link_s or 0)}s per window"
    if planned.fits_link:
        buffered = f"with {planned.buffer_bytes:,} bytes of memory for readouts"
        return _good(f"keeps up at {rate}: {window}, {buffered}")
    return _bad(
        f"is too slow at {rate}: {window}, at most {100 * (planned.windows_carried or 0):.3g} % of "
        "the windows arrive"
    )


def _over(what: str, slots: Sequence[Excess]) -> str:
    if len(slots) > _MAX_LISTED_SLOTS:
        return f"{what} after {len(slots)} slots, up to {max(e.over for e in slots):,} reads"
    listed = ", ".join(f"{excess.slot} ({excess.over:,} reads)" for excess in slots)
    return f"{what} after slot{'s' if len(slots) > 1 else ''} {listed}"


def _good(text: str) -> Text:
    return Text(text, style="green")


def _bad(text: str) -> Text:
    return Text(text, style="red")


def _si(value: float) -> str:
    """Return a quantity with four digits and the SI prefix of its unit."""
    power = 0 if value == 0 else math.floor(math.log10(value) / 3 + 1e-9)
    power = min(max(power, -5), 3)
    prefix = "fpnµm kMG"[power + 5].strip()
    return f"{value / 1000.0**power:.4g} {prefix}"
