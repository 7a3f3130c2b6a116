"""How windows that were sent over a radio are reported: a table, bars, and their rate maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.pictures import png
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.cli.views.map_report import two_columns
from focalloop.host.radio.send import Report, SentWindow

_BAR = 40
"""Characters of the longest bar."""

_DRAWN = (20, 38)
"""Rows and columns of a rate map in a terminal, at most."""

_BLOCK = 16
"""Image pixels of a location in a picture."""

_GAP = 4
"""Image pixels between the rate maps of a picture."""

_COLOURS = np.array([(13, 8, 66), (103, 20, 130), (190, 55, 84), (243, 130, 50), (250, 235, 160)])
"""Colours from the lowest rate to the highest."""


def radio_report(report: Report) -> Group:
    """Lay out a report for a terminal: each window, what the symbols were spent on, the rates."""
    shown: list[Table | Text] = [_table(report), _parts(report)]
    drawn = next((each for each in report.windows if each.delivery.rate_map is not None), None)
    if drawn is not None:
        shown.append(_drawing(drawn))
    return Group(*shown)


def draw_rates(path: Path, report: Report) -> None:
    """Draw the rate map of every window, one below the other, as a PNG.

    Raises
    ------
    RadioError
        Every window was lost.
    WriteError
        The file cannot be written.
    """
    maps = [each.delivery.rate_map for each in report.windows]
    known = [rates for rates in maps if rates is not None]
    if not known:
        raise RadioError("every window was lost, so there is no rate map to draw")
    pictures = []
    for rates in known:
        colours = _colours(rates).repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
        pictures.append(np.pad(colours, ((0, _GAP), (0, 0), (0, 0)), constant_values=255))
    with written_whole(path) as partial:
        partial.write_bytes(png(np.concatenate(pictures)[:-_GAP]))


def _table(report: Report) -> Table:
    channel = report.channel
    table = Table(caption=f"{report.method} over {channel.kind} at {channel.snr_db:g} dB")
    table.add_column("window", overflow="fold")
    for name in ("PSNR dB", "SSIM", "symbols", "bits", "block errors"):
        table.add_column(name, justify="right")
    for each in report.windows:
        errors = f"{each.delivery.block_errors} (lost)" if each.delivery.lost else None
        table.add_row(
            each.name,
            _number(each.psnr, ".2f"),
            _number(each.ssim, ".4f"),
            f"{each.symbols.total:,}",
            _number(each.delivery.bits, ","),
            errors or str(each.delivery.block_errors),
        )
    table.add_section()
    table.add_row(
        "mean",
        _number(report.psnr, ".2f"),
        _number(report.ssim, ".4f"),
        f"{report.symbols:,.0f}",
        _number(report.bits, ",.0f"),
        f"{report.block_errors:.2f}",
        style="bold",
    )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _parts(report: Report) -> Table:
    table = two_columns()
    for name in ("payload", "rate_map", "header"):
        symbols = float(np.mean([getattr(each.symbols, name) for each in report.windows]))
        share = symbols / report.symbols
        bar = Text("█" * round(_BAR * share), style="green")
        table.add_row(name.replace("_", " "), Text(f"{symbols:9,.0f}  {share:7.2%}  ") + bar)
    return table


def _drawing(window: SentWindow) -> Text:
    rates = window.delivery.rate_map
    assert rates is not None
    rows, columns = (min(have, most) for have, most in zip(rates.shape, _DRAWN, strict=True))
    picked = rates[
        np.ix_(
            np.arange(rows) * rates.shape[0] // rows,
            np.arange(columns) * rates.shape[1] // columns,
        )
    ]
    text = Text()
    for line, colours in zip(picked, _colours(picked), strict=True):
        for rate, (red, green, blue) in zip(line, colours, strict=True):
            ink = "black" if int(red) + int(green) + int(blue) > 380 else "white"
            text.append(f"{rate:>2}", style=f"{ink} on rgb({red},{green},{blue})")
        text.append("\n")
    text.append(f"rate of each location of {window.name}, 0 to 7")
    return text


def _colours(rates: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (h, w, 3) colours of rates (h, w), 0 to 7."""
    at = np.minimum(rates, 7) / 7 * (len(_COLOURS) - 1)
    channels = [np.interp(at, np.arange(len(_COLOURS)), _COLOURS[:, k]) for k in range(3)]
    colours: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours
