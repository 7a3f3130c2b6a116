"""The comparison as tables, in Markdown or as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.maps.scores import Interval
from benchmarks.radio.curves import (
    Curve,
    Picks,
    bd_psnr,
    bd_rate,
    crossings,
    everyone,
    interval,
    psnr_at,
)
from benchmarks.radio.figures import clip_sets
from benchmarks.radio.rivals import RIVALS
from benchmarks.radio.scores import Float, MethodScores

AT = (8_600.0, 13_000.0)
"""Symbols per window at which methods are compared."""


def document(scores: Sequence[MethodScores]) -> dict[str, Any]:
    """Return all tables, by set of clips: points, differences of the first method, crossings."""
    return {
        name: {
            "points": [row for one in scores for row in _points(one, clips)],
            "differences": [_difference(scores[0], rival, clips) for rival in scores[1:]],
        }
        for name, clips in clip_sets(scores[0].clips).items()
    }


def over_snr(scores: Sequence[MethodScores]) -> dict[str, Any]:
    """Return PSNR and lost windows over SNR, by set of clips."""
    found: dict[str, Any] = {}
    for name, clips in clip_sets(scores[0].clips).items():
        places = [scores[0].clips.index(clip) for clip in clips]
        found[name] = {
            "over_snr": [
                {
                    "method": one.name,
                    "snr": point.channel.snr_db,
                    "scheme": point.scheme,
                    "symbols": float(point.symbols[places].mean()),
                    "psnr": Interval.of(point.psnr[places]),
                    "lost": float(point.lost[places].sum()),
                }
                for one in scores
                for sweep in ("snr", "snr-best")
                for point in one.swept(sweep)
            ]
        }
    return found


def _points(scores: MethodScores, clips: list[str]) -> list[dict[str, Any]]:
    places = [scores.clips.index(clip) for clip in clips]
    return [
        {
            "method": scores.name,
            "setting": point.setting,
            "symbols": float(point.symbols[places].mean()),
            "psnr": Interval.of(point.psnr[places]),
            "ssim": float(point.ssim[places].mean()),
            "lost": float(point.lost[places].sum()),
        }
        for point in scores.swept("symbols")
    ]


def _difference(scores: MethodScores, rival: MethodScores, clips: list[str]) -> dict[str, Any]:
    one, other = scores.curve(clips), rival.curve(clips)
    count = len(clips)
    return {
        "method": scores.name,
        "rival": rival.name,
        "bd_rate": interval(partial(bd_rate, one, other), count),
        "bd_psnr": interval(partial(bd_psnr, one, other), count),
        "psnr_at": {f"{at:g}": interval(partial(_gain, one, other, at), count) for at in AT},
        "crossings": crossings(one, other, everyone(count)),
        "clips": {
            clip: {
                "bd_psnr": float(bd_psnr(one, other, np.array([[place]]))[0]),
                "crossings": crossings(one, other, np.array([[place]])),
            }
            for place, clip in enumerate(clips)
        },
    }


def _gain(one: Curve, other: Curve, symbols: float, picks: Picks) -> Float:
    return psnr_at(one, symbols, picks) - psnr_at(other, symbols, picks)


def markdown(found: dict[str, Any]) -> str:
    """Return what `document` or `over_snr` returned as text."""
    lines: list[str] = []
    for name, tables in found.items():
        lines += [f"**{name}**", ""]
        if "over_snr" in tables:
            lines += ["| method | SNR, dB | symbols | PSNR, dB [95 %] | lost |"]
            lines += ["|---|---|---|---|---|"]
            for row in tables["over_snr"]:
                scheme = f", {row['scheme']}" if row["scheme"] else ""
                lines.append(
                    f"| {RIVALS[row['method']].label}{scheme} | {row['snr']:g} "
                    f"| {row['symbols']:,.0f} | {row['psnr'].text(2)} | {row['lost']:.3g} |"
                )
        else:
            lines += [
                "| method | symbols | PSNR, dB [95 %] | SSIM | lost |",
                "|---|---|---|---|---|",
            ]
            lines += [
                f"| {RIVALS[row['method']].label} | {row['symbols']:,.0f} | {row['psnr'].text(2)} "
                f"| {row['ssim']:.3f} | {row['lost']:.3g} |"
                for row in tables["points"]
            ]
            for row in tables["differences"]:
                lines += ["", *_compared(row)]
        lines.append("")
    return "\n".join(lines).rstrip()


def _compared(row: dict[str, Any]) -> list[str]:
    one, other = RIVALS[row["method"]].label, RIVALS[row["rival"]].label
    saved = row["bd_rate"]
    percent = Interval(*(100 * value for value in (saved.mean, saved.low, saved.high)))
    at = [
        f"at {float(symbols):,.0f} symbols {gain.text(2, '+')} dB"
        for symbols, gain in row["psnr_at"].items()
        if np.isfinite(gain.low)  # both curves reach there, on most resamples
    ]
    return [
        f"{one} over {other}: BD-rate {percent.text(1, '+')} %, "
        f"BD-PSNR {row['bd_psnr'].text(2, '+')} dB{''.join(f', {text}' for text in at)}; "
        f"{_places(row['crossings'])}.",
        "",
        "| clip | BD-PSNR, dB | curves cross at |",
        "|---|---|---|",
        *(
            f"| {clip} | {_signed(one['bd_psnr'])} | {_places(one['crossings'])} |"
            for clip, one in row["clips"].items()
        ),
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}" if np.isfinite(value) else "no common range"


def _places(crossed: Sequence[float]) -> str:
    if not crossed:
        return "no crossing"
    return "crossing at " + ", ".join(f"{symbols:,.0f}" for symbols in crossed)


def as_json(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Return a document with intervals as three numbers, and None for what is not defined."""
    if isinstance(value, Interval):
        return as_json(vars(value))
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
