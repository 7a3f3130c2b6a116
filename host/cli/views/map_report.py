"""How ratio maps are reported, to people and as JSON."""

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
from focalloop.host.cli.output import print_json, print_result

_DRAWN_CELLS = (24, 26)
"""Rows and columns of the drawing in a terminal, at most."""


def map_facts(ratio_map: RatioMap) -> dict[str, Any]:
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


def save_map(ratio_map: RatioMap, path: Path, json: bool) -> None:
    """Write a map to a file and report it."""
    ratio_map.save(path)
    if json:
        print_json({"output": str(path), **map_facts(ratio_map)})
        return
    height, width = ratio_map.shape
    print_result(
        f"wrote {path}: {width}x{height} pixels, {ratio_map.mean_level:.4g} measurements per "
        f"pixel, r_avg {ratio_map.ratio:.4f}"
    )


def drawing(ratio_map: RatioMap) -> Text:
    """Draw the tile in blocks of its levels' colours; of a large one, some rows and columns."""
    tile = ratio_map.tile
    rows, columns = (min(have, limit) for have, limit in zip(tile.shape, _DRAWN_CELLS, strict=True))
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
    thinned = "" if cells.shape == tile.shape else f", thinned to {columns}x{rows}"
    text.append(f"{kind}, {width}x{height}{thinned}")
    return text


def _style(level: int) -> str:
    red, green, blue = LEVEL_COLOURS.get(level, (128, 128, 128))
    dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128
    return f"{'white' if dark else 'black'} on rgb({red},{green},{blue})"


def map_table(facts: dict[str, Any]) -> Table:
    """Lay out what `map_facts` returns."""
    table = two_columns()
    table.add_row("size", f"{facts['width']}x{facts['height']} pixels, T={facts['slots']}")
    table.add_row(
        "measurements", f"{facts['mean_level']:.4g} per pixel, r_avg {facts['r_avg']:.4f}"
    )
    pixels = facts["height"] * facts["width"]
    for level, count in facts["pixels_at_level"].items():
        share = count / pixels
        bar = Text("█" * round(40 * share), style=_style(int(level)).split(" on ")[1])
        table.add_row(f"level {level}", Text(f"{share:7.2%}  ") + bar)
    table.add_row("reads", f"{facts['reads_per_window']:,} per window")
    table.add_row("by slot", spaced(facts["reads_per_slot"]))
    if facts["open_share"] is not None:
        table.add_row("coded aperture", f"{facts['open_share']:.2%} open")
    table.add_row("hash", facts["hash"])
    return table


def two_columns() -> Table:
    """Return a table without borders for names and their values."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def spaced(counts: Sequence[int]) -> str:
    """Return counts separated by spaces."""
    return " ".join(str(count) for count in counts)
