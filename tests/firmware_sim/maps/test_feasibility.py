"""Feasibility and staggering, compared with their definitions read by read."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.feasibility import (
    Feasibility,
    FeasibilityError,
    Hardware,
)
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.maps.staggering import stagger
from focalloop.firmware_sim.noise import preset
from tests.support.board_bench import Bench, CountingScene, capture

NESTED = (16, (0, 1, 2, 4, 8))  # every span divides the next longer one
CROSSED = (12, (0, 3, 4, 12))


@st.composite
def ratio_maps(draw, kinds=(NESTED, CROSSED)):
    slots, level_set = draw(st.sampled_from(kinds))
    tile = RatioMap.random(
        draw(st.tuples(st.integers(1, 5), st.integers(1, 5))),
        seed=draw(st.integers(0, 99)),
        slots=slots,
        level_set=level_set,
    )
    repeats = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    made = RatioMap.from_tile(np.tile(tile.levels, repeats), None, slots, level_set)
    return made if made.levels.any() else RatioMap.uniform(level_set[1], (3, 4), slots, level_set)


def spans(level, phase, slots, windows):
    """Return the first slot, and the slot after the last, of every span in these windows."""
    span = slots // level
    return [
        (start, start + span)
        for start in range(phase - slots, windows * slots, span)
        if 0 < start + span <= windows * slots
    ]


@given(ratio_maps())
@settings(deadline=None, max_examples=40)
def test_without_phases_the_reads_are_the_read_plans(ratio_map):
    plan = ReadPlan.of(ratio_map)
    planned = Feasibility.of(ratio_map, Hardware())
    assert planned.reads_per_slot.tolist() == plan.reads_per_slot.tolist()
    assert planned.reads_per_window == plan.count
    zero = np.zeros(ratio_map.shape, np.uint8)
    assert (Feasibility.of(ratio_map, Hardware(), zero).reads == planned.reads).all()


@given(ratio_maps())
@settings(deadline=None, max_examples=40)
def test_staggered_pixels_are_read_where_their_shifted_spans_end(ratio_map):
    phases = stagger(ratio_map)
    slots = ratio_map.slots
    due = np.zeros(slots, int)
    for level, phase in zip(ratio_map.levels.flat, phases.flat, strict=True):
        if level == 0:
            assert phase == 0
            continue
        assert phase < slots // level
        own = spans(int(level), int(phase), slots, 3)
        covered = [slot for start, end in own for slot in range(start, end)]
        assert covered == list(range(covered[0], covered[-1] + 1))  # back to back
        for _, end in own:
            if slots < end <= 2 * slots:  # a window in the steady state
                due[end - 1 - slots] += 1
    assert Feasibility.of(ratio_map, Hardware(), phases).reads_per_slot.tolist() == due.tolist()


@given(ratio_maps())
@settings(deadline=None, max_examples=40)
def test_staggering_keeps_the_reads_and_never_raises_the_peak(ratio_map):
    nominal = Feasibility.of(ratio_map, Hardware())
    staggered = Feasibility.of(ratio_map, Hardware(), stagger(ratio_map))
    assert (staggered.reads.sum(axis=1) == nominal.reads.sum(axis=1)).all()
    peak = staggered.reads_per_slot.max()
    assert ceil(nominal.reads_per_window / ratio_map.slots) <= peak <= nominal.reads_per_slot.max()


@given(ratio_maps(kinds=(NESTED,)), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_on_whole_tiles_no_phases_are_flatter(ratio_map, repeats):
    cell = RatioMap.from_tile(np.tile(ratio_map.tile, (4, 4)))  # no side below sqrt(T)
    wide = cell.tiled_to(cell.shape[0] * repeats, cell.shape[1])
    phases = stagger(wide)
    per_slot = Feasibility.of(wide, Hardware(), phases).reads_per_slot
    tiles = wide.levels.size // np.prod([side * ceil(4 / side) for side in ratio_map.tile.shape])
    assert per_slot.max() == tiles * ceil(per_slot.sum() / tiles / wide.slots)
    assert per_slot.max() - per_slot.min() <= tiles


def queue(reads_per_slot, per_slot, periods=3):
    """Simulate a queue: return when each slot of the last period is done, and its first slot."""
    free, done = Fraction(0), []
    due = list(reads_per_slot) * periods
    for slot, reads in enumerate(due):
        free = max(free, Fraction(slot + 1)) + Fraction(reads) / per_slot
        done.append(free)
    return done[-len(reads_per_slot) :], (periods - 1) * len(reads_per_slot)


@given(ratio_maps(), st.booleans(), st.fractions(1, 4, max_denominator=16))
@settings(deadline=None, max_examples=40)
def test_waiting_reads_are_those_of_a_queue(ratio_map, staggered, spare):
    phases = stagger(ratio_map) if staggered else None
    counts = Feasibility.of(ratio_map, Hardware(), phases).reads_per_slot.tolist()
    per_slot = Fraction(sum(counts), ratio_map.slots) * spare  # at the mean rate, and above
    rate = float(per_slot)
    planned = Feasibility.of(ratio_map, Hardware(slot_rate_hz=1, adc_rate_hz=rate), phases)
    done, first = queue(counts, per_slot)
    waits = [at - (first + slot + 1) for slot, at in enumerate(done) if counts[slot]]
    assert planned.longest_wait_s == pytest.approx(float(max(waits)))
    late = max(0, max(waits) - 1) * per_slot
    assert planned.most_held_reads == pytest.approx(float(late), abs=1)
    assert planned.fits_adc == (max(waits) <= 1 + 1e-9)


@given(ratio_maps(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_held_reads_are_done_before_the_pixels_next_at_the_rate_told_and_not_below(
    ratio_map, staggered
):
    phases = stagger(ratio_map) if staggered else None
    planned = Feasibility.of(ratio_map, Hardware(slot_rate_hz=1), phases)
    counts = planned.reads_per_slot.tolist()

    def in_time(per_slot):
        done, first = queue(counts, Fraction(per_slot))
        return all(
            at <= first + slot + 1 + ratio_map.slots / max(levels) + 1e-9
            for slot, at in enumerate(done)
            if (levels := [n for n, row in zip(planned.levels, planned.reads, strict=True)
                           if row[slot]])
        )  # fmt: skip

    rate = planned.holding_rate_hz
    assert in_time(rate * 1.0001)
    assert sum(counts) / ratio_map.slots <= rate <= planned.peak_rate_hz
    below = Feasibility.of(ratio_map, Hardware(slot_rate_hz=1, adc_rate_hz=rate * 0.99), phases)
    assert not below.fits_adc_holding
    if rate * 0.99 > sum(counts) / ratio_map.slots:
        assert not in_time(rate * 0.99)


@given(ratio_maps(), st.floats(1, 1e9), st.floats(1, 1e9), st.integers(1, 16))
@settings(deadline=None, max_examples=40)
def test_at_the_highest_slot_rates_it_just_fits(ratio_map, adc, link, bits):
    def at(slot_rate):
        return Feasibility.of(ratio_map, Hardware(slot_rate, adc, link, bits))

    highest = at(240).highest_slot_rate_hz
    assert highest["all"] == min(highest["adc_holding"], highest["link"])
    for name, fits in (
        ("adc", "fits_adc"),
        ("adc_holding", "fits_adc_holding"),
        ("link", "fits_link"),
        ("all", "keeps_up"),
    ):
        assert getattr(at(highest[name]), fits)
        assert not getattr(at(highest[name] * 1.001), fits)


@pytest.mark.parametrize("max_payload", [256, 1024, 32768])
@pytest.mark.parametrize("profile", ["scamp5", "ideal"])
def test_bytes_on_the_wire_are_what_a_board_sends(max_payload, profile):
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (48, 40))
    sensor = preset(profile)
    bench = Bench(scene=CountingScene((48, 40)), profile=sensor, max_payload=max_payload)
    bench.hello(max_payload)
    bench.upload(ratio_map)
    bench.poll()
    bench.unasked.clear()
    bench.ask(*capture(1))
    sent = sum(len(frame.encode()) for frame in bench.unasked)
    told = Feasibility.of(ratio_map, Hardware(bits=sensor.bits, max_payload=max_payload))
    readout = sum(frame.body[8:] != b"" and len(frame.body) - 8 for frame in bench.unasked[1:])
    assert readout == told.bytes_per_window
    assert sent <= told.wire_bytes_per_window <= 1.005 * sent


@given(st.integers(1, 20_000), st.integers(256, 4096))
@settings(deadline=None, max_examples=40)
def test_no_readout_takes_more_on_the_wire(length, payload):
    hash_bytes = b"\xff" * wire.MAP_HASH_PREFIX_BYTES
    descriptor = wire.WindowDescriptor(
        2**32 - 1, length, 2**64 - 1, wire.WindowKind.SCENE, 0, hash_bytes, 2**32 - 1
    )
    bodies = [descriptor.pack()]
    for offset in range(0, length, payload - 8):
        data = b"\xff" * min(payload - 8, length - offset)  # without zeros COBS is longest
        bodies.append(wire.Fragment(2**32 - 1, offset, data).pack())
    sent = sum(len(wire.Frame(wire.MessageType.READOUT, 65535, body).encode()) for body in bodies)
    assert sent <= wire.window_wire_bytes(length, payload) <= sent + len(bodies)


def test_the_memory_for_readouts_is_that_of_a_board_that_sends_whole_windows():
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (16, 16))
    hardware = Hardware(slot_rate_hz=16, bits=8)
    needs = Feasibility.of(ratio_map, hardware)
    rate = needs.link_needed_bytes_per_s
    planned = Feasibility.of(ratio_map, Hardware(slot_rate_hz=16, link_rate_bytes_per_s=rate))
    assert planned.fits_link
    assert planned.link_s == pytest.approx(1)
    assert planned.windows_carried == pytest.approx(1)
    assert planned.arrived_after_s == pytest.approx(1)
    assert planned.buffer_bytes == needs.bytes_per_window
    slower = Feasibility.of(ratio_map, Hardware(slot_rate_hz=16, link_rate_bytes_per_s=rate / 2))
    assert not slower.fits_link
    assert not slower.keeps_up
    assert slower.buffer_bytes is slower.arrived_after_s is None
    assert slower.windows_carried == pytest.approx(0.5)


def test_reads_early_in_a_window_wait_beside_the_window_before():
    ratio_map = RatioMap.uniform(1, (4, 4))
    first = np.ones((4, 4), np.uint8)  # all are read after slot 0
    rate = Feasibility.of(ratio_map, Hardware(slot_rate_hz=1)).link_needed_bytes_per_s
    hardware = Hardware(slot_rate_hz=1, link_rate_bytes_per_s=rate, bits=12)
    assert Feasibility.of(ratio_map, hardware, first).buffer_bytes is None  # two bytes a sample
    hardware = Hardware(slot_rate_hz=1, link_rate_bytes_per_s=rate)
    assert Feasibility.of(ratio_map, hardware, first).buffer_bytes == 16 + 15


def test_slots_over_a_limit_are_told_with_their_excess():
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (16, 16))
    planned = Feasibility.of(ratio_map, Hardware(slot_rate_hz=10, adc_rate_hz=1005))
    assert [(e.slot, e.reads, e.over) for e in planned.slots_over_adc] == [
        (7, 128, 28),  # 100.5 conversions a slot
        (15, 256, 156),
    ]
    assert planned.slots_over_link is None
    assert planned.most_held_reads == 156
    assert planned.energy_j_per_window == 512 * planned.hardware.joules_per_conversion
    assert planned.power_w == pytest.approx(planned.energy_j_per_window / 1.6)


def test_a_staggered_window_is_whole_only_when_its_last_span_has_been_read():
    ratio_map = RatioMap.uniform(1, (4, 4))
    phases = stagger(ratio_map)
    assert sorted(phases.flat) == list(range(16))
    hardware = Hardware(slot_rate_hz=1, adc_rate_hz=2, link_rate_bytes_per_s=1000)
    planned = Feasibility.of(ratio_map, hardware, phases)
    assert planned.converted_after_s == 15.5  # fifteen slots late, and half a slot converted
    assert planned.arrived_after_s == pytest.approx(16.5)  # with the next window, its read done
    nominal = Feasibility.of(ratio_map, hardware)
    assert nominal.converted_after_s == 8
    assert nominal.arrived_after_s == 8


@pytest.mark.parametrize("name", ["slot_rate_hz", "adc_rate_hz", "link_rate_bytes_per_s",
                                  "joules_per_conversion", "bits"])  # fmt: skip
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(name, value):
    with pytest.raises(FeasibilityError, match=name):
        Hardware(**{name: value})


def test_hardware_out_of_range_and_maps_without_reads_are_refused():
    with pytest.raises(FeasibilityError, match="17"):
        Hardware(bits=17)
    with pytest.raises(FeasibilityError, match="255"):
        Hardware(max_payload=255)
    with pytest.raises(FeasibilityError, match="measures nothing"):
        Feasibility.of(RatioMap.uniform(0, (2, 2)), Hardware())
