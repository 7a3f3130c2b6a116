import pytest

from focalloop.host.board.stats import RATE_WINDOW_S, RateMeter


def test_a_rate_forgets_what_is_long_past():
    meter, now_s = RateMeter(), 100.0
    assert meter.per_s(now_s) == 0
    for _ in range(31):
        meter.add(1, now_s)
        now_s += 0.1
    assert meter.per_s(now_s) == pytest.approx(10, rel=0.1)
    now_s += 10
    assert meter.per_s(now_s) == 0


@pytest.mark.parametrize("elapsed_s", [0.5, 1.0, RATE_WINDOW_S, 10.0])
def test_a_rate_is_right_before_its_time_is_full(elapsed_s):
    meter = RateMeter()
    arrivals_s = [i / 50 for i in range(int(50 * elapsed_s) + 1)]
    for at_s in arrivals_s:
        meter.add(1000, at_s)
    assert meter.per_s(arrivals_s[-1]) == pytest.approx(50_000, rel=0.02)


def test_a_burst_alone_is_not_a_high_rate():
    meter = RateMeter()
    for at_s in (5.0, 5.001):
        meter.add(100, at_s)
    assert meter.per_s(5.001) == pytest.approx(100 / (RATE_WINDOW_S / 10))
