"""``focalloop serve --inference``: windows per second of eight clients, against no service at all.

The peer is a bare loop in this process: as many threads as processors, each of which rebuilds one
window after the other on one thread of ONNX Runtime. The clients of the service run on the same
processors, and send `WINDOWS` windows of 256x256 pixels at a time as binary tensors. Both take
turns for `ROUNDS` rounds, and the median counts. The service is to keep 95 % of the rate, although
the clients take their share of the processors: the processor time per window, user and system,
tells theirs from that of the service. On a busy machine it says more than rates, though not all:
other work takes the caches too.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.preview import running
from benchmarks.processes import used_s
from benchmarks.report import Row
from focalloop import Bundle
from focalloop.host.inference.tensors import LENGTH_HEADER
from focalloop.host.reconstruction.onnx_network import load_network
from focalloop.models.zoo import DEFAULT_BUNDLE

CLIENTS = 8
WINDOWS = 4
SIDE = 256
ROUNDS = 3
ROUND_S = 8.0
LIMIT = 0.95


@dataclass(frozen=True)
class Round:
    """What `ROUND_S` seconds of work were worth.

    Attributes
    ----------
    rate : float
        Windows per second.
    here_ms, service_ms : float
        Processor time per window of this process, and of the service.
    """

    rate: float
    here_ms: float
    service_ms: float


def round_of(workers: int, work: Callable[[], int], service: int) -> Round:
    """Let threads repeat `work`, which returns its windows, beside the process `service`."""
    before_ms = _used_ms(service)
    end_s = time.perf_counter() + ROUND_S

    def repeat(_: int) -> tuple[int, float]:
        done = 0
        while time.perf_counter() < end_s:
            done += work()
        return done, time.perf_counter()

    begun_s = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(repeat, range(workers)))
    windows = sum(done for done, _ in results)
    here_ms, service_ms = (
        (after - before) / windows
        for before, after in zip(before_ms, _used_ms(service), strict=True)
    )
    return Round(windows / (max(at_s for _, at_s in results) - begun_s), here_ms, service_ms)


def _used_ms(service: int) -> tuple[float, float]:
    here, there = (1e3 * sum(used_s(process, str).values()) for process in (os.getpid(), service))
    return here - there, there  # the service was started here


def measure() -> Iterator[Row]:
    """Yield the rate of the service beside that of the bare loop."""
    bundle = Bundle.load(DEFAULT_BUNDLE)
    reads = np.random.default_rng(0).random((WINDOWS, 8, SIDE, SIDE), np.float32)
    levels = np.repeat(bundle.ratio_map.tiled_to(SIDE, SIDE).levels[None], WINDOWS, 0)
    network = load_network(bundle.network)
    window = {"reads": reads[:1], "levels": levels[:1]}

    def alone() -> int:
        network.run(None, window)
        return 1

    head, body = _request({"reads": reads, "levels": levels})
    with running("serve", "--inference", "--bundle", DEFAULT_BUNDLE, "--http-port", "0") as (
        document,
        process,
    ):
        address = urlsplit(document["url"]).netloc

        def sent() -> int:
            connection = http.client.HTTPConnection(address, timeout=60)
            try:
                connection.request("POST", f"/v2/models/{DEFAULT_BUNDLE}/infer", body, head)
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()
            finally:
                connection.close()
            return WINDOWS

        sent()  # loads the network
        rounds = [
            (
                round_of(CLIENTS, sent, process),
                round_of(os.cpu_count() or 1, alone, process),
            )
            for _ in range(ROUNDS)
        ]
    served, bare = zip(*rounds, strict=True)
    rate, bare_rate = _median(served, "rate"), _median(bare, "rate")
    yield Row.of(f"windows rebuilt for {CLIENTS} clients", rate, "1/s", "bare loop", bare_rate)
    yield Row.of("share of the bare loop", rate / bare_rate, "", "least", LIMIT)
    bare_ms = _median(bare, "here_ms")
    for name, figure in (("service", "service_ms"), ("clients", "here_ms")):
        used_ms = _median(served, figure)
        yield Row.of(f"processor time of the {name}", used_ms, "ms/window", "bare loop", bare_ms)


def _median(rounds: Iterable[Round], figure: str) -> float:
    return float(statistics.median(getattr(each, figure) for each in rounds))


def _request(tensors: dict[str, NDArray[Any]]) -> tuple[dict[str, str], bytes]:
    datatypes = {"reads": "FP32", "levels": "UINT8"}
    described = [
        {
            "name": name,
            "datatype": datatypes[name],
            "shape": list(values.shape),
            "parameters": {"binary_data_size": values.nbytes},
        }
        for name, values in tensors.items()
    ]
    document = {"inputs": described, "parameters": {"binary_data_output": True}}
    head = json.dumps(document).encode()
    body = b"".join([head, *(values.tobytes() for values in tensors.values())])
    return {LENGTH_HEADER: str(len(head))}, body


if __name__ == "__main__":
    report.main(__doc__ or "", measure)
