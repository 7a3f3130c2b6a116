import pytest
from hypothesis import given, strategies as st

from focalloop.host.live.telemetry import Durations


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_quantiles_are_of_the_added_durations(values):
    durations = Durations()
    assert durations.quantile_ms(0.5) is None
    for value in values:
        durations.add(value)
    assert durations.quantile_ms(0) == pytest.approx(1000 * min(values))
    assert durations.quantile_ms(1) == pytest.approx(1000 * max(values))
