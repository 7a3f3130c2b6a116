"""Measure how often transport blocks fail: the table that `host.radio.block_errors` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from focalloop.firmware_sim.radio.budget import (
    CODE_RATES,
    CRC_BITS,
    MAX_BLOCK_BITS,
    PUBLISHED,
    CodedModulation,
    capacity,
)
from focalloop.firmware_sim.radio.channel import MAX_SNR_DB, Channel, ChannelKind
from focalloop.firmware_sim.radio.modulation import ORDERS
from focalloop.host.radio.ldpc import ITERATIONS, LdpcLink

SCHEMA = 1
SCHEMES: dict[ChannelKind, list[CodedModulation]] = {
    "awgn": [
        CodedModulation(4, Fraction(1, 3)),
        *(CodedModulation(order, rate) for order in ORDERS for rate in CODE_RATES),
    ],
    "rayleigh": [*(CodedModulation(order, CODE_RATES[0]) for order in ORDERS), PUBLISHED],
}
"""What is measured; codes of high rate are not for fading, nor is 1/3 for large constellations."""

STEP_DB = 0.5
BATCH = 20
"""Blocks that are sent at once."""

ENOUGH_ERRORS = 20
"""Failures after which no more blocks are sent at that SNR: the rate is known well enough."""


def measure(blocks: int, seed: int, on_row: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Send `blocks` blocks per scheme, channel and SNR, and return the table."""
    rows = []
    for kind, scheme in ((kind, scheme) for kind, many in SCHEMES.items() for scheme in many):
        points = list(_points(scheme, kind, blocks, np.random.default_rng(seed)))
        snr_db, sent, errors = (list(column) for column in zip(*points, strict=True))
        row = {"channel": kind, "order": scheme.order, "rate": str(scheme.rate)}
        rows.append(row | {"snr_db": snr_db, "blocks": sent, "errors": errors})
        on_row(rows[-1])
    return {
        "schema": SCHEMA,
        "block_bits": MAX_BLOCK_BITS,
        "iterations": ITERATIONS,
        "seed": seed,
        "rows": rows,
    }


def text(document: dict[str, Any]) -> str:
    """Return the table as a file, one scheme per line."""
    rows = ",\n  ".join(json.dumps(row) for row in document["rows"])
    head = json.dumps({key: value for key, value in document.items() if key != "rows"}, indent=1)
    return f'{head.removesuffix("}").rstrip()},\n "rows": [\n  {rows}\n ]\n}}\n'


def markdown(document: dict[str, Any]) -> str:
    """Return the share of blocks that fail, at every SNR that was measured."""
    lines = [
        "| channel | scheme | bits per symbol | block errors at SNR, dB |",
        "|---|---|---|---|",
    ]
    for row in document["rows"]:
        scheme = CodedModulation(row["order"], Fraction(row["rate"]))
        points = zip(row["snr_db"], row["blocks"], row["errors"], strict=True)
        rates = ", ".join(f"{snr:g}: {errors / sent:.3g}" for snr, sent, errors in points)
        lines.append(f"| {row['channel']} | {scheme} | {scheme.efficiency:.2f} | {rates} |")
    return "\n".join(lines)


def _points(
    scheme: CodedModulation, kind: ChannelKind, blocks: int, rng: np.random.Generator
) -> Iterator[tuple[float, int, int]]:
    """Yield SNR, blocks and errors, from below capacity to where nothing fails."""
    link = LdpcLink(scheme)
    snr_db, errors = _below_capacity(scheme, kind), 1
    while errors and snr_db <= MAX_SNR_DB:
        sent = errors = 0
        while sent < blocks and errors < ENOUGH_ERRORS:
            data = rng.bytes(BATCH * (MAX_BLOCK_BITS - CRC_BITS) // 8)
            errors += link.send(data, Channel(kind, snr_db), rng).block_errors
            sent += BATCH
        yield snr_db, sent, errors
        snr_db += STEP_DB


def _below_capacity(scheme: CodedModulation, kind: ChannelKind) -> float:
    """Return the largest SNR on the grid at which the scheme is above capacity."""
    grid = np.arange(-10, MAX_SNR_DB, STEP_DB)
    above = [snr for snr in grid if capacity(Channel(kind, float(snr))) < scheme.efficiency]
    return float(floor(above[-1] / STEP_DB) * STEP_DB)
