"""What staggered phases save and cost: ``python -m benchmarks.staggering [--json]``.

The map of a shipped bundle is measured with the phases that
`focalloop.firmware_sim.maps.staggering` chooses, and without phases. Three figures are compared:
the reads of the busiest slot, and the PSNR, mean over the scenes of the open test set, of

* *network-free*: each read is spread over the span that it covers, wherever that lies (CRL Eq. 3),
  and unmeasured pixels are filled in from their neighbours, slot by slot;
* *network*: the bundle's network gets the mean light of the nominal spans in that reconstruction.
  It was trained on reads without phases, and these are as close to them as staggered reads can be.

The spans of a staggered pixel reach into the windows before and after. So each clip is cut with a
window on either side, from the sources that ``focalloop data test-set`` keeps, and the middle
window is scored: the test clip itself, except for `balance_cam03_60fps`, which begins too early in
its video. Windows that begin exactly with the clip are a special case, as their reads contain no
light from before or after it. So without phases each clip is captured 16 times, with windows that
begin in each of the slots, and its squared errors are averaged; staggered pixels average over
phases by themselves.

The sensor is the emulator with `paper` noise, seed 0. It has only phase 0: a pixel of phase s sees
its scene s slots early, and its reconstruction is shown s slots late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.feasibility import Feasibility, Hardware
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.staggering import stagger
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor
from focalloop.host.reconstruction.quality import mse, psnr_of_mse
from focalloop.host.reconstruction.reconstruct import NetworkFree, initial_reconstruction
from focalloop.models.data.cut import SIDE, read_cut
from focalloop.models.data.packages import default_cache, obtain
from focalloop.models.data.test_set import SLOTS, TEST_SET

BUNDLES = (
    "edge-fixed-1of16",
    "edge-tile-1of16",
    "edge-tile-2of16",
    "edge-learned-2of16",
    "edge-learned-4of16",
)
PROFILE = preset("paper")
SCORED = np.arange(SLOTS, 2 * SLOTS)
"""Slots of a long clip that are scored: the middle window of three."""

Float32 = NDArray[np.float32]


def long_clips() -> Iterator[NDArray[np.uint8]]:
    """Cut three windows (3 T, H, W) around each clip of the open test set."""
    paths = obtain([recipe.file for recipe in TEST_SET], default_cache())
    for recipe in TEST_SET:
        first = max(0, recipe.cut.first_frame - SLOTS)
        yield read_cut(paths[recipe.file], replace(recipe.cut, first_frame=first, frames=3 * SLOTS))


class ShiftedSensor:
    """The emulator with windows that begin `shifts` (H, W) slots late, below T, pixel by pixel."""

    def __init__(self, emulator: Emulator, shifts: NDArray[np.int64]) -> None:
        self._emulator = emulator
        self._shifts = shifts

    def capture(self, clip: NDArray[np.uint8]) -> Float32:
        """Read out the two windows (2, R, H, W) that contain the scored slots of a long clip."""
        slots = np.arange(2 * SLOTS)[:, None, None]
        early = np.take_along_axis(clip, slots + self._shifts, axis=0)
        readouts = self._emulator.read_out(early.reshape(2, SLOTS, *self._shifts.shape))
        return self._emulator.plan.planes(PROFILE.signal(readouts))

    def scored(self, video: Float32) -> Float32:
        """Take the scored slots (T, H, W) out of the video (2, T, H, W) of those windows."""
        slots = SCORED[:, None, None] - self._shifts
        return np.take_along_axis(video.reshape(-1, *self._shifts.shape), slots, axis=0)


def nominal_reads(initial: Float32, ratio_map: RatioMap) -> Float32:
    """Return the mean light of the nominal spans (R, H, W); without phases, the reads."""
    reads = np.zeros((max(ratio_map.level_set), *ratio_map.shape), np.float32)
    for level in set(ratio_map.level_set) - {0}:
        of_spans = initial.reshape(level, -1, *ratio_map.shape).sum(axis=1) / SLOTS
        reads[:level] = np.where(ratio_map.levels == level, of_spans, reads[:level])
    return reads


def filled(initial: Float32, ratio_map: RatioMap) -> Float32:
    """Fill in unmeasured pixels slot by slot, each as a still picture of one measurement."""
    measured = RatioMap((ratio_map.levels > 0).astype(np.uint8), slots=1, level_set=(0, 1))
    return NetworkFree()(initial[:, None], measured)[:, 0]


def staggered_errors(
    clip: NDArray[np.uint8], emulator: Emulator, network: OnnxReconstructor
) -> tuple[float, float]:
    """Return the mean squared errors of a clip with phases: network-free, and of the network."""
    ratio_map = emulator.ratio_map
    sensor = ShiftedSensor(emulator, stagger(ratio_map).astype(np.int64))
    initial = sensor.scored(initial_reconstruction(sensor.capture(clip), ratio_map.levels, SLOTS))
    video = network(nominal_reads(initial, ratio_map), ratio_map)
    return mse(filled(initial, ratio_map), clip[SCORED]), mse(video, clip[SCORED])


def unstaggered_errors(
    clip: NDArray[np.uint8], emulator: Emulator, network: OnnxReconstructor
) -> tuple[float, float]:
    """Return mean squared errors without phases, averaged over the slots where windows begin."""
    ratio_map = emulator.ratio_map
    free, restored = [], []
    for begin in range(SLOTS):
        sensor = ShiftedSensor(emulator, np.full(ratio_map.shape, begin))
        reads = sensor.capture(clip)
        free.append(mse(sensor.scored(NetworkFree()(reads, ratio_map)), clip[SCORED]))
        restored.append(mse(sensor.scored(network(reads, ratio_map)), clip[SCORED]))
    return float(np.mean(free)), float(np.mean(restored))


def measure() -> Iterator[Row]:
    """Compare each bundle's map with and without phases."""
    clips = list(long_clips())
    for name in BUNDLES:
        bundle = Bundle.load(name)
        ratio_map = bundle.ratio_map.tiled_to(SIDE, SIDE)
        peak, least = (
            float(Feasibility.of(ratio_map, Hardware(), phases).reads_per_slot.max())
            for phases in (stagger(ratio_map), None)
        )
        yield Row.of(f"{name}, busiest slot", peak, "reads", "unstaggered", least)
        emulator, network = Emulator(ratio_map, PROFILE), OnnxReconstructor(bundle.network)
        with_phases = [staggered_errors(clip, emulator, network) for clip in clips]
        without = [unstaggered_errors(clip, emulator, network) for clip in clips]
        for way, label in enumerate(("network-free", "network")):
            value, peer = (
                float(np.mean([psnr_of_mse(errors[way]) for errors in scores]))
                for scores in (with_phases, without)
            )
            yield Row.of(f"{name}, {label}", value, "dB", "unstaggered", peer)


if __name__ == "__main__":
    report.main("Staggered phases: reads of the busiest slot, and PSNR.", measure)
