"""A plot of the log of a run, redrawn at every report.

The run of a network shows its PSNR. A run that learns a map also shows how the measurements
approach the budget and at what price, how undecided the policy still is, and which levels it
chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, str]]


def draw(rows: Rows, path: Path) -> None:
    """Draw a log, and write the picture to `path`, whole or not at all.

    Parameters
    ----------
    rows : Rows
        Rows of a `RunLog`: ``step``, ``train_psnr``, ``validation_psnr``; where a map is learned
        also ``sampled_psnr``, ``sampled_mean``, ``argmax_mean``, ``deployed_mean``, ``price``,
        ``entropy``, ``share_<level>`` and, where there is one, ``budget``.
    path : Path
        PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    learns_map = any(row.get("entropy") for row in rows)
    # Not pyplot, which would keep figures alive and look for a display.
    figure = Figure(figsize=(10, 7) if learns_map else (6, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    if learns_map:
        quality, cost, choice, levels = figure.subplots(2, 2).flat
        _draw_cost(cost, rows)
        _draw_choice(choice, rows)
        _draw_levels(levels, rows)
    else:
        quality = figure.subplots()
    _draw_quality(quality, rows, learns_map)
    with written_whole(path) as partial:
        figure.savefig(partial, format="png")


def _draw_quality(axes: Axes, rows: Rows, learns_map: bool) -> None:
    _line(axes, rows, "train_psnr", "training", color="0.6")
    _line(axes, rows, "sampled_psnr", "validation, sampled maps", linestyle="--")
    _line(axes, rows, "validation_psnr", "validation" + ", map to deploy" * learns_map)
    _finish(axes, "PSNR (dB)")


def _draw_cost(axes: Axes, rows: Rows) -> None:
    _line(axes, rows, "sampled_mean", "sampled", linestyle="--")
    _line(axes, rows, "argmax_mean", "argmax", linestyle=":")
    _line(axes, rows, "deployed_mean", "map to deploy")
    budgets = _values(rows, "budget")[1]
    if budgets:
        axes.axhline(budgets[-1], color="black", linewidth=0.8, label="budget")
    axes.set_ylim(bottom=0)
    _finish(axes, "measurements per pixel")


def _draw_choice(axes: Axes, rows: Rows) -> None:
    _line(axes, rows, "entropy", "entropy of the policy (nats)")
    _line(axes, rows, "price", "price of a measurement (lambda)")
    axes.set_ylim(bottom=0)
    _finish(axes, "policy")


def _draw_levels(axes: Axes, rows: Rows) -> None:
    columns = [_values(rows, f"share_{level}") for level in DEFAULT_LEVEL_SET]
    if columns[0][0] and len({len(steps) for steps, _ in columns}) == 1:
        colours = ["#{:02x}{:02x}{:02x}".format(*LEVEL_COLOURS[n]) for n in DEFAULT_LEVEL_SET]
        shares = [values for _, values in columns]
        labels = [f"level {level}" for level in DEFAULT_LEVEL_SET]
        axes.stackplot(columns[0][0], *shares, colors=colours, labels=labels)
    axes.set_ylim(0, 1)
    _finish(axes, "share of the map's pixels")


def _line(axes: Axes, rows: Rows, column: str, label: str, **style: Any) -> None:  # noqa: ANN401
    steps, values = _values(rows, column)
    if steps:
        # A marker, because the line of a single report would be invisible.
        axes.plot(steps, values, label=label, marker=".", **style)


def _values(rows: Rows, column: str) -> tuple[list[int], list[float]]:
    """Return the steps and values of the rows in which a column has a number."""
    found = [(int(row["step"]), float(row[column])) for row in rows if _is_number(row.get(column))]
    return [step for step, _ in found], [value for _, value in found]


def _is_number(text: str | None) -> bool:
    try:
        return float(text or "nan") == float(text or "nan")
    except ValueError:
        return False


def _finish(axes: Axes, quantity: str) -> None:
    axes.set_xlabel("step")
    axes.set_ylabel(quantity)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
