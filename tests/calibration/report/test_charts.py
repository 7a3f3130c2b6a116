"""Axes and numbers of charts."""

import pytest
from hypothesis import given, strategies as st

from focalloop.calibration.report.charts import Axis, number


@given(
    st.floats(-1e7, 1e7).filter(lambda v: v == 0 or abs(v) > 1e-7),
    st.floats(1e-6, 1e7),
)
def test_ticks_are_round_values_on_the_axis(low, width):
    axis = Axis("", low, low + max(width, abs(low) * 1e-3))
    ticks = axis.ticks()
    values = [value for value, _ in ticks]
    assert 3 <= len(ticks) <= 9
    assert values == sorted(values)
    room = 1e-6 * (axis.high - axis.low)
    assert axis.low - room <= values[0]
    assert values[-1] <= axis.high + room
    assert len({text for _, text in ticks}) == len(ticks)


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6))
def test_logarithmic_ticks_lie_on_the_axis(low, factor):
    axis = Axis("", low, low * factor, log=True)
    for value, text in axis.ticks():
        assert -0.01 <= axis.place(value) <= 1.01
        assert text


@given(st.floats(-1e300, 1e300), st.integers(1, 6))
def test_numbers_keep_the_digits_they_are_given(value, digits):
    text = number(value, digits).replace("−", "-").replace(",", "")
    if "·10" in text:
        superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        mantissa, power = text.split("·10")
        back = float(f"{mantissa}e{power.translate(superscripts)}")
    else:
        back = float(text)
    assert back == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits), abs=5e-324)
