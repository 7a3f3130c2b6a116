"""Shares of levels for a mean: the most even mixture that has it."""

import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.maps.level_shares import shares_for_mean
from focalloop.firmware_sim.maps.ratio_map import RatioMapError


@given(st.floats(0, 8))
def test_shares_have_the_mean_asked_for(mean_level):
    shares = shares_for_mean(mean_level)
    assert sum(shares.values()) == pytest.approx(1)
    assert sum(level * share for level, share in shares.items()) == pytest.approx(
        mean_level, abs=1e-9
    )
    assert min(shares.values()) >= 0


def test_shares_are_the_most_even_ones():
    assert shares_for_mean(3, (0, 1, 2, 4, 8)) == pytest.approx(dict.fromkeys((0, 1, 2, 4, 8), 0.2))
    with pytest.raises(RatioMapError, match="ask for 1 to 4"):
        shares_for_mean(0.5, (1, 2, 4))
