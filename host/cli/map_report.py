"""How maps and their schedules are told, to people and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from firmware_sim.feasibility import Excess, Feasibility
from firmware_sim.ratio_map import LEVEL_COLOURS, RatioMap
from firmware_sim.read_plan import ReadPlan
from firmware_sim.tiles import tile_of
from host.cli.output import emit_json, stdout

_DRAWN_CELLS = (24, 26)
"""Rows and columns of the drawing in a terminal."""

_TOLD_SLOTS = 4
"""Slots with too many reads that are told one by one; ``--json`` has all."""


def describe(ratio_map: RatioMap) -> dict[str, Any]:
    """Return what ``map show --json`` prints of a map."""
    counts = {level: int((ratio_map.levels == level).sum()) for level in ratio_map.level_set}
    plan = ReadPlan.of(ratio_map)
    tile = ratio_map.tile
    return {
        "height": ratio_map.shape[0],
        "width": ratio_map.shape[1],
        "slots": ratio_map.slots,
        "level_set": list(ratio_map.level_set),
        "tile": {"height": tile.shape[0], "width": tile.shape[1]},
        "pixels_at_level": {str(level): count for level, count in counts.items()},
        "mean_level": ratio_map.mean_level,
        "r_avg": ratio_map.ratio,
        "reads_per_window": plan.count,
        "reads_per_slot": plan.reads_per_slot.tolist(),
        "open_share": None if ratio_map.aperture is None else float(ratio_map.aperture.mean()),
        "hash": ratio_map.hash_hex,
    }


def tell_written(ratio_map: RatioMap, path: Path, json: bool) -> None:
    """Tell that `ratio_map` was written to `path`."""
    if json:
        emit_json({"output": str(path), **describe(ratio_map)})
        return
    height, width = ratio_map.shape
    stdout.print(
        f"wrote {path}: {height}x{width}, {ratio_map.mean_level:.4g} measurements a pixel, "
        f"r_avg {ratio_map.ratio:.4f}",
        highlight=False,
        soft_wrap=True,
    )


def drawing(ratio_map: RatioMap) -> Text:
    """Draw the tile in blocks of its levels' colours, or thin a large map out."""
    tile = ratio_map.tile
    rows, columns = (min(have, most) for have, most in zip(tile.shape, _DRAWN_CELLS, strict=True))
    picked_rows = np.arange(rows) * tile.shape[0] // rows
    picked_columns = np.arange(columns) * tile.shape[1] // columns
    cells: NDArray[np.uint8] = tile[np.ix_(picked_rows, picked_columns)]
    text = Text()
    for row in cells:
        for level in row:
            text.append(f" {level:<2}", style=_style(int(level)))
        text.append("\n")
    height, width = tile.shape
    kind = "the tile that repeats" if tile.shape != ratio_map.shape else "the whole map"
    thinned = "" if cells.shape == tile.shape else f", thinned to {rows}x{columns}"
    text.append(f"{kind}, {height}x{width}{thinned}")
    return text


def _style(level: int) -> str:
    red, green, blue = LEVEL_COLOURS.get(level, (128, 128, 128))
    dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128
    return f"{'white' if dark else 'black'} on rgb({red},{green},{blue})"


def facts_table(facts: dict[str, Any]) -> Table:
    """Lay out what `describe` gives."""
    table = _two_columns()
    table.add_row("size", f"{facts['height']}x{facts['width']} pixels, T={facts['slots']}")
    table.add_row("measurements", f"{facts['mean_level']:.4g} a pixel, r_avg {facts['r_avg']:.4f}")
    pixels = facts["height"] * facts["width"]
    for level, count in facts["pixels_at_level"].items():
        share = count / pixels
        bar = Text("█" * round(40 * share), style=_style(int(level)).split(" on ")[1])
        table.add_row(f"level {level}", Text(f"{share:7.2%}  ") + bar)
    table.add_row("reads", f"{facts['reads_per_window']} a window")
    table.add_row("by slot", _counts(facts["reads_per_slot"]))
    if facts["open_share"] is not None:
        table.add_row("coded aperture", f"{facts['open_share']:.2%} open")
    table.add_row("hash", facts["hash"])
    return table


