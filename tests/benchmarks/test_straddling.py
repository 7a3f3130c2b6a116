"""The linear estimate against sums that are written out, and the search that it judges."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.straddling.linear_gaussian import (
    BRIGHTNESS_VARIANCE,
    CORRELATION_PX,
    DIRECTIONS,
    MEAN,
    SPEEDS,
    VARIANCE,
    Reads,
    covariances,
    estimated,
    frames,
    window_reads,
)
from benchmarks.straddling.tile_search import PhasedTile, searched
from focalloop.firmware_sim.noise import preset

LEVELS = np.array([[2, 0], [1, 4]])
PHASES = np.array([[5, 0], [0, 2]])


def point_covariance(place: np.ndarray, time: int, speed: float) -> float:
    """Covariance of two points of the scene, averaged over the directions of motion."""
    angles = 2 * np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    apart = [np.hypot(*(place - speed * time * np.array([np.sin(a), np.cos(a)]))) for a in angles]
    return float(VARIANCE * np.exp(-np.array(apart) / CORRELATION_PX).mean() + BRIGHTNESS_VARIANCE)


def summed(one: Reads, other: Reads, speed: float) -> np.ndarray:
    """Covariances of spans, slot by slot."""
    found = np.empty((len(one), len(other)))
    for i, j in np.ndindex(found.shape):
        place = np.array([one.y[i] - other.y[j], one.x[i] - other.x[j]])
        found[i, j] = np.mean(
            [
                point_covariance(place, t - u, speed)
                for t in range(one.begin[i], one.end[i])
                for u in range(other.begin[j], other.end[j])
            ]
        )
    return found


def test_covariances_of_spans_are_sums_over_their_slots() -> None:
    one = window_reads(LEVELS, PHASES, reach=0, late=True)
    other = window_reads(LEVELS[:, ::-1], reach=0, window=-1)
    for speed in (0.0, 0.5, 2.0):
        found = covariances(one, other)[SPEEDS.index(speed)]
        np.testing.assert_allclose(found, summed(one, other, speed), rtol=1e-9)


def test_the_error_is_that_of_the_conditional_gaussian() -> None:
    reads, targets = window_reads(LEVELS, PHASES, reach=1, late=True), frames(2, 2)
    at = SPEEDS.index(1.0)
    profile = preset("paper")
    noise = (MEAN * reads.length / 16 * profile.s_ss**2 + profile.s_r**2) * (16 / reads.length) ** 2
    inner = covariances(reads, reads)[at] + np.diag(noise)
    across = covariances(targets, reads)[at]
    left = covariances(targets, targets)[at] - across @ np.linalg.inv(inner) @ across.T

    assert estimated(reads, targets, known=1.0).errors[at] == pytest.approx(np.diag(left).mean())


def test_reads_of_a_phase_straddle_the_windows() -> None:
    reads = window_reads(np.array([[2]]), np.array([[5]]), reach=0, late=True)
    assert [*zip(reads.begin, reads.end, strict=True)] == [(-3, 5), (5, 13), (13, 21)]
    reads = window_reads(np.array([[2]]), np.array([[5]]), reach=0)
    assert [*zip(reads.begin, reads.end, strict=True)] == [(-3, 5), (5, 13)]


def test_a_window_more_of_reads_never_harms_where_the_speed_is_known() -> None:
    now, before = window_reads(LEVELS, reach=2), window_reads(LEVELS, reach=2, window=-1)
    for speed in SPEEDS:
        at = SPEEDS.index(speed)
        alone = estimated(now, frames(2, 2), speed).errors[at]
        assert estimated(now.and_also(before), frames(2, 2), speed).errors[at] <= alone + 1e-12


def test_nothing_is_known_without_reads() -> None:
    with pytest.raises(ValueError, match="nothing is read"):
        estimated(window_reads(np.array([[0]])), frames(1, 1))


@pytest.mark.parametrize("phases", [False, True])
def test_a_search_keeps_the_reads_and_gains(phases: bool) -> None:
    start = PhasedTile.of([[2, 1], [1, 0]], late=phases)

    found = searched(start, 12, seed=0, phases=phases)

    assert found.levels.sum() == start.levels.sum()
    assert found.psnr.mean() > start.psnr.mean()
    assert (found.phases < 16 // np.maximum(found.levels, 1)).all()
    assert phases or not found.phases.any()
