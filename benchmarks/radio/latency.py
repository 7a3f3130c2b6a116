"""Milliseconds and megabytes that each method takes at the transmitter.

Each runs in a process of its own, on one thread, with one window of 256x256 pixels. Time is that of
the processor, which other programs hardly change, and memory is by how much the largest resident
size grows from before a method is loaded. H.264 needs the whole reconstruction at the transmitter,
so that is measured by itself as well.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.radio.bitstream import CodedWindow
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.radio.codec import Codec
from focalloop.host.radio.h264 import H264Method
from focalloop.host.radio.ldpc import MeasuredLink
from focalloop.host.radio.linear import linear
from focalloop.host.radio.methods import SENSING_BUNDLE, Sensing
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.semcom import SemCom
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.reconstruct import Float32

SIDE = 256
RUNS = 9
CRF = 30.0
"""Rate factor of H.264; its time hardly depends on it."""

QUALITY = 90
"""Of the codec; its time hardly depends on it."""

_CLIP = "host/clips/box.mp4"
_CHANNEL = Channel("awgn", 10)

Transmit = Callable[[Float32], object]


def _h264(sensing: Sensing) -> Transmit:
    method = H264Method(sensing, MeasuredLink(), CRF)
    return lambda reads: method.stream(reads, _CHANNEL)


def _linear(sensing: Sensing) -> Transmit:
    method = linear(sensing)
    return lambda reads: method.transmit(reads, _CHANNEL)


def _semcom(sensing: Sensing) -> Transmit:
    method = SemCom("semcom", RadioBundle.load("radio-semcom"), sensing.ratio_map, threads=1)
    return lambda reads: method.transmit(reads, _CHANNEL)


def _codec(sensing: Sensing) -> Transmit:
    codec = Codec.load(threads=1)
    return lambda reads: codec.encode(reads, QUALITY)


def _codec_receiver(sensing: Sensing) -> Transmit:
    codec = Codec.load(threads=1)
    coded: list[CodedWindow] = []

    def decode(reads: Float32) -> object:
        if not coded:
            coded.append(codec.encode(reads, QUALITY))
        return codec.decode(coded[0])

    return decode


def _reconstruction(sensing: Sensing) -> Transmit:
    return lambda reads: sensing.reconstruct(reads, sensing.ratio_map)


TRANSMITTERS: dict[str, Callable[[Sensing], Transmit]] = {
    "reconstruction alone": _reconstruction,
    "h264-ldpc": _h264,
    "semcom": _semcom,
    "linear": _linear,
    "codec": _codec,
    "codec, at the receiver": _codec_receiver,
}
"""What turns a window into bits or symbols, and back for the codec; LDPC coding is not counted."""


def measure() -> list[dict[str, Any]]:
    """Return a row per method: name, processor milliseconds (the median) and megabytes."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.map(_measured, TRANSMITTERS, chunksize=1)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = ["| at the transmitter | ms | MB |", "|---|---|---|"]
    lines += [f"| {row['method']} | {row['ms']:.0f} | {row['megabytes']:.0f} |" for row in rows]
    return "\n".join(lines)


def _measured(name: str) -> dict[str, Any]:
    bundle = Bundle.load(SENSING_BUNDLE)
    ratio_map = bundle.ratio_map.tiled_to(SIDE, SIDE)
    emulator = Emulator(ratio_map, bundle.noise_profile, seed=0)
    codes = emulator.read_out(load_clips(_CLIP, max_clips=1).clips[0], 0)
    reads = emulator.plan.planes(bundle.noise_profile.signal(codes))
    before = _largest_mb()
    transmit = TRANSMITTERS[name](Sensing(ratio_map, bundle.reconstructor(threads=1)))
    transmit(reads)  # loads what is loaded at first use
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        transmit(reads)
        times.append(1000 * (time.process_time() - started))
    return {"method": name, "ms": float(np.median(times)), "megabytes": _largest_mb() - before}


def _largest_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
