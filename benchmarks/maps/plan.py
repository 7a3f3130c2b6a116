"""The plan of a comparison: a JSON file of entries, one network each.

``{"defaults": {...}, "entries": [{"name": "tile-1-4-dispersed", "method": "tile", "budget": 1,
"tile": "4-dispersed", "steps": 1200}, ...]}``; the defaults complete each entry. The keys are those
of `Entry`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.maps import hand_made
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE

METHODS = ("learned", "relaxed", "searched", "tile", "fixed", "random")
"""Learned by policy gradient, found otherwise by machine, made by hand, one level, and random."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


class PlanError(FocalloopError):
    """A plan that cannot be carried out; the text names the entry and the reason."""


@dataclass(frozen=True)
class Entry:
    """One map, and how the network for it is trained.

    Attributes
    ----------
    name : str
        Letters, digits, dots and dashes; the same for all seeds of a map.
    method : str
        One of `METHODS`.
    budget : float
        Mean level that the map may have, measurements per pixel.
    steps : int
        Training steps.
    seed : int
        Seed of the training.
    tile : str or hand_made.Tile or None
        Rows of levels, or a name in `hand_made`; the levels of a random map are scattered.
    map : str or None
        Map file instead of a tile; it may appear while earlier entries train.
    aperture : bool
        Whether the sensor has the coded aperture.
    profile : str
        Profile of the network.
    batch, crop, learning_rate, warm_up_steps : int or float
        As in `focalloop.models.training.run.RunSettings`; the default rate is for networks that
        start from a universal one.
    network : dict of str to any
        Settings in which the network differs from its profile.
    """

    name: str
    method: str
    budget: float
    steps: int
    seed: int = 0
    tile: str | hand_made.Tile | None = None
    map: str | None = None
    aperture: bool = False
    profile: str = "edge"
    batch: int = 16
    crop: int = 96
    learning_rate: float = 1.5e-3
    warm_up_steps: int = 50
    network: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of the folder of the run."""
        return f"{self.name}-s{self.seed}"

    @property
    def ready(self) -> bool:
        """Whether the map exists."""
        return self.map is None or Path(self.map).exists()

    def levels_once(self) -> RatioMap:
        """Return the map as the plan gives it, without aperture.

        Raises
        ------
        PlanError, RatioMapError
            If it is not a map, or costs more than the budget.
        """
        if self.map is not None:
            found = RatioMap.load(self.map).with_aperture(None)
        else:
            assert self.tile is not None  # `load` has checked it
            tile = hand_made.BY_NAME[self.tile] if isinstance(self.tile, str) else self.tile
            found = RatioMap(np.array(tile, np.uint8))
        allowed = max(1.01 * self.budget, self.budget + 0.5 / found.tile.size)
        if found.mean_level > allowed:
            raise PlanError(
                f"{self.name}: the map costs {found.mean_level:.4g} measurements per pixel, "
                f"more than its budget of {self.budget:g}"
            )
        return found

    def shares(self) -> dict[int, float]:
        """Return the share of each level, which a random map scatters."""
        levels, counts = np.unique(self.levels_once().levels, return_counts=True)
        return {int(k): float(n / counts.sum()) for k, n in zip(levels, counts, strict=True)}

    def ratio_map(self, shape: tuple[int, int]) -> RatioMap:
        """Return the map that clips of `shape` (H, W) are captured under.

        A random map is drawn with seed 0, whatever the seed of the training.
        """
        if self.method == "random":
            over = RatioMap.random(shape, self.shares(), seed=0)
        else:
            over = RatioMap.from_tile(self.levels_once().tile, shape)
        return over.with_aperture_tile(APERTURE_TILE) if self.aperture else over


def load(path: Path) -> list[Entry]:
    """Read a plan.

    Raises
    ------
    PlanError
        If it is not a plan, or an entry is incomplete, contradictory or duplicated.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        defaults, given = document.get("defaults", {}), document["entries"]
        entries = [_entry(defaults | one, number) for number, one in enumerate(given)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(
            f"{path} is not a plan ({error}): write one with `python -m benchmarks.maps plan`"
        ) from None
    twice = [name for name, count in Counter(e.folder for e in entries).items() if count > 1]
    if twice:
        raise PlanError(
            f"{path} has several entries {twice[0]}: give them different names or seeds"
        )
    return entries


def _entry(given: dict[str, Any], number: int) -> Entry:
    which = f"entry {number} ({given.get('name', 'without a name')})"
    known = {one.name for one in fields(Entry)}
    required = {one.name for one in fields(Entry) if one.default is one.default_factory is MISSING}
    if given.keys() - known:
        raise PlanError(
            f"{which} has {sorted(given.keys() - known)[0]!r}, which is not a key of an entry"
        )
    if required - given.keys():
        raise PlanError(f"{which} lacks {sorted(required - given.keys())[0]!r}")
    entry = Entry(**given)
    if not _NAME.fullmatch(str(entry.name)):
        raise PlanError(f"{which}: a name consists of letters, digits, dots and dashes")
    if entry.method not in METHODS:
        raise PlanError(f"{which}: the method is one of {', '.join(METHODS)}, not {entry.method}")
    if (entry.tile is None) == (entry.map is None):
        raise PlanError(f"{which} needs either a tile or a map")
    if isinstance(entry.tile, str) and entry.tile not in hand_made.BY_NAME:
        names = ", ".join(hand_made.BY_NAME)
        raise PlanError(f"{which}: no hand-made tile is named {entry.tile!r}; there are {names}")
    if entry.ready:
        entry.levels_once()
    return entry


def screening(
    budgets: Iterable[float], *, steps: int, seed: int = 0, aperture: bool = False
) -> list[Entry]:
    """Return entries for all maps that need no learning: fixed, hand-made and random.

    The random map scatters the levels of a hand-made tile (`hand_made.SCATTERED`).

    Raises
    ------
    PlanError
        If no tiles are listed for a budget.
    """
    entries = []
    end = "-aperture" if aperture else ""
    for budget in budgets:
        if budget not in (hand_made.UNDER_APERTURE if aperture else hand_made.HAND_MADE):
            raise PlanError(f"no hand-made tiles are listed for {budget:g} measurements per pixel")
        tiles = (hand_made.UNDER_APERTURE if aperture else hand_made.HAND_MADE)[budget]
        common = Entry("", "tile", budget, steps, seed, aperture=aperture)
        if budget in hand_made.FIXED:
            name = f"fixed-{budget:g}{end}"
            tile = hand_made.FIXED[budget]
            entries.append(replace(common, name=name, method="fixed", tile=tile))
        for tile_name in tiles:
            name = f"tile-{budget:g}-{tile_name}{end}"
            entries.append(replace(common, name=name, tile=tile_name))
        random = f"random-{budget:g}{end}"
        scattered = hand_made.SCATTERED[budget]
        entries.append(replace(common, name=random, method="random", tile=scattered))
    return entries


def as_document(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the document that `load` reads, with common values in the defaults."""
    rows = [asdict(entry) for entry in entries]
    defaults = {
        key: value
        for key, value in rows[0].items()
        if value is not None and all(row[key] == value for row in rows)
    }
    given = [{k: v for k, v in row.items() if k not in defaults and v is not None} for row in rows]
    return {"defaults": defaults, "entries": given}