def _two_columns() -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _counts(counts: Sequence[int]) -> str:
    return " ".join(str(count) for count in counts)


def schedule_facts(planned: Feasibility, phases: NDArray[np.uint8] | None) -> dict[str, Any]:
    """Return what ``map schedule --json`` prints; what needs a rate not given is null."""
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
    table = _two_columns()
    table.add_row("reads after each slot", _counts(planned.reads_per_slot.tolist()))
    table.add_row(
        "reads",
        f"{planned.reads_per_window:,} a window of {planned.window_s * 1e3:.4g} ms: "
        f"{planned.mean_rate_hz:,.0f} a second, {planned.peak_rate_hz:,.0f} in the busiest slot",
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
        f"{planned.bytes_per_window:,} bytes a window of {hardware.bits}-bit samples, "
        f"{planned.wire_bytes_per_window:,} framed: "
        f"{planned.link_needed_bytes_per_s:,.0f} bytes a second",
    )
    if planned.fits_link is not None:
        table.add_row("", _link_verdict(planned))
        if planned.slots_over_link:
            table.add_row("", _over("more than the link takes", planned.slots_over_link))
    table.add_row(
        "energy",
        f"{_si(planned.energy_j_per_window)}J a window at "
        f"{_si(hardware.joules_per_conversion)}J a conversion: {_si(planned.power_w)}W",
    )
    after_window = [
        f"{done} after {_si(seconds)}s"
        for done, seconds in (
            ("converted", planned.converted_after_s),
            ("at the host", planned.arrived_after_s),
        )
        if seconds is not None
    ]
    if after_window:
        table.add_row("last read", ", ".join(after_window) + " from the window's end")
    highest = planned.highest_slot_rate_hz
    told = [
        f"{name} {rate:,.4g}"
        for name, rate in (
            ("ADC", highest["adc"]),
            ("ADC with held reads", highest["adc_holding"]),
            ("link", highest["link"]),
        )
        if rate is not None
    ]
    if told:
        table.add_row("highest slot rate", ", ".join(told) + " a second")
    return table


def _adc_verdict(planned: Feasibility) -> Text:
    rate = f"{planned.hardware.adc_rate_hz:,.0f} a second"
    if planned.fits_adc:
        return _good(f"keeps up at {rate}")
    if planned.fits_adc_holding:
        return Text(
            f"keeps up at {rate} if pixels hold their value: up to {planned.most_held_reads:,} "
            f"reads wait longer than a slot, up to {_si(planned.longest_wait_s or 0)}s",
            style="yellow",
        )
    return _bad(f"too slow at {rate}: {planned.holding_rate_hz:,.0f} would do")


def _link_verdict(planned: Feasibility) -> Text:
    rate = f"{planned.hardware.link_rate_bytes_per_s:,.0f} bytes a second"
    window = f"{_si(planned.link_s or 0)}s a window"
    if planned.fits_link:
        buffered = f"with {planned.buffer_bytes:,} bytes of memory for readouts"
        return _good(f"keeps up at {rate}: {window}, {buffered}")
    return _bad(
        f"too slow at {rate}: {window}, {planned.windows_carried or 0:.2%} of the windows arrive"
    )


def _over(what: str, slots: Sequence[Excess]) -> str:
    if len(slots) > _TOLD_SLOTS:
        return f"{what} after {len(slots)} slots, up to {max(e.over for e in slots):,} reads"
    told = ", ".join(f"{excess.slot} ({excess.over:,} reads)" for excess in slots)
    return f"{what} after slot{'s' if len(slots) > 1 else ''} {told}"


def _good(text: str) -> Text:
    return Text(text, style="green")


def _bad(text: str) -> Text:
    return Text(text, style="red")


def _si(value: float) -> str:
    """Return a quantity with four digits and the prefix of its unit."""
    power = 0 if value == 0 else math.floor(math.log10(value) / 3 + 1e-9)
    power = min(max(power, -5), 3)
    prefix = "fpnµm kMG"[power + 5].strip()
    return f"{value / 1000.0**power:.4g} {prefix}"
