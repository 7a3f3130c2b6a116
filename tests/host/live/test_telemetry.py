import time
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies as st

from focalloop.host.live.telemetry import Durations, Telemetry


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_quantiles_are_of_the_added_durations(values):
    durations = Durations()
    assert durations.quantile_ms(0.5) is None
    for value in values:
        durations.add(value)
    assert durations.quantile_ms(0) == pytest.approx(1000 * min(values))
    assert durations.quantile_ms(1) == pytest.approx(1000 * max(values))


def test_rates_and_times_are_those_of_one_setup():
    telemetry = Telemetry()
    for number in range(5):
        telemetry.received(SimpleNamespace(number=number, time_s=time.monotonic(), skipped=0))
    telemetry.reconstructed(0, 1, 0.01)
    telemetry.reconstructed(1, 1, 0.01)
    telemetry.drawn(1)
    before = telemetry.speed(0, 1)
    assert before.reconstruct_ms == pytest.approx(10)
    assert before.reconstructed_per_s > 0
    assert before.latency_p50_ms > 0

    telemetry.reconstructed(2, 1, 0.01)  # was under way when the setup changed
    unknown = telemetry.speed(0, 2)
    assert unknown.windows_reconstructed == 3
    assert (unknown.reconstructed_per_s, unknown.reconstruct_ms) == (0, None)
    assert (unknown.latency_p50_ms, unknown.latency_p95_ms) == (None, None)

    telemetry.reconstructed(3, 2, 0.03)
    telemetry.drawn(2)  # reported late
    after = telemetry.speed(0, 2)
    assert after.reconstruct_ms == pytest.approx(30)
    assert after.latency_p50_ms is None
    telemetry.drawn(3)
    assert telemetry.speed(0, 2).latency_p50_ms > 0
