"""Figures 7 to 10 of the method's paper, drawn from our own scores, maps and restored clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from benchmarks.maps.rebuilt import LEARNED
from benchmarks.maps.restored import Restored
from benchmarks.maps.scores import Interval, MapScore, ScoresError, best, budgets, of
from benchmarks.maps.table import HAND
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SLOTS
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS
from focalloop.firmware_sim.maps.tiles import repeat
from focalloop.host.reconstruction.gap_tv import GAP_TV
from focalloop.models.zoo import APERTURE_BUNDLE

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
}

SHOWN_PERIODS = 2
"""How often the largest tile is repeated, down and across."""

ERROR_GAIN = 4
"""Factor by which errors are amplified in the drawing."""


@dataclass(frozen=True)
class Line:
    """The style of a method."""

    label: str
    methods: tuple[str, ...]
    colour: str
    marker: str


LINES = (
    Line("learned", ("learned",), "#d55e00", "o"),
    Line("relaxed", ("relaxed",), "#cc79a7", "P"),
    Line("searched", ("searched",), "#009e73", "v"),
    Line("best hand-made tile", ("tile",), "#0072b2", "s"),
    Line("fixed", ("fixed",), "#555555", "D"),
    Line("random", ("random",), "#999999", "^"),
)
REBUILT = (
    Line("fixed, random aperture: GAP-TV", (GAP_TV,), "#56b4e9", "X"),
    Line("fixed, random aperture: network", (APERTURE_BUNDLE,), "#e69f00", "*"),
    Line("learned, random aperture: network", (LEARNED + APERTURE_BUNDLE,), "#d55e00", "*"),
)
"""The ways of `benchmarks.maps.rebuilt`, which only the figure of apertures shows."""
"""Styles by method; shapes differ too, for readers with a colour vision deficiency."""


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all.

    Raises
    ------
    ScoresError
        If the suffix names no format that Matplotlib writes.
    """
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix[1:] not in formats:
        raise ScoresError(f"a figure cannot be written as {path.name!r}: end it in .png or .svg")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Software": None} if path.suffix == ".png" else None
    with written_whole(path) as partial:
        figure.savefig(partial, metadata=metadata)


def quality(scores: Sequence[MapScore], *, aperture: bool) -> Figure:
    """Draw PSNR and SSIM over the budget, and the gain of learning per clip (CRL Fig. 7, 8).

    A single budget is drawn as one column per method, next to that method without aperture.

    Raises
    ------
    ScoresError
        If there are no such maps.
    """
    here = of(scores, aperture=aperture)
    if not here:
        kind = "with" if aperture else "without"
        raise ScoresError(f"there are no scores {kind} the coded aperture yet: train some")
    with mpl.rc_context(STYLE):
        if len(budgets(here)) > 1:
            return _curves(here)
        if not aperture:
            return _columns(here, [])
        ways = {way for line in REBUILT for way in line.methods}
        rebuilt = [one for one in scores if one.method in ways]
        with_it = [one for one in rebuilt if one.aperture]
        without = [one for one in rebuilt if not one.aperture]
        return _columns(here + with_it, of(scores, aperture=False) + without)


def maps(scores: Sequence[MapScore]) -> Figure:
    """Draw the learned maps above the best hand-made ones, in the colours of levels (CRL Fig. 9).

    Raises
    ------
    ScoresError
        If no learned map is there.
    """
    pairs = []
    for aperture in (False, True):
        here = of(scores, aperture=aperture)
        for budget in budgets(here):
            learned = best(here, budget, "learned")
            if learned is not None:
                pairs.append((learned, best(here, budget, *HAND)))
    if not pairs:
        raise ScoresError("there are no learned maps among the scores yet: train some")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.2 * len(pairs), 5.2))
        axes = figure.subplots(2, len(pairs), squeeze=False)
        tiles = [np.array(one.tile) for pair in pairs for one in pair if one and one.tile]
        shown = SHOWN_PERIODS * max(max(tile.shape) for tile in tiles)
        for column, pair in zip(axes.T, pairs, strict=True):
            for ax, score in zip(column, pair, strict=True):
                _draw_map(ax, score, shown)
        for ax, label in zip(axes[:, 0], ("learned", "best hand-made"), strict=True):
            ax.set_ylabel(label, fontweight="bold")
        colours = [Patch(color=_colour(level), label=f"{level}") for level in DEFAULT_LEVEL_SET]
        figure.legend(
            handles=colours,
            title="measurements per window",
            loc="outside lower center",
            ncols=len(colours),
        )
    return figure


