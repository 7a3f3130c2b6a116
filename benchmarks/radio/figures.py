"""Figures 11 to 13 of the method's paper, and PSNR over SNR, drawn from our own scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.maps.figures import STYLE
from benchmarks.radio.curves import everyone, pchip
from benchmarks.radio.rivals import RIVALS
from benchmarks.radio.scores import OPEN_CLIPS, MethodScores

_STYLE: dict[Any, Any] = STYLE | {"axes.grid.axis": "both"}


def over_symbols(scores: Sequence[MethodScores]) -> Figure:
    """Draw PSNR over the mean of the symbols, on the whole set and on the open subset.

    Beside methods whose sensing was trained with the link, the others are dashed.
    """
    with mpl.rc_context(_STYLE):
        sets = clip_sets(scores[0].clips)
        joint = any(RIVALS[one.name].joint for one in scores)
        figure = Figure(figsize=(4.8 * len(sets), 4.2))
        axes = figure.subplots(1, len(sets), squeeze=False)[0]
        for ax, (title, clips) in zip(axes, sets.items(), strict=True):
            ax.set_title(f"PSNR, dB: {title}", loc="left")
            for one in reversed(scores):
                _curve(ax, one, clips, "--" if joint and not RIVALS[one.name].joint else "-")
            ax.set_xlabel("complex symbols per window, mean over clips")
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        _legend(figure)
    return figure


def over_snr(scores: Sequence[MethodScores]) -> Figure:
    """Draw PSNR over SNR at about the same number of symbols; dashed where nothing adapts."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 5.0))
        ax = figure.subplots()
        ax.set_title("PSNR, dB, over SNR", loc="left")
        for one in reversed(scores):
            rival = RIVALS[one.name]
            styles = {"snr": ("--" if rival.coded else "-", ""), "snr-best": ("-", ", best scheme")}
            for sweep, (line, note) in styles.items():
                points = sorted(one.swept(sweep), key=lambda point: point.channel.snr_db)
                if points:
                    ax.plot(
                        [point.channel.snr_db for point in points],
                        [point.psnr.mean() for point in points],
                        line,
                        color=rival.colour,
                        marker=rival.marker,
                        ms=4,
                        lw=1.4,
                        label=rival.label + note,
                    )
        ax.set_xlabel("Es/N0 per complex symbol, dB")
        _legend(figure, columns=2)
    return figure


def clip_sets(clips: Sequence[str]) -> dict[str, list[str]]:
    """Return the clips by set: all of them and, where more than it is there, the open subset."""
    sets = {f"{len(clips)} clips": list(clips)}
    if set(OPEN_CLIPS) < set(clips):
        sets[f"{len(OPEN_CLIPS)} open clips"] = list(OPEN_CLIPS)
    return sets


def _curve(ax: Axes, scores: MethodScores, clips: Sequence[str], line: str) -> None:
    rival, curve = RIVALS[scores.name], scores.curve(clips)
    logs, psnr = curve.drawn(everyone(curve.clips))
    between = np.linspace(logs[:, 0], logs[:, -1], 100, axis=1)
    style: dict[str, Any] = {"color": rival.colour, "lw": 1.6 if line == "-" else 1.0}
    ax.plot(np.exp(between[0]), pchip(logs, psnr, between)[0], line, **style)
    # The legend shows points and line, though they are drawn apart.
    ax.plot(np.exp(logs[0]), psnr[0], rival.marker, color=rival.colour, ms=5)
    ax.plot([], [], line, marker=rival.marker, ms=5, label=rival.label, **style)


def _legend(figure: Figure, columns: int = 4) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncols=min(len(labels), columns)
    )
