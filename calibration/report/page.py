"""The calibration report: one HTML page that needs no network and no script.

``report.html`` is its template; this module fills in the tables and figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template

from focalloop.calibration.report import figures
from focalloop.calibration.report.charts import MAP_SCALE, number
from focalloop.calibration.report.verdict import verdict
from focalloop.calibration.result import Calibration, Estimate, LevelSummary
from focalloop.firmware_sim.files import written_whole

_MAX_LEVELS_OPEN = 24
"""Most levels whose table is open from the start."""

_KEY_FIGURES = ("s_r", "s_ss", "gain_dn_per_electron", "dark_noise_dn")

MEANINGS = {
    "s_ss": ("Shot noise, s_ss", "standard deviation at full scale, in units of full scale"),
    "s_r": (
        "Read noise, s_r",
        "of one read in the dark, in units of full scale, without row noise",
    ),
    "gain_dn_per_electron": ("System gain, K", "codes per electron"),
    "dark_noise_dn": ("Dark noise", "of one read in the dark, with row noise and quantisation"),
    "black_level_dn": ("Black level", "mean code without light"),
    "dsnu_dn": ("DSNU", "standard deviation of the pixels' offsets"),
    "dsnu_pixel_dn": ("DSNU, pixels", "the same without the offsets of rows and columns"),
    "dsnu_row_dn": ("DSNU, rows", "standard deviation of the offsets of rows"),
    "dsnu_column_dn": ("DSNU, columns", "standard deviation of the offsets of columns"),
    "prnu": ("PRNU", "relative standard deviation of the pixels' gains"),
    "prnu_pixel": ("PRNU, pixels", "the same without the gains of rows and columns"),
    "prnu_row": ("PRNU, rows", "relative standard deviation of the gains of rows"),
    "prnu_column": ("PRNU, columns", "relative standard deviation of the gains of columns"),
    "row_noise_dn": ("Row noise", "offset of a whole row, new in each read"),
    "frame_offset_dn": ("Frame offset", "offset of a whole read, new in each read"),
    "dark_signal": ("Dark signal", "collected without light, per full window or per second"),
    "light_flicker": ("Light flicker", "relative standard deviation of the light between reads"),
    "full_well": ("Full well", "signal at which a pixel saturates, in units of full scale"),
    "saturation_capacity": ("Saturation capacity", "electrons at saturation"),
    "saturation_dn": ("Saturation", "mean code at which the variance starts to fall"),
    "dynamic_range_db": ("Dynamic range", "saturation over the smallest detectable signal"),
    "linearity_error": ("Linearity error", "mean deviation from a straight line"),
    "response_bend": (
        "Bend of the response",
        "relative deviation at full scale from the initial straight line",
    ),
    "bend": ("Bend", "its part that grows with the signal"),
    "bend_cubic": ("Bend, cubic", "its part that grows with the square of the signal"),
    "quantum_efficiency": ("Quantum efficiency", "electrons per photon"),
}
"""Title and meaning of each estimate, for people."""


def write_report(calibration: Calibration, path: str | Path) -> None:
    """Write the report of a calibration to an HTML file, whole or not at all.

    Raises
    ------
    WriteError
        The file cannot be written.
    """
    text = report_html(calibration)
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def report_html(calibration: Calibration) -> str:
    """Return the report of a calibration as one self-contained HTML page."""
    template = (files("focalloop.calibration.report") / "report.html").read_text(encoding="utf-8")
    profile = calibration.profile
    reads = sum(level.reads for level in calibration.levels)
    return Template(template).substitute(
        title=escape(_subject(calibration)),
        subtitle=f"{len(calibration.levels)} levels, {reads} reads, {profile.bits} bit; "
        f"protocol {escape(calibration.protocol)}",
        scale=", ".join(MAP_SCALE),
        verdict=_verdict(calibration),
        key=_key_figures(calibration.estimates),
        estimates=_estimates(calibration.estimates),
        figures=_figures(calibration),
        levels=_levels(calibration.levels),
        provenance=_facts(calibration.origin),
        software=f"focalloop {version('focalloop')}",
    )


def _subject(calibration: Calibration) -> str:
    """Return the name of the board if known, else that of the profile."""
    board = calibration.origin.get("board")
    name = board.get("name") if isinstance(board, Mapping) else None
    return str(name or calibration.profile.name)


def _verdict(calibration: Calibration) -> str:
    judgement = verdict(calibration)
    paragraph = " ".join(escape(sentence) for sentence in judgement.sentences)
    warnings = "".join(f"<li>{escape(text)}</li>" for text in calibration.warnings)
    listed = f'<ul class="warnings" aria-label="Warnings">{warnings}</ul>' if warnings else ""
    return (
        f'<section class="panel verdict {judgement.mood}"><h2>{judgement.headline}</h2>'
        f"<p>{paragraph}</p></section>{listed}"
    )


def _key_figures(estimates: Mapping[str, Estimate]) -> str:
    tiles = "".join(
        f'<div class="panel"><dt>{MEANINGS[name][0]}</dt><dd>{_value(estimate)}</dd>'
        f'<dd class="range">95 %: {_interval(estimate)}</dd></div>'
        for name in _KEY_FIGURES
        if (estimate := estimates.get(name)) is not None
    )
    return f'<dl class="key">{tiles}</dl>'


def _estimates(estimates: Mapping[str, Estimate]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th><td>{_value(estimate)}</td>'
        f'<td>{_interval(estimate)}</td><td class="meaning">{escape(meaning)}</td>'
        f'<td class="text"><code>{escape(name)}</code></td></tr>'
        for name, estimate in estimates.items()
        for title, meaning in [MEANINGS.get(name, (name, ""))]
    )
    return _table(
        ("Quantity", "Value", "95 % interval", "text Meaning", "text Name in the file"), rows
    )


def _figures(calibration: Calibration) -> str:
    fit = figures.photon_transfer(calibration) + figures.residuals(calibration)
    response = (
        figures.response(calibration)
        + figures.signal_to_noise(calibration)
        + figures.linearity(calibration)
        + figures.read_noise_quantiles(calibration)
    )
    sections = [("Noise and response", fit + response), *figures.patterns(calibration)]
    return "".join(
        f'<h2>{heading}</h2><div class="charts">{drawn}</div>' for heading, drawn in sections
    )


def _levels(levels: tuple[LevelSummary, ...]) -> str:
    rows = "".join(_level_row(level) for level in levels)
    table = _table(
        (
            "Level", "Light", "Exposure", "Reads × pixels", "Mean, DN", "Variance, DN²", "Fit, DN²",
            "At code 0", "Saturated", "text In the fit",
        ),
        rows,
        "dense",
    )  # fmt: skip
    if len(levels) <= _MAX_LEVELS_OPEN:
        return table
    return f"<details><summary>All {len(levels)} levels</summary>{table}</details>"


def _level_row(level: LevelSummary) -> str:
    light = "dark" if level.dark else "–" if level.light is None else number(level.light, 4)
    cells = (
        light,
        number(level.exposure, 4),
        f"{level.reads} × {level.pixels:,}",
        number(level.mean_dn, 6),
        f"{number(level.variance_dn2, 4)} ± {number(level.variance_error_dn2, 2)}",
        number(level.model_variance_dn2, 4),
        _percent(level.zero_fraction),
        _percent(level.saturated_fraction),
    )
    fit = "yes" if level.used else f"no: {escape(level.why_not)}"
    return (
        f'<tr{"" if level.used else " class=out"}><th scope="row">{escape(level.name)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f'<td class="text">{fit}</td></tr>'
    )


def _facts(origin: Mapping[str, object]) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _flat("", origin)
    )
    if not items:
        return '<p class="sub">Nothing was recorded.</p>'
    return f'<dl class="panel facts">{items}</dl>'


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield nested JSON values as pairs of name and text."""
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _flat(f"{name} · {key}" if name else str(key), inner)
        case list() | tuple() if any(isinstance(item, Mapping | list | tuple) for item in value):
            for i, item in enumerate(value, 1):
                yield from _flat(f"{name} {i}", item)
        case list() | tuple():
            yield name, ", ".join(map(str, value))
        case None:
            yield name, "not known"
        case bool():
            yield name, "yes" if value else "no"
        case _:
            yield name, str(value)


def _table(headings: tuple[str, ...], rows: str, kind: str = "") -> str:
    cells = ""
    for heading in headings:
        text = heading.removeprefix("text ")
        cells += f'<th scope="col"{"" if text == heading else " class=text"}>{text}</th>'
    return (
        f'<div class="panel table {kind}"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _value(estimate: Estimate) -> str:
    unit = f" <small>{escape(estimate.unit)}</small>" if estimate.unit else ""
    return f"{number(estimate.value, 4)}{unit}"


def _interval(estimate: Estimate) -> str:
    low, high = estimate.ci95
    return f"{number(low, 4)} … {number(high, 4)}"


def _percent(share: float) -> str:
    return "–" if share == 0 else f"{number(100 * share, 2)} %"
