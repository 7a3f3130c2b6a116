"""How maps are told, to people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.host.cli.output import emit_json, stdout

_DRAWN_CELLS = (24, 26)
"""Rows and columns of the drawing in a terminal."""


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
    table = two_columns()
    table.add_row("size", f"{facts['height']}x{facts['width']} pixels, T={facts['slots']}")
    table.add_row("measurements", f"{facts['mean_level']:.4g} a pixel, r_avg {facts['r_avg']:.4f}")
    pixels = facts["height"] * facts["width"]
    for level, count in facts["pixels_at_level"].items():
        share = count / pixels
        bar = Text("█" * round(40 * share), style=_style(int(level)).split(" on ")[1])
        table.add_row(f"level {level}", Text(f"{share:7.2%}  ") + bar)
    table.add_row("reads", f"{facts['reads_per_window']} a window")
    table.add_row("by slot", spaced(facts["reads_per_slot"]))
    if facts["open_share"] is not None:
        table.add_row("coded aperture", f"{facts['open_share']:.2%} open")
    table.add_row("hash", facts["hash"])
    return table


def two_columns() -> Table:
    """Return a table without borders for names and what belongs to them."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def spaced(counts: Sequence[int]) -> str:
    """Return counts with a space between."""
    return " ".join(str(count) for count in counts)