def restored(clip: Restored) -> Figure:
    """Draw one frame under several maps, an enlarged part of it, and the errors (CRL Fig. 10)."""
    top, left, side = clip.liveliest()
    part = np.s_[top : top + side, left : left + side]
    titles = ["truth"]
    titles += [f"{one.name}\n{one.psnr:.2f} dB, SSIM {one.ssim:.3f}" for one in clip.ways]
    frames = [clip.truth, *(one.frame for one in clip.ways)]
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(2.3 * len(frames), 7.0))
        axes = figure.subplots(3, len(frames), squeeze=False)
        for column, frame, title in zip(axes.T, frames, titles, strict=True):
            whole, enlarged, error = column
            whole.set_title(title)
            _picture(whole, frame)
            box = Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec="#d55e00", lw=1.2)
            whole.add_patch(box)
            _picture(enlarged, frame[part])
            _picture(error, ERROR_GAIN * np.abs(frame - clip.truth)[part])
        axes[2, 0].set_visible(False)  # the truth has none
        axes[0, 0].set_ylabel(f"{clip.name}, frame {clip.slot}")
        axes[1, 0].set_ylabel("enlarged")
        axes[2, 1].set_ylabel(f"error, {ERROR_GAIN} times")
    return figure


def _curves(here: Sequence[MapScore]) -> Figure:
    figure = Figure(figsize=(10.5, 3.5))
    psnr, ssim, gain = figure.subplots(1, 3)
    ticks = budgets(here)
    for ax, title in ((psnr, "PSNR, dB"), (ssim, "SSIM")):
        ax.set_title(title, loc="left")
        others = [one for one in here if one.method == "tile"]
        values = [one.psnr.mean() if ax is psnr else one.ssim.mean() for one in others]
        places = [one.measurements for one in others]
        ax.plot(places, values, "s", ms=4, color="#0072b2", alpha=0.3, label="other tiles", mew=0)
        for line in reversed(LINES):
            found = [best(here, budget, *line.methods) for budget in ticks]
            chosen = [one for one in found if one is not None]
            if chosen:
                ax.plot(
                    [one.measurements for one in chosen],
                    [one.psnr.mean() if ax is psnr else one.ssim.mean() for one in chosen],
                    color=line.colour,
                    marker=line.marker,
                    ms=5,
                    lw=2 if line.label == "learned" else 1.2,
                    label=line.label,
                )
        _measurements(ax, ticks)
    handles, labels = psnr.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=len(labels))
    _gains(gain, here)
    return figure


def _gains(ax: Axes, here: Sequence[MapScore]) -> None:
    """Draw learned minus best hand-made for every clip, with the mean and its interval."""
    ax.set_title("learned over best hand-made, dB", loc="left")
    ax.axhline(0, color="#888888", lw=0.8)
    ticks = budgets(here)
    for place, budget in enumerate(ticks):
        learned, rival = best(here, budget, "learned"), best(here, budget, *HAND)
        if learned is None or rival is None:
            continue
        difference = learned.psnr - rival.psnr
        beside = place + np.linspace(-0.16, 0.16, len(difference))
        ax.plot(beside, np.sort(difference), "o", ms=3, color="#bbbbbb", mew=0)
        _whisker(ax, place, Interval.of(difference), "#d55e00", "o")
    ax.set_xticks(range(len(ticks)), [f"{budget:g}" for budget in ticks])
    ax.set_xlim(-0.4, len(ticks) - 0.2)
    ax.set_xlabel("budget, measurements per pixel (grey: clips)")


