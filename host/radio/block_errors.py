"""How often a transport block fails, by constellation, code rate, channel and SNR, as measured.

``python -m benchmarks.radio mcs`` writes ``block_errors.json`` beside this file: it sends blocks of
1,024 information bits through `focalloop.host.radio.ldpc.LdpcLink` and counts. From that table the
best scheme for an SNR is chosen, and a live link draws its errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import log10
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.budget import CodedModulation
from focalloop.firmware_sim.radio.channel import Channel, ChannelKind
from focalloop.firmware_sim.radio.errors import RadioError

TABLE = Path(__file__).with_name("block_errors.json")

_FADES = 400
"""Fades over which the errors of a channel with one fade per window are averaged."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The block errors of one scheme on one kind of channel.

    Attributes
    ----------
    scheme : CodedModulation
        Constellation and code rate.
    kind : {"awgn", "rayleigh"}
        The channel; of fading with one fade per window, the errors follow from those of "awgn".
    snr_db : ndarray of float64, shape (n,)
        Ascending; from where most blocks fail to where none did.
    blocks, errors : ndarray of int64, shape (n,)
        Blocks that were sent, and that failed.
    """

    scheme: CodedModulation
    kind: ChannelKind
    snr_db: NDArray[np.float64]
    blocks: NDArray[np.int64]
    errors: NDArray[np.int64]

    def rate(self, snr_db: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of blocks that fail, interpolated; 1 below what was measured."""
        rates = self.errors / self.blocks
        return np.asarray(np.interp(snr_db, self.snr_db, rates, left=1.0))


def block_error_rate(scheme: CodedModulation, channel: Channel) -> float:
    """Return the share of blocks that fail on a channel; over its fades, with one per window.

    Raises
    ------
    RadioError
        The scheme was not measured.
    """
    if channel.kind == "rayleigh-block":
        # The power of a fade is exponential; its quantiles at the middles of equal shares.
        power = -np.log1p(-(np.arange(_FADES) + 0.5) / _FADES)
        return float(_of(scheme, channel).rate(channel.snr_db + 10 * np.log10(power)).mean())
    return float(_of(scheme, channel).rate(channel.snr_db))


def drawn_error_rate(scheme: CodedModulation, channel: Channel, rng: np.random.Generator) -> float:
    """Return the share of blocks that fail in one window, whose fade, if it has one, is drawn."""
    if channel.kind != "rayleigh-block":
        return block_error_rate(scheme, channel)
    power = max(rng.exponential(), 1e-12)
    return float(_of(scheme, channel).rate(channel.snr_db + 10 * log10(power)))


def best_scheme(channel: Channel) -> CodedModulation:
    """Return the scheme that brings over the most bits per symbol.

    That is the fastest one of which no measured block failed at that SNR; with one fade per window,
    where any can fail, the one with the most bits per symbol of the blocks that arrive. Where none
    is safe, it is the slowest.
    """
    kind = _measured_kind(channel)
    schemes = [one.scheme for one in measured() if one.kind == kind]
    schemes.sort(key=lambda scheme: scheme.efficiency)
    if channel.kind == "rayleigh-block":
        return max(schemes, key=lambda s: s.efficiency * (1 - block_error_rate(s, channel)))
    safe = [scheme for scheme in schemes if block_error_rate(scheme, channel) == 0]
    return safe[-1] if safe else schemes[0]


@cache
def measured() -> tuple[Measured, ...]:
    """Read the table."""
    rows = json.loads(TABLE.read_text("utf-8"))["rows"]
    return tuple(
        Measured(
            CodedModulation(row["order"], Fraction(row["rate"])),
            row["channel"],
            np.array(row["snr_db"], np.float64),
            np.array(row["blocks"], np.int64),
            np.array(row["errors"], np.int64),
        )
        for row in rows
    )


def _measured_kind(channel: Channel) -> ChannelKind:
    """Return the kind whose errors tell those of a channel: within one fade there is no fading."""
    return "rayleigh" if channel.kind == "rayleigh" else "awgn"


def _of(scheme: CodedModulation, channel: Channel) -> Measured:
    kind = _measured_kind(channel)
    schemes = {one.scheme: one for one in measured() if one.kind == kind}
    if scheme not in schemes:
        raise RadioError(
            f"the block errors of {scheme} were not measured for {kind}: choose one of "
            f"{', '.join(map(str, schemes))}"
        )
    return schemes[scheme]
