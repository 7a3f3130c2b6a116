"""The comparison as tables, in Markdown or as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.maps.scores import Interval, MapScore, best, budgets, of

HAND = ("tile", "fixed")
"""Maps that need no learning: the rivals of a learned map."""


def quality(
    scores: Sequence[MapScore], slowed: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, Any]]:
    """Return one row per map, sorted by aperture, budget and descending PSNR.

    `slowed` holds the scores of maps on the slowed long clips, by `long_clips.by_map`.
    """
    ranked = sorted(
        scores, key=lambda one: (one.profile, one.aperture, one.budget, -one.psnr.mean())
    )
    return [
        {
            "map": one.name,
            "method": one.method,
            "profile": one.profile,
            "aperture": one.aperture,
            "budget": one.budget,
            "measurements": one.measurements,
            "seeds": one.seeds,
            "psnr": Interval.of(one.psnr),
            "ssim": Interval.of(one.ssim),
            "slowed_psnr": Interval.of(slowed[one.name]) if one.name in slowed else None,
        }
        for one in ranked
    ]


def gains(scores: Sequence[MapScore]) -> Iterator[dict[str, Any]]:
    """Yield the gain of the learned map of each budget over its rivals, paired by clip."""
    for profile in sorted({one.profile for one in scores}):
        for aperture in (False, True):
            here = of(scores, aperture=aperture, profile=profile)
            for budget in budgets(here):
                learned = best(here, budget, "learned")
                if learned is None:
                    continue
                for rival in _rivals(here, budget):
                    yield {
                        "profile": profile,
                        "aperture": aperture,
                        "budget": budget,
                        "map": learned.name,
                        "rival": rival.name,
                        "psnr": Interval.of(learned.psnr - rival.psnr),
                        "ssim": Interval.of(learned.ssim - rival.ssim),
                    }


def _rivals(scores: Sequence[MapScore], budget: float) -> list[MapScore]:
    """Return the best of all hand-made maps, of plain grids, of fixed levels and of random maps."""
    grids = [one for one in scores if one.method in HAND and _is_grid(one)]
    found = [
        best(scores, budget, *HAND),
        best(grids, budget, *HAND),
        best(scores, budget, "fixed"),
        best(scores, budget, "random"),
    ]
    return list({id(one): one for one in found if one is not None}.values())


def _is_grid(score: MapScore) -> bool:
    """Whether two levels alternate, in a checkerboard or as one pixel in four."""
    tile = np.array(score.tile or [[0]])
    return max(tile.shape) <= 2 and len(np.unique(tile)) == 2


def markdown(scores: Sequence[MapScore], slowed: Mapping[str, NDArray[np.float64]]) -> str:
    """Return both tables as text."""
    lines = [
        "| map | measurements per pixel | seeds | PSNR, dB [95 %] | SSIM [95 %] "
        "| slowed clips, network for any map: PSNR |",
        "|---|---|---|---|---|---|",
    ]
    for row in quality(scores, slowed):
        of_slowed = row["slowed_psnr"].text(2) if row["slowed_psnr"] else ""
        lines.append(
            f"| {row['map']}{_profile(row)} | {row['measurements']:.4g} | {row['seeds']} "
            f"| {row['psnr'].text(2)} | {row['ssim'].text(3)} | {of_slowed} |"
        )
    won = list(gains(scores))
    if won:
        lines += ["", "| learned | over | PSNR gain, dB [95 %] | SSIM gain [95 %] |"]
        lines += ["|---|---|---|---|"]
    for row in won:
        lines.append(
            f"| {row['map']}{_profile(row)} | {row['rival']} "
            f"| {row['psnr'].text(2, '+')} | {row['ssim'].text(3, '+')} |"
        )
    return "\n".join(lines)


def as_document(
    scores: Sequence[MapScore], slowed: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """Return both tables for ``--json``, with intervals as three numbers."""

    def plain(row: dict[str, Any]) -> dict[str, Any]:
        return {k: vars(v) if isinstance(v, Interval) else v for k, v in row.items()}

    return {
        "maps": [plain(row) for row in quality(scores, slowed)],
        "gains": [plain(row) for row in gains(scores)],
    }


def _profile(row: dict[str, Any]) -> str:
    return "" if row["profile"] == "edge" else f" ({row['profile']})"
