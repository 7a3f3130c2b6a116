"""``focalloop serve --inference``: windows per second of eight clients, against no service at all.

The peer is a bare loop in this process: as many threads as processors, each of which rebuilds one
window after the other on one thread of ONNX Runtime. The clients of the service run on the same
processors, and send `WINDOWS` windows of 256x256 pixels at a time as binary tensors. Both take
turns for `ROUNDS` rounds, and the median counts. The service is to keep 95 % of the rate.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.preview import running
from benchmarks.report import Row
from focalloop import Bundle
from focalloop.host.inference.tensors import LENGTH_HEADER
from focalloop.host.reconstruction.reconstruct import load_network
from focalloop.models.zoo import DEFAULT_BUNDLE

CLIENTS = 8
WINDOWS = 4
SIDE = 256
ROUNDS = 3
ROUND_S = 8.0
LIMIT = 0.95


def rate_of(workers: int, work: Callable[[], int]) -> float:
    """Return the windows per second of threads that repeat `work`, which returns its windows."""
    end_s = time.perf_counter() + ROUND_S

    def repeat(_: int) -> tuple[int, float]:
        done = 0
        while time.perf_counter() < end_s:
            done += work()
        return done, time.perf_counter()

    begun_s = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(repeat, range(workers)))
    return sum(done for done, _ in results) / (max(at_s for _, at_s in results) - begun_s)


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
        _,
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
        pairs = [
            (rate_of(CLIENTS, sent), rate_of(os.cpu_count() or 1, alone)) for _ in range(ROUNDS)
        ]
    service, bare = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    yield Row.of(f"windows rebuilt for {CLIENTS} clients", service, "1/s", "bare loop", bare)
    yield Row.of("share of the bare loop", service / bare, "", "least", LIMIT)


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
