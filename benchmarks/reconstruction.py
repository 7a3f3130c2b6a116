"""The networks against PyTorch, real time and float32: ``python -m benchmarks.reconstruction``.

One window of 16x256x256 at a time, from reads in memory to video in memory, through the same class
as in the preview. Both profiles are measured: edge as the default bundle and as its float32 form,
paper as a shipped bundle or, where there is none, with random weights, which take as long. Peers:

* *torch eager*: the same network in PyTorch, float32, on as many threads;
* *real time*: a window of 16 slots at 240 slots per second lasts 66.7 ms;
* *float32*: the default bundle before its quantisation to 8 bits (`focalloop.models.export.int8`),
  in time and in PSNR on the demo clip.

All candidates take turns in one run, and each time is the median of its turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor
from focalloop.models import zoo
from focalloop.models.zoo import DEFAULT_BUNDLE

if TYPE_CHECKING:
    from focalloop.models.networks.profiles import Network

SHAPE = (256, 256)
WINDOW_MS = 1e3 * 16 / 240
FLOAT32 = DEFAULT_BUNDLE.removesuffix("-int8")
TURNS = 7
RUNS = 3

Candidate = Callable[[], object]


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to be timed.

    Attributes
    ----------
    name : str
        With which the names of its rows begin.
    graph : bytes
        The network in ONNX.
    ratio_map : RatioMap
        Its map, of size `SHAPE`.
    network : Network or None
        The same network in PyTorch, if torch is installed.
    """

    name: str
    graph: bytes
    ratio_map: RatioMap
    network: Network | None = None

    @classmethod
    def shipped(cls, name: str) -> Subject:
        """Load a bundle and build its network again, whose weights do not matter for the time."""
        bundle = Bundle.load(name)
        return cls(name, bundle.network, bundle.ratio_map.tiled_to(*SHAPE), _rebuilt(bundle))

    def candidate(self, engine: str, threads: int) -> Candidate | None:
        """Return one reconstruction by ``"onnx"`` or ``"torch"``; None if it is not available."""
        reads = np.random.default_rng(0).random((8, *SHAPE), np.float32)
        if engine == "onnx":
            reconstruct = OnnxReconstructor(self.graph, threads=threads)
            return lambda: reconstruct(reads, self.ratio_map)
        return None if self.network is None else _eager(self.network, reads, self, threads)


def _rebuilt(bundle: Bundle) -> Network | None:
    if find_spec("torch") is None:
        return None
    from focalloop.models.errors import TrainError
    from focalloop.models.networks.profiles import build_network, settings_from

    try:
        settings = settings_from(bundle.meta["training"]["settings"]["network"])
    except (KeyError, TrainError) as error:
        print(f"{bundle.name} in torch is left out: {error}", file=sys.stderr)
        return None
    return build_network(settings).eval()


def _eager(
    network: Network, reads: NDArray[np.float32], subject: Subject, threads: int
) -> Candidate:
    import torch

    inputs = [
        torch.from_numpy(reads)[None],
        torch.from_numpy(subject.ratio_map.levels.copy())[None],
    ]
    if subject.ratio_map.aperture is not None:
        inputs.append(torch.from_numpy(subject.ratio_map.aperture.copy())[None])

    def run() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            network(*inputs)

    return run


def paper() -> Subject | None:
    """Return a shipped paper network, or one with random weights."""
    shipped = [name for name in zoo.BUNDLES if name.startswith("paper-")]
    if shipped:
        return Subject.shipped(shipped[0])
    if find_spec("torch") is None:
        return None
    from focalloop.models.export.onnx_graph import to_onnx
    from focalloop.models.networks.profiles import build_network, default_settings

    print("no bundle of a paper network is shipped: exporting random weights", file=sys.stderr)
    network = build_network(default_settings("paper"))
    graph, _ = to_onnx(network)
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], shape=SHAPE)
    return Subject("paper, random weights", graph, ratio_map, network)


def psnr_row(narrow: Subject, wide: Subject) -> Row:
    """Compare the PSNR of the 8-bit form on the demo clip with that of the float32 form."""
    from focalloop.models.export import int8

    windows = load_clips(Path(str(files("focalloop.host"))) / "clips" / "box.mp4").clips
    inputs = int8.measured(windows, narrow.ratio_map, preset("paper"))
    psnr = [int8.mean_psnr(subject.graph, inputs, windows) for subject in (narrow, wide)]
    return Row.of(f"{narrow.name}, demo clip", psnr[0], "dB", "float32", psnr[1])


def measure(runs: dict[Any, Candidate | None]) -> dict[Any, float]:
    """Return each candidate's median time, in milliseconds."""
    present = {key: run for key, run in runs.items() if run is not None}
    times: dict[Any, list[float]] = {key: [] for key in present}
    for _ in range(TURNS):
        for key, run in present.items():
            run()  # wakes its threads, which may be asleep or another number of them
            for _ in range(RUNS):
                started = time.perf_counter()
                run()
                times[key].append(1e3 * (time.perf_counter() - started))
    return {key: statistics.median(values) for key, values in times.items()}


def _threads() -> range:
    return range(1, min(os.cpu_count() or 1, 2) + 1)


def _name(subject: Subject, threads: int) -> str:
    return f"{subject.name}, {threads} thread{'s' if threads > 1 else ''}"


def rows() -> Iterator[Row]:
    """Compare each time of ONNX Runtime with its peers; the ratio is how much faster it is."""
    if find_spec("torch") is None:
        print("torch is not installed: the rows that need it are left out", file=sys.stderr)
    narrow, wide = Subject.shipped(DEFAULT_BUNDLE), Subject.shipped(FLOAT32)
    subjects = [subject for subject in (narrow, wide, paper()) if subject is not None]
    times_ms = measure(
        {
            (subject, engine, threads): subject.candidate(engine, threads)
            for subject in subjects
            for engine in ("onnx", "torch")
            for threads in _threads()
        }
    )
    for subject in subjects:
        for threads in _threads():
            value = times_ms[subject, "onnx", threads]
            peers = {"real time, 16 slots at 240/s": WINDOW_MS}
            if subject is narrow:
                peers["float32"] = times_ms[wide, "onnx", threads]
            elif (subject, "torch", threads) in times_ms:
                peers["torch eager, as many threads"] = times_ms[subject, "torch", threads]
            for peer, peer_value in peers.items():
                name = _name(subject, threads)
                yield Row(name, value, "ms/window", peer, peer_value, peer_value / value)
    if find_spec("torch"):
        yield psnr_row(narrow, wide)


if __name__ == "__main__":
    report.main("The networks against PyTorch, real time and float32.", rows)
