"""What its memory brings to the network of adaptive maps, and what a lost window costs it.

``python -m benchmarks.adaptive_memory SEQUENCES`` reads the middle of sequences of 96 frames under
single tiles of the palette, and prints the mean PSNR in dB over windows `FIRST` to the last:

universal, alone, memory
    By the universal network; by that of adaptive maps, each window alone; and in a row.
moving
    In a row, with a tile that moves by a pixel from window to window (`SHIFTS`).
lost
    How much less the windows after window `LOST` have, one by one, if that was lost.
cut
    How much less a window has whose last frame is one of another sequence, than alone.

Last it prints what memory costs in latency: the processor time that a window of the whole array
takes by the network of adaptive maps, and by the one without memory that is told the noise too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import opened
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.adaptive.closed_loop import FIRST
from focalloop.host.reconstruction.bundle import Bundle, adaptive_bundle
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.quality import mse, psnr_of_mse
from focalloop.host.reconstruction.reconstruct import Reconstructor
from focalloop.models.adaptive.palette import TILES
from focalloop.models.zoo import TOLD_BUNDLE, UNIVERSAL_BUNDLE

SHOWN = ("a quarter", "half", "one long read", "calm", "two, one and none")
SHIFTS = ((0, 0), (0, 1), (1, 1), (1, 0))
"""Where a moving tile lies, down and right, in turn."""
LOST = 2
SLOTS = 16
TIMED = 20
MAX_BYTES = 2 << 30

Frames = NDArray[np.uint8]
Errors = NDArray[np.float64]
"""Of each window of each sequence, (N, M)."""


class Sensor:
    """Reads windows under one tile, wherever it lies."""

    def __init__(self, tile: str, side: int) -> None:
        self._profile = preset("paper")
        levels = np.array(TILES[tile])
        self._emulators = [
            Emulator(
                RatioMap.from_tile(np.roll(levels, shift, (0, 1)), (side, side)), self._profile
            )
            for shift in SHIFTS
        ]

    def errors(
        self,
        network: Reconstructor,
        sequences: Frames,
        *,
        alone: bool = False,
        moving: bool = False,
        lost: int | None = None,
    ) -> Errors:
        """Rebuild the windows of sequences; a lost one has no error."""
        found = []
        for frames in sequences:
            last, each = LastFrame(), []
            for number, scene in enumerate(_windows(frames)):
                place = Place(None, 2 * number if alone else number)  # alone: none follows
                video = self._rebuilt(network, scene, number, moving, last, place)
                each.append(np.nan if number == lost else mse(video, scene))
                last = LastFrame() if number == lost else last
            found.append(each)
        return np.array(found)

    def after_cut(self, network: Reconstructor, sequences: Frames) -> Errors:
        """Rebuild each window as if it followed one of the sequence before."""
        found = []
        for before, frames in zip(np.roll(sequences, 1, axis=0), sequences, strict=True):
            each = []
            for number, (other, scene) in enumerate(
                zip(_windows(before), _windows(frames), strict=True)
            ):
                last = LastFrame()
                last.keep(other.astype(np.float32) / 255, Place(None, 0))
                video = self._rebuilt(network, scene, number, False, last, Place(None, 1))
                each.append(mse(video, scene))
            found.append(each)
        return np.array(found)

    def _rebuilt(
        self,
        network: Reconstructor,
        scene: Frames,
        number: int,
        moving: bool,
        last: LastFrame,
        place: Place,
    ) -> NDArray[np.float32]:
        emulator = self._emulators[number % len(SHIFTS) if moving else 0]
        reads = emulator.plan.planes(self._profile.signal(emulator.read_out(scene, number)))
        return last.rebuild(network, reads, emulator.ratio_map, place)


def _windows(frames: Frames) -> Frames:
    count = len(frames) // SLOTS
    return frames[: count * SLOTS].reshape(count, SLOTS, *frames.shape[1:])


def _psnr(errors: Errors) -> float:
    """Return the mean over sequences of the PSNR of their mean error, dB."""
    return float(np.mean([psnr_of_mse(float(each.mean())) for each in errors]))


def row(
    tile: str, sequences: Frames, network: Reconstructor, universal: Reconstructor
) -> list[float]:
    """Return the numbers of a row of the table."""
    sensor = Sensor(tile, sequences.shape[-1])
    alone = sensor.errors(network, sequences, alone=True)
    whole, lost = (sensor.errors(network, sequences, lost=which) for which in (None, LOST))
    steady = [
        sensor.errors(universal, sequences),
        alone,
        whole,
        sensor.errors(network, sequences, moving=True),
    ]
    later = range(LOST + 1, whole.shape[1])
    return [
        *(_psnr(errors[:, FIRST:]) for errors in steady),
        *(_psnr(whole[:, [number]]) - _psnr(lost[:, [number]]) for number in later),
        _psnr(alone) - _psnr(sensor.after_cut(network, sequences)),
    ]


def milliseconds(networks: Sequence[Reconstructor], height: int, width: int) -> list[float]:
    """Return the median processor time of one window by each network, in turn and in a row."""
    rng = np.random.default_rng(0)
    ratio_map = RatioMap.from_tile(TILES[SHOWN[-1]], (height, width))
    reads = rng.random((8, height, width), np.float32) * ratio_map.measured
    taken = np.empty((TIMED + 1, len(networks)))
    memories = [LastFrame() for _ in networks]
    for number in range(len(taken)):
        for which, (network, last) in enumerate(zip(networks, memories, strict=True)):
            start = time.process_time()
            last.rebuild(network, reads, ratio_map, Place(None, number))
            taken[number, which] = time.process_time() - start
    return [float(median) for median in 1000 * np.median(taken[1:], axis=0)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What memory brings to a shipped network.")
    parser.add_argument("sequences", type=Path, help="an .npz with sequences (N, F, H, W)")
    parser.add_argument("--bundle", help="with memory, a name or a path; by default as live")
    parser.add_argument("--side", type=int, default=128, help="of the middle, pixels")
    options = parser.parse_args(arguments)
    with opened(options.sequences) as archive:
        sequences = archive.array("sequences.npy", MAX_BYTES)
    top, left = ((length - options.side) // 2 for length in sequences.shape[2:])
    middle = sequences[:, :, top : top + options.side, left : left + options.side]
    bundle = options.bundle or adaptive_bundle()
    network = Bundle.load(bundle).reconstructor()
    universal = Bundle.load(UNIVERSAL_BUNDLE).reconstructor()
    later = [f"lost+{k}" for k in range(1, sequences.shape[1] // SLOTS - LOST)]
    columns = ["universal", "alone", "memory", "moving", *later, "cut"]
    print(" " * 18, *(f"{column:>9}" for column in columns))
    for tile in SHOWN:
        numbers = row(tile, middle, network, universal)
        print(f"{tile:18}", *(f"{value:9.2f}" for value in numbers), flush=True)
    height, width = sequences.shape[2:]
    told = Bundle.load(TOLD_BUNDLE).reconstructor()
    with_memory, without = milliseconds((network, told), height, width)
    print(
        f"a window of {height}x{width} pixels takes {with_memory:.1f} ms of one processor by "
        f"{bundle}, {without:.1f} ms by {TOLD_BUNDLE}"
    )


if __name__ == "__main__":
    main()
