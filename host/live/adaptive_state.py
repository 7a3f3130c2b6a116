"""What a live session shows of its adaptive map and of the controller that chooses its grids."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class AdaptiveState:
    """An adaptive map that follows the scene, within a budget of reads per window.

    Counts are those of the session. A window at rest is read under the resting map.
    """

    active: bool
    """Whether the board runs the adaptive map; otherwise the rest is of the time when it did."""
    activity: str
    """What the map does now and why, a sentence."""
    budget: float
    """Most reads in a window, relative to a full readout."""
    budget_reads: int
    """The same in reads."""
    rows: int
    columns: int
    """Blocks of the array."""
    block: int
    """Side of a block in pixels."""
    tile_reads: tuple[float, ...]
    """Reads per pixel of each tile of the palette."""
    reads: int | None = None
    """Reads in the newest window."""
    windows: int = 0
    """Windows received since the board got the adaptive map."""
    windows_under_grid: int = 0
    windows_over_budget: int = 0
    """Windows with more reads than the budget; no grid has."""
    delays: dict[int, int] = field(default_factory=dict)
    """Windows under a grid, by how many windows ago that was which their grid was chosen from."""
    grids_taken: int = 0
    grids_late: int = 0
    """Grids that came when their window had begun, so that another applied to it."""
    grids_refused: int = 0
    """Grids that the board did not take for another reason."""
    windows_not_used: int = 0
    """Windows from which nothing was chosen, because they or those before came too late or not."""
    choice_ms: float | None = None
    """Median processor time of one choice, over the last 60."""
