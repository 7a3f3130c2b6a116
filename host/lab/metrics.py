"""The metrics of a lab: those of each worker with the name of its board, and the lab's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.lab.forwarding import ask
from focalloop.host.lab.lab import Lab


async def lab_metrics(lab: Lab) -> tuple[bytes, str]:
    """Return the metrics in the text format of Prometheus, and its media type."""
    names = list(lab.settings.boards)
    texts = await asyncio.gather(*(_metrics_of(lab, name) for name in names))
    families: dict[str, Metric] = {}
    up = GaugeMetricFamily("focalloop_board_up", "1 while the worker answers", labels=["board"])
    lent = GaugeMetricFamily("focalloop_board_lent", "1 while there is a lease", labels=["board"])
    restarts = CounterMetricFamily(
        "focalloop_worker_restarts", "Times that the worker has crashed", labels=["board"]
    )
    for name, text in zip(names, texts, strict=True):
        up.add_metric([name], float(text is not None))
        lent.add_metric([name], float(lab.leases.of_board(name) is not None))
        restarts.add_metric([name], lab.workers.restarts.get(name, 0))
        for family in text_string_to_metric_families(text or ""):
            known = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            for sample in family.samples:
                known.add_sample(sample.name, {**sample.labels, "board": name}, sample.value)
    queue = GaugeMetricFamily(
        "focalloop_lease_queue", "Requests that wait for a board", value=len(lab.leases.queue)
    )
    pool = CounterMetricFamily(
        "focalloop_pool_restarts",
        "Times that the pool for rebuilding has crashed",
        value=lab.pool.restarts,
    )
    registry = CollectorRegistry()
    registry.register(_Given([up, lent, restarts, queue, pool, *families.values()]))
    return generate_latest(registry), CONTENT_TYPE_LATEST


async def _metrics_of(lab: Lab, board: str) -> str | None:
    with suppress(FocalloopError):
        text: str = await ask(lab.socket(board), "GET", "/metrics", timeout_s=1.0)
        return text
    return None


class _Given(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families
