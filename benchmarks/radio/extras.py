"""Rows beyond the method's paper: fading, amplifiers and converters, and networks of one purpose.

Every row sends the same windows once more, at about the same symbols as another row, which it is
compared with clip by clip. Rows of networks that are not shipped need a folder of their bundles;
what is stored of them says how they were trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.maps.scores import Interval, write_whole
from benchmarks.radio.figures import clip_sets
from benchmarks.radio.rivals import CHANNEL_SEED, COMMON_SYMBOLS, Bench
from benchmarks.radio.scores import Float, RadioScoresError
from benchmarks.radio.shaping import Shape, ShapedSemCom, as_made, on_a_grid
from focalloop.firmware_sim.radio.bitstream import CodedWindow
from focalloop.firmware_sim.radio.channel import Channel, ChannelKind
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.host.radio.block_errors import best_scheme
from focalloop.host.radio.codec import Codec
from focalloop.host.radio.compressed import Compressed
from focalloop.host.radio.ldpc import LdpcLink
from focalloop.host.radio.methods import Method, Sensing
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.semcom import SemCom
from focalloop.host.radio.send import sent
from focalloop.host.reconstruction.reconstruct import Float32

FILE = "extras.json"
SCHEMA = 1
SNR_DB = 10.0
MAX_PAPR_DB = 6.0
FADES = 10
"""Channel seeds of a row with one fade per window; of other rows, one."""

FEW_SYMBOLS = 8_600
"""Symbols per 256x256 pixels where low rates are compared."""

LOW_COST = (32, 48, 72, 104)
"""The rates nearest to 24, 48, 72 and 96 reals per location: ``6f`` of 48 values per 8x8 pixels, as
at the low cost of CRL section 4, for f = 1 to 4."""

OWN_RATE = 72
"""Reals of a location where all have the same rate."""


def few_rates(
    log_error: Float32, rates: Sequence[int], reals: float, *, allowed: Sequence[int] = LOW_COST
) -> NDArray[np.uint8]:
    """Choose among some of the rates only; an `Allocation`."""
    places = [list(rates).index(rate) for rate in allowed]
    within = min(max(reals, allowed[0] * log_error[0].size), allowed[-1] * log_error[0].size)
    chosen = rates_for_budget(log_error[places], allowed, within)
    return np.array(places, np.uint8)[chosen]


def one_rate(
    log_error: Float32, rates: Sequence[int], reals: float, *, rate: int = OWN_RATE
) -> NDArray[np.uint8]:
    """Give all locations one rate, whatever the budget; an `Allocation`."""
    return np.full(log_error.shape[1:], list(rates).index(rate), np.uint8)


@dataclass(frozen=True)
class Extra:
    """A row.

    Attributes
    ----------
    label : str
        What it shows.
    against : str or None
        Key of the row that it is compared with.
    network : str
        Radio bundle; that of a name without ``radio-`` is not shipped.
    channel : str
        Kind of channel, at `SNR_DB`.
    symbols : float
        Per 256x256 pixels.
    shape : callable
        What happens to the payload of SemCom.
    mixed, max_papr_db : bool and float or None
        How SemCom sends it.
    allocate : callable
        Chooses the rates of SemCom.
    """

    label: str
    against: str | None = None
    network: str = "radio-semcom"
    channel: ChannelKind = "awgn"
    symbols: float = COMMON_SYMBOLS
    shape: Shape = as_made
    mixed: bool = True
    max_papr_db: float | None = None
    allocate: Callable[..., NDArray[np.uint8]] = rates_for_budget

    @property
    def shipped(self) -> bool:
        """Whether everybody has its network."""
        return self.network.startswith("radio-")


_CODEC = "radio-codec-edge"
_TUNED = Extra("trained on as it was, not mixed", network="base", mixed=False)
EXTRAS: dict[str, Extra] = {
    "awgn": Extra("SemCom"),
    "plain": Extra("not mixed", "awgn", mixed=False),
    "rayleigh": Extra("a fade per symbol", "awgn", channel="rayleigh"),
    "rayleigh-plain": Extra("the same, not mixed", "rayleigh", channel="rayleigh", mixed=False),
    "block": Extra("a fade per window", "awgn", channel="rayleigh-block"),
    "codec": Extra("Compr+LDPC, best scheme", "awgn", _CODEC),
    "codec-rayleigh": Extra("the same, a fade per symbol", "rayleigh", _CODEC, "rayleigh"),
    "codec-block": Extra("the same, a fade per window", "block", _CODEC, "rayleigh-block"),
    "clipped": Extra("clipped to 6 dB", "awgn", max_papr_db=MAX_PAPR_DB),
    "clipped-plain": Extra(
        "not mixed, clipped to 6 dB", "awgn", mixed=False, max_papr_db=MAX_PAPR_DB
    ),
    "grid": Extra("rounded to 256-QAM", "awgn", shape=on_a_grid),
    "grid-plain": Extra("not mixed, rounded to 256-QAM", "awgn", shape=on_a_grid, mixed=False),
    "few": Extra("SemCom, 8,600 symbols", symbols=FEW_SYMBOLS),
    "low-cost": Extra(
        f"four rates: {', '.join(map(str, LOW_COST))}",
        "few",
        symbols=FEW_SYMBOLS,
        allocate=few_rates,
    ),
    "tuned": _TUNED,
    "tuned-clipped": replace(
        _TUNED, label="the same, clipped to 6 dB", against="tuned", max_papr_db=MAX_PAPR_DB
    ),
    "papr6": replace(
        _TUNED,
        label="trained on with the clipper, clipped to 6 dB",
        against="tuned",
        network="papr6",
        max_papr_db=MAX_PAPR_DB,
    ),
    "at10": Extra("trained on at 10 dB alone, not mixed", "tuned", "at10", mixed=False),
    "nested": Extra(
        "trained on as it was, 72 reals everywhere", None, "base", mixed=False, allocate=one_rate
    ),
    "own-rate": Extra(
        "trained on for that rate", "nested", "noran72", mixed=False, allocate=one_rate
    ),
}


@dataclass(frozen=True, eq=False)
class ExtraScore:
    """What was measured of a row, over clips.

    Attributes
    ----------
    key : str
        Of `EXTRAS`.
    recipe : str
        Command that trained its network.
    symbols, psnr, lost : ndarray of float64, shape (clips,)
        Complex symbols, dB, and share of the windows that were lost; means over the fades.
    peak_db : ndarray of float64, shape (clips,), or None
        Peak-to-average power of the symbols, where they were looked at.
    """

    key: str
    recipe: str
    symbols: Float
    psnr: Float
    lost: Float
    peak_db: Float | None = None


@dataclass(frozen=True, eq=False)
class ExtraScores:
    """All rows that were measured, on the same clips."""

    tested_on: dict[str, Any]
    rows: dict[str, ExtraScore] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Write the file, a row per line."""
        rows = ",\n  ".join(json.dumps(_as_dict(row)) for row in self.rows.values())
        head = json.dumps({"schema": SCHEMA, "tested_on": self.tested_on}, indent=1)
        path = folder / FILE
        write_whole(path, head.removesuffix("\n}") + f',\n "rows": [\n  {rows}\n ]\n}}\n')
        return path


