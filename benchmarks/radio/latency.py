"""Milliseconds and megabytes that each method takes at the transmitter, and each stage of the link.

Each runs in a process of its own, with one window of 256x256 pixels. Transmitters run on one
thread: time is that of the processor, which other programs hardly change, and memory is by how much
the largest resident size grows from before a method is loaded. H.264 needs the whole reconstruction
at the transmitter, so that is measured by itself as well. Stages run on one thread and on two,
where the time that passes counts, and is compared with `STAGE_LIMIT_MS`.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.radio.bitstream import CodedWindow
from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.live.radio_link import LIVE_MODEL
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
STAGE_RUNS = 30
STAGE_LIMIT_MS = 60.0
"""What a stage may take on two cores."""

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


def _semcom(sensing: Sensing, threads: int = 1, model: str = "radio-semcom") -> Transmit:
    method = SemCom("semcom", RadioBundle.load(model), sensing.ratio_map, threads=threads)
    return lambda reads: method.transmit(reads, _CHANNEL)


def _semcom_receiver(sensing: Sensing, threads: int, model: str = "radio-semcom") -> Transmit:
    method = SemCom("semcom", RadioBundle.load(model), sensing.ratio_map, threads=threads)
    arrived: list[Received] = []

    def decode(reads: Float32) -> object:
        if not arrived:
            sent = method.transmit(reads, _CHANNEL).symbols
            arrived.append(_CHANNEL.send(sent, np.random.default_rng(0)))
        found = method.receive(arrived[0], _CHANNEL)
        return None if found is None else method.decode(found)

    return decode


def _codec(sensing: Sensing, threads: int = 1) -> Transmit:
    codec = Codec.load(threads=threads)
    return lambda reads: codec.encode(reads, QUALITY)


def _codec_receiver(sensing: Sensing, threads: int) -> Transmit:
    codec = Codec.load(threads=threads)
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
    "semcom, 8 bits": partial(_semcom, model=LIVE_MODEL),
    "linear": _linear,
    "codec": _codec,
}
"""What turns a window into bits or symbols; LDPC coding is not counted."""

STAGES: dict[str, Callable[[Sensing, int], Transmit]] = {
    "SCE+RAN: reads to symbols": _semcom,
    "SCD: symbols to reads": _semcom_receiver,
    "SCE+RAN, 8 bits": partial(_semcom, model=LIVE_MODEL),
    "SCD, 8 bits": partial(_semcom_receiver, model=LIVE_MODEL),
    "codec, encode": _codec,
    "codec, decode": _codec_receiver,
}
"""Each with the threads of its networks."""


def measure() -> list[dict[str, Any]]:
    """Return a row per method: name, processor milliseconds (the median) and megabytes."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.map(_measured, TRANSMITTERS, chunksize=1)


def stages() -> list[dict[str, Any]]:
    """Return a row per stage.

    Its name, milliseconds of the processor on one thread (the median), and those that pass on one
    and on two threads: the least, as other programs only add to them.
    """
    asked = [(name, threads) for name in STAGES for threads in (1, 2)]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.starmap(_timed, asked, chunksize=1)
    return [
        {"stage": name, "processor_ms": one[0], "ms": [one[1], two[1]], "limit_ms": STAGE_LIMIT_MS}
        for name, one, two in zip(STAGES, found[::2], found[1::2], strict=True)
    ]


def markdown(rows: list[dict[str, Any]], timed: list[dict[str, Any]]) -> str:
    """Return transmitters and stages as tables."""
    lines = ["| at the transmitter | ms | MB |", "|---|---|---|"]
    lines += [f"| {row['method']} | {row['ms']:.0f} | {row['megabytes']:.0f} |" for row in rows]
    limit = f"of {STAGE_LIMIT_MS:g} ms"
    lines += ["", f"| stage | processor, ms | 1 thread, ms | 2 threads, ms | {limit} |"]
    lines += ["|---|---|---|---|---|"]
    for row in timed:
        one, two = row["ms"]
        share = two / row["limit_ms"]
        lines.append(
            f"| {row['stage']} | {row['processor_ms']:.0f} | {one:.0f} | {two:.0f} | {share:.0%} |"
        )
    return "\n".join(lines)


def _window() -> tuple[Float32, Sensing]:
    bundle = Bundle.load(SENSING_BUNDLE)
    ratio_map = bundle.ratio_map.tiled_to(SIDE, SIDE)
    emulator = Emulator(ratio_map, bundle.noise_profile, seed=0)
    codes = emulator.read_out(load_clips(_CLIP, max_clips=1).clips[0], 0)
    reads = emulator.plan.planes(bundle.noise_profile.signal(codes))
    return reads, Sensing(ratio_map, bundle.reconstructor(threads=1))


def _measured(name: str) -> dict[str, Any]:
    reads, sensing = _window()
    before = _largest_mb()
    transmit = TRANSMITTERS[name](sensing)
    transmit(reads)  # loads what is loaded at first use
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        transmit(reads)
        times.append(1000 * (time.process_time() - started))
    return {"method": name, "ms": float(np.median(times)), "megabytes": _largest_mb() - before}


def _timed(stage: str, threads: int) -> tuple[float, float]:
    reads, sensing = _window()
    run = STAGES[stage](sensing, threads)
    run(reads)
    times = []
    for _ in range(STAGE_RUNS):
        started = time.process_time(), time.perf_counter()
        run(reads)
        times.append((time.process_time() - started[0], time.perf_counter() - started[1]))
    used, passed = 1000 * np.array(times).T
    return float(np.median(used)), float(passed.min())


def _largest_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
