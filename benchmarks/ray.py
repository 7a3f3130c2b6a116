"""Work on a Ray cluster of two machines, both on this one, against one process without Ray.

Each machine has one processor. Two clients send requests of `WINDOWS` windows of 256x256 pixels to
`ModelServer`, as the routes of ``focalloop serve`` do: on the cluster, and in turn for `ROUNDS`
rounds to one that rebuilds on one thread of this process; medians count. The processor time of a
window is that of all processes, user and system, without what Ray takes when it is idle: it also
holds on a busy machine, where rates mean little. Then the fastest of `REPEATS` requests tells what
Ray adds to the time of the network, so that other programs disturb least.
Last, one of the machines is killed while `KILLED_RUN` windows are rebuilt, each in `PACE_S`: how
much longer that takes is over what the other one needs from then on. Memory is proportional
(PSS), of all processes that Ray has started.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.processes import tree, used_s
from benchmarks.report import Row
from focalloop import Bundle
from focalloop.host.cluster import LOOPBACK, QUIET, Cluster, joined
from focalloop.host.inference.models import ModelServer
from focalloop.host.reconstruction.onnx_network import load_network
from focalloop.models.zoo import DEFAULT_BUNDLE

WINDOWS = 8
SIDE = 256
ROUNDS = 5
ROUND_S = 5.0
REPEATS = 40
REST_S = 10.0
CLIENTS = 2
KILLED_RUN = 80
PACE_S = 0.5
MIN_SHARE, MAX_ADDED_MS, MAX_LONGER_S = 0.90, 25.0, 10.0

HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""As ``docs/scaling.md`` recommends for the head node."""


def measure() -> Iterator[Row]:
    """Yield what Ray costs, in time and in memory, and what the loss of a machine costs."""
    os.environ.update(QUIET | LOOPBACK)
    from ray.cluster_utils import Cluster as Machines

    machine = {"num_cpus": 1, "object_store_memory": 256 << 20, "include_dashboard": False}
    machines = Machines(initialize_head=True, head_node_args=machine | {"_system_config": HEALTH})
    second = machines.add_node(**machine)
    try:
        with joined(machines.address) as cluster:
            idle = sum(map(_pss_bytes, set(tree(os.getpid())) - {os.getpid()}))
            yield Row.of("memory of Ray, idle", idle / 2**20, "MiB", "an earlier figure", 835.0)
            before_s = _used_s()
            time.sleep(REST_S)
            rest = (_used_s() - before_s) / REST_S
            yield Row.of("processor time of Ray, idle", rest, "s/s", "one processor", 1.0)
            yield from _throughput(cluster, rest)
            yield from _loss(cluster, partial(machines.remove_node, second, allow_graceful=False))
    finally:
        machines.shutdown()


def _throughput(cluster: Cluster, rest: float) -> Iterator[Row]:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    reads, levels = _inputs(bundle, WINDOWS)
    server = ModelServer([bundle], each=cluster.map_evenly)
    tensors = {"reads": reads, "levels": levels}
    own = ModelServer([bundle], processors=1)
    first = {name: values[:1] for name, values in tensors.items()}

    def asked(server: ModelServer, tensors: dict[str, Any]) -> int:
        return len(server.infer(server.model(DEFAULT_BUNDLE), tensors))

    there, here = partial(asked, server, tensors), partial(asked, own, tensors)
    there()  # loads the network on both machines
    here()
    rounds = [(_round(there), _round(here)) for _ in range(ROUNDS)]
    share = statistics.median(ray.rate / cluster.processors / one.rate for ray, one in rounds)
    yield Row.of("windows per second and processor, of one process", share, "", "least", MIN_SHARE)
    there_ms = 1000 * statistics.median(ray.used_s - rest / ray.rate for ray, _ in rounds)
    here_ms = 1000 * statistics.median(one.used_s for _, one in rounds)
    yield Row.of("processor time of a window", there_ms, "ms", "one process", here_ms)
    network = partial(load_network(bundle.network).run, None, first)
    for count, some in ((1, first), (WINDOWS, tensors)):
        ray_s, network_s = _fastest(partial(asked, server, some), network)
        each_s = (ray_s - network_s * math.ceil(count / cluster.processors)) / count
        name = "above the network, one window" + f" of {count}" * (count > 1)
        yield Row.of(name, 1000 * each_s, "ms", "most", MAX_ADDED_MS)


def _loss(cluster: Cluster, kill: Callable[[], None]) -> Iterator[Row]:
    """Kill a machine in mid-run, and compare what comes with what the network gives here."""
    bundle = Bundle.load(DEFAULT_BUNDLE)
    reads, levels = _inputs(bundle, 10)
    rebuilt = ModelServer([bundle]).model(DEFAULT_BUNDLE).rebuilt
    windows = [{"reads": reads[k], "levels": levels[k]} for k in range(10)]
    expected = [rebuilt(window) for window in windows]
    run = (windows[k % 10] for k in range(KILLED_RUN))
    right, killed_s = 0, 0.0
    for number, video in enumerate(cluster.map(_Paced(rebuilt), run)):
        if number == KILLED_RUN // 4:
            kill()
            killed_s = time.perf_counter()
        right += np.array_equal(video, expected[number % 10])
    longer_s = time.perf_counter() - killed_s - (KILLED_RUN - KILLED_RUN // 4) * PACE_S
    yield Row.of("windows right, with a machine killed", right, "", "all", KILLED_RUN)
    yield Row.of("and longer than the other needs alone", longer_s, "s", "most", MAX_LONGER_S)


class _Paced:
    """Takes `PACE_S` for what takes less, however busy the machine is."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, item: Any) -> Any:  # noqa: ANN401 - as `work` takes and gives
        begun_s = time.perf_counter()
        result = self._work(item)
        time.sleep(max(0.0, PACE_S - (time.perf_counter() - begun_s)))
        return result


def _inputs(bundle: Bundle, count: int) -> tuple[Any, Any]:
    reads = np.random.default_rng(0).random((count, 8, SIDE, SIDE), np.float32)
    return reads, np.repeat(bundle.ratio_map.tiled_to(SIDE, SIDE).levels[None], count, 0)


@dataclass(frozen=True)
class _Round:
    """Windows per second of all clients, and seconds of processor time per window."""

    rate: float
    used_s: float


def _round(work: Callable[[], int]) -> _Round:
    """Let clients repeat `work`, which returns its windows."""
    used_before_s, begun_s = _used_s(), time.perf_counter()

    def repeat(_: int) -> int:
        done = 0
        while time.perf_counter() < begun_s + ROUND_S:
            done += work()
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        windows = sum(pool.map(repeat, range(CLIENTS)))
    took_s = time.perf_counter() - begun_s
    return _Round(windows / took_s, (_used_s() - used_before_s) / windows)


def _used_s() -> float:
    return sum(used_s(os.getpid(), str).values())


def _fastest(*works: Callable[[], object]) -> list[float]:
    """Return the least time of each in `REPEATS` calls, seconds; they take turns."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(REPEATS):
        for kept, work in zip(times, works, strict=True):
            begun_s = time.perf_counter()
            work()
            kept.append(time.perf_counter() - begun_s)
    return [min(kept) for kept in times]


def _pss_bytes(process: int) -> int:
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return 1024 * next(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:")


if __name__ == "__main__":
    report.main(__doc__ or "", measure)
