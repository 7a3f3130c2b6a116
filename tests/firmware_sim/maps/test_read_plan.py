"""The read plan, compared with its definition read by read."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan


@st.composite
def ratio_maps(draw):
    slots, level_set = draw(st.sampled_from([(16, (0, 1, 2, 4, 8)), (12, (0, 3, 4, 12))]))
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    return RatioMap.random(shape, seed=draw(st.integers(0, 99)), slots=slots, level_set=level_set)


def defined_reads(ratio_map):
    """Return (slot, pixel, read) of every read, in order, from the definition."""
    for slot in range(ratio_map.slots):
        for pixel, level in enumerate(ratio_map.levels.ravel().tolist()):
            for read in range(level):
                if slot + 1 == (read + 1) * ratio_map.slots // level:
                    yield slot, pixel, read


@given(ratio_maps())
@settings(deadline=None)
def test_the_plan_is_what_its_definition_says(ratio_map):
    plan = ReadPlan.of(ratio_map)
    slot = np.repeat(np.arange(ratio_map.slots), plan.reads_per_slot)
    found = list(zip(slot.tolist(), plan.pixel.tolist(), plan.read.tolist(), strict=True))
    assert found == list(defined_reads(ratio_map))
    assert plan.count == ratio_map.levels.sum() == plan.slot_offsets[-1]
    assert (plan.shape, plan.slots) == (ratio_map.shape, ratio_map.slots)
    assert plan.max_reads == max(ratio_map.level_set)


@given(ratio_maps(), st.sampled_from([(), (1,), (3,), (2, 2)]), st.sampled_from(["u1", "u2", "f4"]))
@settings(deadline=None)
def test_planes_hold_every_sample_in_its_place_and_give_it_back(ratio_map, batch, dtype):
    plan = ReadPlan.of(ratio_map)
    rng = np.random.default_rng(0)
    readout = rng.integers(1, 250, (*batch, plan.count)).astype(dtype)
    planes = plan.planes(readout)
    assert planes.dtype == readout.dtype
    assert planes.shape == (*batch, plan.max_reads, *ratio_map.shape)
    measured = np.arange(plan.max_reads)[:, None, None] < ratio_map.levels
    np.testing.assert_array_equal(planes != 0, np.broadcast_to(measured, planes.shape))
    np.testing.assert_array_equal(plan.readout(planes), readout)
    for index, (_, pixel, read) in enumerate(defined_reads(ratio_map)):
        y, x = divmod(pixel, ratio_map.shape[1])
        np.testing.assert_array_equal(planes[..., read, y, x], readout[..., index])


def test_the_schedule_of_the_default_tile():
    plan = ReadPlan.of(RatioMap.from_tile(NAMED_TILES["tile-2of16"], (256, 256)))
    quarter = 256 * 256 // 4
    expected = np.zeros(16, int)
    expected[[3, 7, 11, 15]] = quarter, 2 * quarter, quarter, 4 * quarter
    assert plan.reads_per_slot.tolist() == expected.tolist()


def test_wrong_sizes_are_refused():
    plan = ReadPlan.of(RatioMap.uniform(2, (3, 4)))
    with pytest.raises(ValueError, match="24 samples"):
        plan.planes(np.zeros(23))
    with pytest.raises(ValueError, match=r"\(8, 3, 4\)"):
        plan.readout(np.zeros((2, 3, 4)))


def test_a_plan_cannot_be_changed():
    plan = ReadPlan.of(RatioMap.uniform(2, (3, 4)))
    for array in (plan.pixel, plan.read, plan.slot_offsets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
