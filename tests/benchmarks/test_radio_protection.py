"""The limit that protection is compared with, and the search for its thresholds."""

from functools import partial

import numpy as np
import pytest
from scipy.special import exp1

from benchmarks.radio.protection import limit_db, loss_rate, losses, main, threshold_db
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.protection import LADDER


def test_the_limit_of_long_codes_is_the_capacity():
    assert limit_db(10**6, 10**6, "awgn") == pytest.approx(0, abs=0.03)
    # E[log2(1 + |h|^2 snr)] = e^(1/snr) E1(1/snr) / ln 2
    snr = 10 ** (limit_db(10**6, 10**6, "rayleigh") / 10)
    assert np.exp(1 / snr) * exp1(1 / snr) / np.log(2) == pytest.approx(1, abs=0.01)


def test_the_limit_of_short_codes_lies_higher():
    limits = [limit_db(symbols, symbols, "awgn") for symbols in (100, 1000, 10_000)]
    assert limits == sorted(limits, reverse=True)
    # An SNR of 1.6: 1.3785 - sqrt(1.7735/100) 3.0902 + log2(100)/200 = 1.000
    assert 10 ** (limits[0] / 10) == pytest.approx(1.6, abs=0.005)


def test_a_rate_of_losses_is_counted_until_it_is_known():
    def every_tenth(payloads, channel, rng):
        return len(payloads) // 10

    channel = Channel("awgn", 0)
    assert loss_rate(every_tenth, 5, channel, 120) == (12, 120)
    assert loss_rate(every_tenth, 5, channel, 10_000) == (25, 250)


def test_a_threshold_parts_losses_from_none():
    entry = LADDER[-3]
    threshold = threshold_db(entry, 18, "awgn", 1000)
    assert entry.awgn_db - 2 < threshold < entry.awgn_db + 0.3  # the ladder promises no less
    send = partial(losses, entry)
    assert loss_rate(send, 18, Channel("awgn", threshold - 2.5), 50)[0] > 15
    assert loss_rate(send, 18, Channel("awgn", threshold + 1), 50)[0] == 0


def test_too_few_blocks_for_a_threshold_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["protection", "--blocks", "999"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "1000 or more" in capsys.readouterr().err
