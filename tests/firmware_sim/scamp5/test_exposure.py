"""A ratio map as a program, compared with the emulator."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scamp5 import Machine, Mode, Scamp5Error, Timing, TransferNoise
from focalloop.firmware_sim.scamp5.exposure import FULL_SCALE_LSB, Exposure
from focalloop.firmware_sim.scamp5.readout import scan_analog

LEVEL_SETS = [(16, (0, 1, 2, 4, 8)), (16, (0, 1, 2, 4, 8, 16)), (12, (0, 1, 2, 3, 4, 6, 12))]


@st.composite
def maps(draw):
    slots, level_set = draw(st.sampled_from(LEVEL_SETS))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = rng.choice(level_set, shape)
    levels[0, 0] = level_set[-1]
    return RatioMap(levels, slots, level_set)


def exact_lsb(ratio_map, scene):
    """Return the reads without any error: the emulator's exact sums, in LSB of the readout."""
    sums = Emulator(ratio_map, preset("ideal", ratio_map.slots)).read_out(scene)
    white = 255 if scene.dtype == np.uint8 else 1 / ratio_map.slots  # float sums are signal already
    return sums.astype(np.float64) * FULL_SCALE_LSB / (white * ratio_map.slots)


@given(maps(), st.integers(0, 2**32), st.sampled_from([0.2, 0.97, 1.0]))
@settings(max_examples=25, deadline=None)
def test_reads_are_the_emulator_s_within_the_stated_bound(ratio_map, seed, brightness):
    exposure = Exposure.of(ratio_map)
    rng = np.random.default_rng(seed)
    light = rng.random((2, ratio_map.slots, *ratio_map.shape)) ** 0.3 * brightness
    light[0] = brightness
    for mode in (Mode.INTEGER, Mode.IDEAL):
        for dtype in (np.uint8, np.float32):
            if mode is Mode.INTEGER and dtype == np.float32:
                continue
            scene = np.rint(light * 255).astype(dtype) if dtype == np.uint8 else light.astype(dtype)
            reads = exposure.run(Machine(ratio_map.shape, mode), scene)
            exact = exact_lsb(ratio_map, scene)
            assert reads.shape == exact.shape == (2, exposure.plan.count)
            worst = np.abs(reads - exact).max()
            # The emulator's own float32 sums are off by less than a unit in the last place a slot.
            own = ratio_map.slots * 2.0**-17 if dtype == np.float32 else 0
            assert worst <= exposure.error_bound_lsb(mode) + own


def test_codes_are_those_of_a_noiseless_8_bit_converter_within_one():
    """Return the emulator's codes in the chip's units: black level 128, full scale 127."""
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (64, 64))
    scene = np.random.default_rng(0).integers(0, 256, (16, 64, 64), dtype=np.uint8)
    profile = type(preset("paper"))(name="8 bit", bits=8, black_level_dn=128.0, full_scale_dn=127.0)
    codes = Emulator(ratio_map, profile).read_out(scene).astype(int)
    reads = Exposure.of(ratio_map).run(Machine((64, 64)), scene)
    assert np.abs(reads + 128 - codes).max() <= 1
    assert (reads + 128 != codes).mean() < 0.6


def test_the_bound_is_reached_nearly():
    """The bound is tight."""
    ratio_map = RatioMap.uniform(8, (64, 64))
    scene = np.random.default_rng(0).integers(0, 256, (16, 64, 64), dtype=np.uint8)
    exposure = Exposure.of(ratio_map)
    reads = exposure.run(Machine((64, 64)), scene)
    worst = np.abs(reads - exact_lsb(ratio_map, scene)).max()
    assert 0.9 < worst <= exposure.error_bound_lsb(Mode.INTEGER) < 1.01


def test_measurements_of_a_pixel_add_up_to_the_light_of_its_window():
    """No light is lost between spans: each read starts where the last one ended."""
    ratio_map = RatioMap.uniform(8, (8, 8))
    scene = np.random.default_rng(2).integers(0, 256, (16, 8, 8), dtype=np.uint8)
    exposure = Exposure.of(ratio_map)
    planes = exposure.plan.planes(exposure.run(Machine((8, 8)), scene))
    whole = scene.sum(axis=0) * exposure.gain(np.uint8)
    np.testing.assert_allclose(planes.sum(axis=0), whole, atol=0.51)


