"""Protection: the table of modulations and code rates, and payloads that hold at its thresholds."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.radio.channel import CHANNEL_KINDS, MIN_SNR_DB, Channel
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.firmware_sim.radio.protection import FADE_DB, LADDER, MARGIN_DB, protection


def test_a_cheaper_entry_needs_a_better_channel():
    for robust, cheap in pairwise(LADDER):
        assert cheap.awgn_db > robust.awgn_db
        assert cheap.rayleigh_db > robust.rayleigh_db
        assert cheap.symbols(50) < robust.symbols(50)


@given(st.floats(-10, 40), st.sampled_from(CHANNEL_KINDS))
def test_the_entry_of_a_channel_is_the_cheapest_that_holds(snr_db, kind):
    fade_db = FADE_DB if kind == "rayleigh-block" else 0
    threshold = "rayleigh_db" if kind == "rayleigh" else "awgn_db"
    needed = [getattr(entry, threshold) + fade_db + MARGIN_DB for entry in LADDER]
    place = LADDER.index(protection(Channel(kind, snr_db)))
    assert place == 0 or needed[place] <= snr_db
    assert place == len(LADDER) - 1 or needed[place + 1] > snr_db


def test_header_and_map_of_256_locations_take_200_to_300_symbols_at_10_db():
    entry = protection(Channel("awgn", 10))
    assert 200 <= entry.symbols(HEADER_BYTES) + entry.symbols(50) <= 300


@pytest.mark.parametrize("kind", ["awgn", "rayleigh"])
@pytest.mark.parametrize("entry", LADDER, ids=lambda entry: f"{entry.order}-{entry.rate}")
def test_headers_hold_at_the_threshold_with_its_margin_and_not_far_below(entry, kind):
    """At 1 in 1,000, losing 3 of 150 has a chance of 1 in 2,000."""
    rng = np.random.default_rng(1)
    threshold = entry.awgn_db if kind == "awgn" else entry.rayleigh_db

    def lost(snr_db: float, count: int) -> int:
        payloads = [rng.bytes(HEADER_BYTES) for _ in range(count)]
        sent = np.concatenate([entry.send(payload) for payload in payloads])
        received = Channel(kind, snr_db).send(sent, rng).equalised()
        symbols, variance = (part.reshape(count, -1) for part in received)
        return sum(
            entry.receive(*window, HEADER_BYTES) != payload
            for *window, payload in zip(symbols, variance, payloads, strict=True)
        )

    assert lost(max(threshold + MARGIN_DB, MIN_SNR_DB), 150) < 3
    if threshold - 8 >= MIN_SNR_DB:
        assert lost(threshold - 8, 20) > 10


def test_a_short_payload_is_coded_as_long_as_a_header():
    for entry in LADDER:
        assert entry.symbols(1) == entry.symbols(HEADER_BYTES)
        assert entry.send(b"\x00").size == entry.symbols(1)


def test_the_documented_ladder_is_this_one():
    document = Path(__file__).parents[3] / "docs/radio.md"
    rows = [
        f"| {entry.order} | {entry.rate} | {entry.awgn_db:g} | {entry.rayleigh_db:g} |"
        for entry in LADDER
    ]
    assert "\n".join(rows) in document.read_text(encoding="utf-8")