def load(folder: Path) -> ExtraScores:
    """Read the rows that were measured.

    Raises
    ------
    RadioScoresError
        There are none, or the file is damaged.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text("utf-8"))
        rows = [_from_dict(row) for row in document["rows"]]
        return ExtraScores(document["tested_on"], {row.key: row for row in rows})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RadioScoresError(
            f"{path} does not hold scores ({error}): "
            "run  python -m benchmarks.radio extras --clips public_test.npz"
        ) from None


def measured(bench: Bench, networks: Path | None, keys: Sequence[str]) -> Iterator[ExtraScore]:
    """Measure rows, those of networks that are not shipped from bundles in a folder."""
    height, width = bench.sensing.ratio_map.shape
    share = height * width / 256**2
    for key in keys:
        extra = EXTRAS[key]
        name: str | Path = extra.network
        if not extra.shipped:
            if networks is None:
                continue
            name = networks / extra.network
        bundle = RadioBundle.load(name)
        channel = Channel(extra.channel, SNR_DB)
        method = _method(extra, bundle, bench.sensing, channel)
        fades = FADES if extra.channel == "rayleigh-block" else 1
        runs = [
            list(
                sent(
                    bench.windows,
                    method,
                    bench.sensing,
                    channel,
                    symbols=round(share * extra.symbols),
                    seed=CHANNEL_SEED + fade,
                )
            )
            for fade in range(fades)
        ]
        peaks = method.peaks_db if isinstance(method, ShapedSemCom) else []
        yield ExtraScore(
            key,
            str(bundle.meta["training"]["recipe"]),
            np.mean([[window.symbols.total for window in run] for run in runs], axis=0),
            np.mean(
                np.array([[window.psnr for window in run] for run in runs], np.float64), axis=0
            ),
            np.mean([[window.delivery.lost for window in run] for run in runs], axis=0),
            np.reshape(peaks, (fades, -1)).mean(0) if peaks else None,
        )


class _UpToTheMost(Compressed):
    """Compression that takes fewer symbols where a calm clip needs fewer at the highest quality."""

    def compress(self, reads: Float32, channel: Channel, symbols: int | None = None) -> CodedWindow:
        """Return what is sent of one window."""
        assert symbols is not None
        return self.within(reads, channel, symbols)


def _method(extra: Extra, bundle: RadioBundle, sensing: Sensing, channel: Channel) -> Method:
    if bundle.kind == "codec":
        codec = Codec(bundle, threads=1)
        return _UpToTheMost("compr-ldpc", sensing, codec, LdpcLink(best_scheme(channel)))
    method = SemCom(
        "semcom",
        bundle,
        sensing.ratio_map,
        allocate=extra.allocate,
        threads=1,
        mixed=extra.mixed,
        max_papr_db=extra.max_papr_db,
    )
    return ShapedSemCom(method, extra.shape)


def document(scores: ExtraScores) -> dict[str, Any]:
    """Return the rows by set of clips, each beside the one that it is compared with."""
    names = list(scores.tested_on["names"])
    found = {}
    for title, clips in clip_sets(names).items():
        places = [names.index(clip) for clip in clips]
        found[title] = [
            _row(scores.rows[key], scores.rows, places) for key in EXTRAS if key in scores.rows
        ]
    return found


def _row(score: ExtraScore, rows: dict[str, ExtraScore], places: list[int]) -> dict[str, Any]:
    extra = EXTRAS[score.key]
    other = rows.get(extra.against or "")
    return {
        "row": extra.label,
        "against": None if other is None else EXTRAS[other.key].label,
        "recipe": score.recipe,
        "symbols": float(score.symbols[places].mean()),
        "psnr": Interval.of(score.psnr[places]),
        "difference": None if other is None else Interval.of((score.psnr - other.psnr)[places]),
        "peak_db": None if score.peak_db is None else float(score.peak_db[places].mean()),
        "lost": float(score.lost[places].mean()),
    }


def markdown(found: dict[str, Any]) -> str:
    """Return what `document` returned as text."""
    lines: list[str] = []
    for title, rows in found.items():
        lines += [f"**{title}**, {SNR_DB:g} dB", ""]
        lines += ["| row | symbols | PSNR, dB [95 %] | over | by, dB [95 %] | peak, dB | lost |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for row in rows:
            over = row["difference"]
            peak = "" if row["peak_db"] is None else f"{row['peak_db']:.1f}"
            lines.append(
                f"| {row['row']} | {row['symbols']:,.0f} | {row['psnr'].text(2)} "
                f"| {row['against'] or ''} | {'' if over is None else over.text(2, '+')} "
                f"| {peak} | {row['lost']:.0%} |"
            )
        lines.append("")
    trained = sorted({row["recipe"] for rows in found.values() for row in rows})
    lines += ["Networks were trained by:", "", *(f"- `{each}`" for each in trained)]
    return "\n".join(lines)


def _as_dict(score: ExtraScore) -> dict[str, Any]:
    def rounded(values: Float) -> list[float]:
        return [round(float(value), 4) for value in values]

    return {
        "key": score.key,
        "recipe": score.recipe,
        "symbols": rounded(score.symbols),
        "psnr": rounded(score.psnr),
        "lost": rounded(score.lost),
        "peak_db": None if score.peak_db is None else rounded(score.peak_db),
    }


def _from_dict(row: dict[str, Any]) -> ExtraScore:
    symbols, psnr, lost = (np.array(row[name], np.float64) for name in ("symbols", "psnr", "lost"))
    peak_db = None if row["peak_db"] is None else np.array(row["peak_db"], np.float64)
    return ExtraScore(row["key"], row["recipe"], symbols, psnr, lost, peak_db)
