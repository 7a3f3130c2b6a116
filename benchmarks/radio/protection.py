"""What protects header and rate map, measured: ``python -m benchmarks.radio.protection``.

For each entry of the ladder in `focalloop.firmware_sim.radio.protection`, the SNR at which 1 of
1,000 payloads is lost, really sent, beside the limit of all codes of this length: the normal
approximation (Polyanskiy, Poor and Verdu, IEEE Transactions on Information Theory 56(5), 2010) for
Gaussian inputs and a receiver that knows the fades. The SNR rises in steps of half a dB until fewer
than 1 of 1,000 are lost, and the threshold is interpolated between the last two; -10 means that
fewer are lost even there, the lowest SNR of a channel.

``--peers`` sends the same payloads by the polar and LDPC codes of 5G, as Sionna has them, at the
same modulation, number of symbols and SNR; they come with the extra ``radio``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from math import erfc, floor, inf, log, log2, log10, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.channel import MAX_SNR_DB, MIN_SNR_DB, Channel
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.firmware_sim.radio.modulation import bits_per_symbol, llrs, modulated
from focalloop.firmware_sim.radio.protection import LADDER, Protection

Kind = Literal["awgn", "rayleigh"]
KINDS: tuple[Kind, ...] = ("awgn", "rayleigh")

PAYLOADS = (HEADER_BYTES, 53)
"""Bytes: a header, and about a coded rate map of 256 locations."""

LOST = 1e-3

ENOUGH_LOST = 25
"""After so many, the rate of a point is known well enough."""

STEP_DB = 0.5
BATCH = 50

Sender = Callable[[list[bytes], Channel, np.random.Generator], int]
"""Sends payloads and returns how many were lost."""


def losses(entry: Protection, payloads: list[bytes], channel: Channel, rng: Any) -> int:  # noqa: ANN401
    """Send payloads of one size with our code."""
    sent = np.concatenate([entry.send(payload) for payload in payloads])
    parts = (part.reshape(len(payloads), -1) for part in channel.send(sent, rng).equalised())
    return sum(
        entry.receive(symbols, variance, len(payload)) != payload
        for symbols, variance, payload in zip(*parts, payloads, strict=True)
    )


def loss_rate(
    sender: Sender, size: int, channel: Channel, blocks: int, enough: float = ENOUGH_LOST
) -> tuple[int, int]:
    """Return how many of how many random payloads were lost."""
    rng = np.random.default_rng(0)
    lost = sent = 0
    while sent < blocks and lost < enough:
        payloads = [rng.bytes(size) for _ in range(min(BATCH, blocks - sent))]
        lost += sender(payloads, channel, rng)
        sent += len(payloads)
    return lost, sent


def threshold_db(entry: Protection, size: int, kind: Kind, blocks: int) -> float:
    """Return the SNR at which `LOST` of the payloads are lost, or -10 dB if fewer are there."""
    efficiency = entry.rate / 1024 * bits_per_symbol(entry.order)
    snr_db = max(MIN_SNR_DB, floor(20 * log10(2**efficiency - 1)) / 2)
    last: tuple[float, float] | None = None
    while snr_db <= MAX_SNR_DB:
        lost, sent = loss_rate(partial(losses, entry), size, Channel(kind, snr_db), blocks)
        rate = max(lost, 0.5) / sent
        if rate < LOST:
            if last is None:
                return snr_db
            before_db, before = last
            return snr_db - (snr_db - before_db) * log(LOST / rate) / log(before / rate)
        last = snr_db, rate
        snr_db += 2 * STEP_DB if rate > 0.3 else STEP_DB
    return inf


def limit_db(bits: int, symbols: int, kind: Kind) -> float:
    """Return the least SNR at which `symbols` may carry `bits` with losses of `LOST`."""
    # |h|^2 is exponential: Gauss-Laguerre quadrature.
    power, weight = (
        np.polynomial.laguerre.laggauss(60) if kind == "rayleigh" else (np.ones(1), np.ones(1))
    )
    low, high = -30.0, 60.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        received = 1 + power * 10 ** (middle / 10)
        information = np.log2(received)
        mean = float(weight @ information)
        dispersion = weight @ information**2 - mean**2
        dispersion += (1 - float(weight @ (1 / received)) ** 2) / log(2) ** 2
        rate = mean - sqrt(dispersion / symbols) * _tail_inverse(LOST) + log2(symbols) / symbols / 2
        low, high = (low, middle) if rate * symbols >= bits else (middle, high)
    return high


def _tail_inverse(probability: float) -> float:
    """Return x with ``P(N(0, 1) > x) = probability``."""
    low, high = 0.0, 10.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if erfc(middle / sqrt(2)) / 2 > probability else (low, middle)
    return high


def rows(kinds: tuple[Kind, ...], blocks: int) -> Iterator[dict[str, Any]]:
    """Measure the ladder."""
    for kind in kinds:
        for entry in LADDER:
            for size in PAYLOADS:
                symbols = entry.symbols(size)
                yield {
                    "channel": kind,
                    "order": entry.order,
                    "rate": entry.rate,
                    "bytes": size,
                    "symbols": symbols,
                    "threshold_db": round(threshold_db(entry, size, kind, blocks), 2),
                    "limit_db": round(limit_db(8 * size, symbols, kind), 2),
                }


def peer_rows(blocks: int) -> Iterator[dict[str, Any]]:
    """Send by our code and by those of Sionna, where ours loses some of a hundred."""
    size = PAYLOADS[-1]
    for kind in KINDS:
        for entry in LADDER:
            bits = entry.code(size).coded_bits
            if not 500 <= bits <= 1088:  # what Sionna's polar code takes, at rates of interest
                continue
            base = entry.awgn_db if kind == "awgn" else entry.rayleigh_db
            channel = Channel(kind, base - 1.5)
            row: dict[str, Any] = {"channel": kind, "order": entry.order, "rate": entry.rate}
            row |= {"bytes": size, "coded_bits": bits, "snr_db": round(channel.snr_db, 2)}
            senders: dict[str, Sender] = {"ours": partial(losses, entry)}
            for name in ("polar", "ldpc"):
                senders[f"5G {name}"] = _sionna(name, 8 * size, bits, entry)
            for name, sender in senders.items():
                lost, sent = loss_rate(sender, size, channel, blocks, 100)
                row[name] = lost / sent
            yield row


def _sionna(name: str, bits: int, coded: int, entry: Protection) -> Sender:
    """Return a sender by a code of 5G with as many payload and coded bits."""
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.fec.polar import Polar5GDecoder, Polar5GEncoder

    if name == "polar":  # with its CRC of 11 bits, and the same list
        encoder = Polar5GEncoder(bits, coded)
        decoder = Polar5GDecoder(encoder, dec_type="SCL", list_size=8)
    else:  # without a CRC; 50 iterations of exact belief propagation
        per_symbol = bits_per_symbol(entry.order)
        encoder = LDPC5GEncoder(bits, coded, num_bits_per_symbol=per_symbol)
        decoder = LDPC5GDecoder(encoder, num_iter=50, cn_update="boxplus", hard_out=True)

    def send(payloads: list[bytes], channel: Channel, rng: np.random.Generator) -> int:
        sent = np.unpackbits(np.frombuffer(b"".join(payloads), np.uint8)).reshape(-1, bits)
        words = encoder(torch.from_numpy(sent.astype(np.float32))).numpy().astype(np.uint8)
        received = channel.send(modulated(words.reshape(-1), entry.order), rng)
        ratios: NDArray[np.float32] = llrs(*received.equalised(), entry.order)
        # Sionna's ratios are positive for 1.
        found = decoder(torch.from_numpy(-ratios.reshape(words.shape))).numpy()
        return int(np.count_nonzero((found != sent).any(axis=1)))

    return send


def main() -> None:
    """Print one line per measurement, or one JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=4000, help="most payloads at one SNR")
    parser.add_argument("--channel", choices=KINDS, help="only this one")
    parser.add_argument("--peers", action="store_true", help="compare with the codes of 5G")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if not options.peers and options.blocks < 1 / LOST:
        parser.error(
            f"--blocks is {1 / LOST:.0f} or more, as a threshold is where 1 of so many is lost"
        )
    kinds = (options.channel,) if options.channel else KINDS
    found = []
    for row in peer_rows(options.blocks) if options.peers else rows(kinds, options.blocks):
        found.append(row)
        if not options.json:
            print(
                "  ".join(
                    f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in row.items()
                ),
                flush=True,
            )
    if options.json:
        print(json.dumps({"rows": found}, indent=2))


if __name__ == "__main__":
    main()
