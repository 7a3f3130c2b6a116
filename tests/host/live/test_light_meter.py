"""The light on a sensor, judged from windows whose light is known."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.calibration.settings import MAX_DRIFT, MAX_SHADING
from focalloop.firmware_sim.default_calibration import top_light
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.host.live.light_meter import LightMeter

SHAPE = (32, 48)


@dataclass
class Converter:
    bits: int = 12
    black_level_dn: float = 100.0
    full_scale_dn: float = 3900.0


def add(meter, signal, number=0, ratio_map=None):
    """Show a window of a light that gives the longest span this signal, by pixel or everywhere."""
    ratio_map = ratio_map or RatioMap.uniform(1, SHAPE)
    pixel = ReadPlan.of(ratio_map).pixel
    span = 1 / ratio_map.levels.reshape(-1)[pixel]
    light = np.broadcast_to(signal, SHAPE).reshape(-1)[pixel]
    codes = np.rint(100 + 3900 * light * span).clip(0, 4095).astype(np.uint16)
    meter.add(number, codes, ratio_map, Converter())


def seen(*signals, dark=False, ratio_map=None):
    meter = LightMeter()
    for number, signal in enumerate(signals):
        add(meter, signal, number, ratio_map)
    return meter.state(dark=dark)


def test_before_a_window_nothing_is_known():
    assert LightMeter().state() is None
    meter = LightMeter()
    add(meter, 0.5, ratio_map=RatioMap.uniform(0, SHAPE))
    assert meter.state() is None


@given(st.floats(0.05, 0.95), st.sampled_from([1, 2, 4, 8]))
def test_the_signal_is_that_of_the_longest_span_whatever_map_the_board_runs(signal, level):
    light = seen(signal, ratio_map=RatioMap.uniform(level, SHAPE))
    assert light.signal == pytest.approx(signal, abs=0.51 * level / 3900)
    assert light.wanted == top_light(Converter())
    assert light.saturated == 0


@pytest.mark.parametrize(
    ("signal", "mood", "word"),
    [(0.9, "good", "The longest"), (0.3, "warn", "Dim"), (0.02, "bad", "Too dark"),
     (1.2, "bad", "Too bright")],
)  # fmt: skip
def test_the_light_is_judged_by_its_level(signal, mood, word):
    light = seen(signal)
    assert light.mood == mood
    assert light.sentences[0].startswith(word)


def test_a_few_saturated_reads_are_no_light_that_is_too_bright():
    signal = np.full(SHAPE, 0.8)
    signal[0, 0] = 2.0
    assert seen(signal).mood == "good"
    signal[0, :] = 2.0
    assert seen(signal).mood == "bad"


def test_light_that_only_the_longest_span_cannot_hold_is_too_bright():
    light = seen(1.5, ratio_map=RatioMap.uniform(2, SHAPE))
    assert (light.mood, light.saturated) == ("bad", 0.0)
    assert light.sentences == ("Too bright: the longest span would saturate.",)


def test_uneven_light_is_told_from_the_grain_of_the_pixels():
    slope = np.broadcast_to(np.linspace(0.4, 0.9, SHAPE[1]), SHAPE)
    light = seen(slope)
    assert light.unevenness == pytest.approx(slope.std() / slope.mean(), rel=0.03)
    assert light.unevenness > MAX_SHADING
    assert (light.mood, light.sentences[1][:6]) == ("warn", "Uneven")
    grain = 0.8 * (1 + 0.1 * np.random.default_rng(0).standard_normal(SHAPE))
    assert seen(grain).unevenness < 0.03


def test_unsteady_light_is_told_by_the_windows_before():
    assert seen(0.8).change is None
    light = seen(0.8, 0.8 * (1 + 2 * MAX_DRIFT), 0.8)
    assert light.change == pytest.approx(2 * MAX_DRIFT, rel=0.01)
    assert (light.mood, light.sentences[1][:8]) == ("warn", "Unsteady")
    assert seen(0.8, *[0.8 * (1 + MAX_DRIFT / 2)] * 3).mood == "good"
    assert seen(0.2, 0.8).sentences[1] == "The light is still changing."
    assert seen(0.2, *[0.8] * 8).mood == "good"  # once the change is long enough ago


def test_a_window_is_not_counted_twice():
    meter = LightMeter()
    for _ in range(3):
        add(meter, 0.8)
    assert meter.state().change is None


def test_darkness_is_judged_as_such():
    covered, leaking = seen(0.001, dark=True), seen(0.2, dark=True)
    assert (covered.mood, covered.wanted) == ("good", 0.0)
    assert covered.sentences[0].startswith("Dark: ")
    assert leaking.mood == "warn"
    assert leaking.sentences[0].startswith("Light still reaches the sensor")
