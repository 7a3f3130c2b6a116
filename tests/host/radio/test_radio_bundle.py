"""Radio bundles: what is refused of a description."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.radio_bundle import RadioBundle
from tests.support.radio_networks import write_radio_bundle

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    ratio_map = RatioMap.load("tile-2of16", shape=(16, 16))
    return write_radio_bundle(tmp_path_factory.mktemp("bundles") / "radio", ratio_map)


@pytest.fixture
def described(bundle):
    """What the bundle says of itself; it is so again after the test."""
    path = bundle / "radio.json"
    text = path.read_text()
    yield json.loads(text)
    path.write_text(text)


def refused(bundle, described):
    (bundle / "radio.json").write_text(json.dumps(described))
    with pytest.raises(RadioError) as caught:
        RadioBundle.load(bundle)
    return str(caught.value)


@pytest.mark.parametrize(
    "rates",
    [
        [], None, 8, "8", [8, 8], [16, 8], [0, 8], [8.0, 16], [True, 8], [[8]], [8, 1 << 62],
        list(range(1, 18)),
    ],
)  # fmt: skip
def test_rates_that_no_location_can_send_are_refused(bundle, described, rates):
    assert "'rates' in radio.json must be 1 to 16" in refused(bundle, described | {"rates": rates})


@pytest.mark.parametrize(
    "tile", [[], [[]], [1, 2], [[1, 2], [3]], [[1, 2]], [[9]], [[-1]], [[1.0]], [["1"]], [[[1]]]]
)
def test_a_tile_that_is_no_square_of_levels_is_refused(bundle, described, tile):
    described["sensing"]["tile"] = tile
    assert "'tile' in radio.json is not a square of levels" in refused(bundle, described)


@given(st.sampled_from(["rates", "tile", "location", "sha256", "sensing"]), ANY_JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_of_a_key_ends_in_another_error(bundle, described, key, value):
    changed = json.loads(json.dumps(described))
    (changed["sensing"] if key == "tile" else changed)[key] = value
    (bundle / "radio.json").write_text(json.dumps(changed))
    with suppress(RadioError):
        RadioBundle.load(bundle)