def test_the_program_is_the_one_documented():
    ratio_map = RatioMap.from_tile([[4, 1], [1, 2]], (4, 4))
    exposure = Exposure.of(ratio_map)
    assert [(dreg.name, level) for dreg, level in exposure.masks.items()] == [
        ("R5", 4), ("R6", 2), ("R7", 1),
    ]  # fmt: skip
    lines = str(exposure.program).splitlines()
    begin = ["respix(A);", "REFRESH(R5);", "REFRESH(R6);", "REFRESH(R7);"]
    assert str(exposure.start).splitlines() == begin
    slots = [line for line in lines if line.startswith("expose")]
    assert slots == [f"expose({slot});" for slot in range(16)]
    at = lines.index("expose(7);")
    assert lines[at + 1 : at + 6] == [
        "getpix(B, A);", "WHERE(R5, R6);", "add(A, A, B);", "all();", "scan(B, 1);",
    ]  # fmt: skip
    assert lines[-6:] == ["getpix(B, A);", *begin, "scan(B, 3);"]
    assert exposure.program.cycles == 3 * 2 + 5 + 3 * 6 + 2
    assert sum(exposure.cycles_per_slot) == exposure.program.cycles


def test_scans_take_the_elements_that_are_due_in_the_chip_s_order():
    for width in (8, 7):  # the tile need not end at the right edge
        ratio_map = RatioMap.from_tile([[4, 1], [0, 2]], (6, width))
        exposure = Exposure.of(ratio_map)
        pixels = np.arange(6 * width).reshape(6, width)
        for read in exposure.reads:
            scanned = np.concatenate([scan_analog(pixels, grid) for grid in read.grids])
            first, stop = exposure.plan.slot_offsets[read.slot : read.slot + 2]
            np.testing.assert_array_equal(np.sort(scanned), exposure.plan.pixel[first:stop])
            assert read.count == stop - first
    whole = Exposure.of(RatioMap.random((32, 32), seed=1))
    assert [read.count for read in whole.reads] == [1024] * 8


def test_the_slot_rate_is_what_the_slowest_scan_allows():
    """Level 4 reads a quarter of the elements after four slots, all levels the rest at the end."""
    exposure = Exposure.of(RatioMap.from_tile([[4, 0], [0, 2]], (16, 16)))
    timing = Timing(clock_hz=1e6, analog_read_s=1e-4)
    assert exposure.cycles_per_slot[3] == 6
    # After slot 7 and 15 both levels are read, 128 elements, and B is needed 4 slots later.
    busiest = max(exposure.cycles_per_slot[7], exposure.cycles_per_slot[15])
    assert exposure.slot_rate_hz(timing) == pytest.approx(4 / (128e-4 + busiest * 1e-6))


def test_windows_follow_one_another_alike():
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-1of16"], (16, 16))
    scene = np.random.default_rng(4).integers(0, 256, (3, 16, 16, 16), dtype=np.uint8)
    exposure, machine = Exposure.of(ratio_map), Machine((16, 16))
    together = exposure.run(machine, scene)
    for window, reads in zip(scene, together, strict=True):
        np.testing.assert_array_equal(exposure.run(machine, window), reads)


def test_the_noisy_machine_stays_near_the_exact_one():
    ratio_map = RatioMap.from_tile([[4, 1], [1, 2]], (64, 64))
    scene = np.full((16, 64, 64), 0.5, np.float32)
    exposure = Exposure.of(ratio_map)
    machine = Machine((64, 64), Mode.NOISY, noise=TransferNoise(), seed=1)
    error = exposure.run(machine, scene) - exact_lsb(ratio_map, scene)
    assert 2 < error.std() < 6
    assert abs(error.mean()) < 6  # registers leak while a span lasts
    assert exposure.error_bound_lsb(Mode.NOISY) == np.inf


def test_maps_that_the_chip_cannot_hold_are_refused():
    with pytest.raises(Scamp5Error, match="coded aperture of 16 planes"):
        Exposure.of(RatioMap.uniform(1, (4, 4)).with_aperture(np.ones((16, 4, 4), bool)))
    with pytest.raises(Scamp5Error, match="nothing to read"):
        Exposure.of(RatioMap.uniform(0, (4, 4)))
    many = (1, 2, 3, 4, 5, 6, 10, 12)
    with pytest.raises(Scamp5Error, match="8 levels above 0"):
        Exposure.of(RatioMap(np.resize(many, (4, 4)), 60, many))


def test_seven_masks_fit():
    """WHERE takes three registers; more are joined first."""
    levels = (1, 2, 3, 4, 5, 6, 10)
    ratio_map = RatioMap(np.resize(levels, (7, 7)), 60, levels)
    exposure = Exposure.of(ratio_map)
    scene = np.random.default_rng(0).integers(0, 256, (60, 7, 7), dtype=np.uint8)
    reads = exposure.run(Machine((7, 7)), scene)
    assert np.abs(reads - exact_lsb(ratio_map, scene)).max() <= exposure.error_bound_lsb(
        Mode.INTEGER
    )