def _columns(here: Sequence[MapScore], without: Sequence[MapScore]) -> Figure:
    (budget,) = budgets(here)
    lines = [line for line in LINES + REBUILT if best(here, budget, *line.methods)]
    figure = Figure(figsize=(max(9, 1 + 2 * len(lines)), 3.7))
    psnr, ssim = figure.subplots(1, 2)
    for ax, title in ((psnr, "PSNR, dB"), (ssim, "SSIM")):
        ax.set_title(title, loc="left")
        for place, line in enumerate(lines):
            for scores, side, face in ((without, -1, "white"), (here, 1, line.colour)):
                score = best(scores, budget, *line.methods)
                if score is None:
                    continue
                value = score.psnr.mean() if ax is psnr else score.ssim.mean()
                x = place + 0.08 * side
                ax.plot(x, value, line.marker, ms=8, mec=line.colour, mfc=face, mew=1.5)
                ax.annotate(
                    f"{value:.2f}" if ax is psnr else f"{value:.3f}",
                    (x, value),
                    (8 * side, 0),
                    textcoords="offset points",
                    ha="left" if side > 0 else "right",
                    va="center",
                )
        ax.set_xticks(range(len(lines)), [line.label.replace(" ", "\n") for line in lines])
        ax.set_xlim(-0.6, len(lines) - 0.4)
        ax.margins(y=0.2)
    note = "filled: with the coded aperture" + ("; open: without" if without else "")
    measured = f"{budget:g} measurement{'' if budget == 1 else 's'} per pixel"
    figure.supxlabel(f"{measured}; {note}", fontsize=9)
    return figure


def _whisker(ax: Axes, place: float, interval: Interval, colour: str, marker: str) -> None:
    ax.plot([place, place], [interval.low, interval.high], color=colour, lw=2)
    ax.plot(place, interval.mean, marker, color=colour, ms=6)
    ax.annotate(
        f"{interval.mean:+.2f}", (place, interval.mean), (9, -3), textcoords="offset points"
    )


def _measurements(ax: Axes, ticks: Sequence[float]) -> None:
    ax.set_xticks(list(ticks), [f"{budget:g}" for budget in ticks])
    ax.set_xlabel(f"measurements per pixel, r_avg · {DEFAULT_SLOTS}")


def _draw_map(ax: Axes, score: MapScore | None, shown: int) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    if score is None or score.tile is None:
        return
    tile = np.array(score.tile)
    levels = repeat(tile, shown, shown)
    ax.imshow(
        np.searchsorted(DEFAULT_LEVEL_SET, levels),
        cmap=ListedColormap([_colour(level) for level in DEFAULT_LEVEL_SET]),
        vmin=-0.5,
        vmax=len(DEFAULT_LEVEL_SET) - 0.5,
        interpolation="nearest",
    )
    height, width = tile.shape
    box = Rectangle((-0.5, -0.5), width, height, fill=False, ec="white", lw=1.2, clip_on=False)
    ax.add_patch(box)
    kind = "with aperture, " if score.aperture else ""
    ax.set_title(f"{kind}{score.measurements:.3g} per pixel")
    ax.set_xlabel(
        f"r_avg {score.measurements / DEFAULT_SLOTS:.4f}, tile {width}x{height}\n"
        f"{score.psnr.mean():.2f} dB"
    )


def _picture(ax: Axes, frame: NDArray[np.floating]) -> None:
    ax.imshow(frame, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _colour(level: int) -> tuple[float, float, float]:
    red, green, blue = LEVEL_COLOURS[level]
    return red / 255, green / 255, blue / 255
