"""The counters and gauges of a session for Prometheus, collected at each request."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from focalloop.host.live.state import LiveSource, LiveState, Phase


class _SessionCollector(Collector):
    def __init__(self, source: LiveSource) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        state = self._source.state()
        yield from _counters(state)
        for name, text, value in _gauges(state):
            if value is not None:
                yield GaugeMetricFamily(f"focalloop_{name}", text, value=value)


def _counters(state: LiveState) -> Iterator[Metric]:
    speed, link = state.speed, state.link
    for name, text, value in (
        ("windows_received", "Windows received whole", speed.windows_received),
        ("windows_reconstructed", "Windows reconstructed", speed.windows_reconstructed),
        (
            "windows_lost",
            "Windows announced by the board and never received whole",
            speed.windows_lost,
        ),
        (
            "windows_dropped_by_host",
            "Windows received whole and dropped for a newer one",
            speed.windows_dropped_by_host,
        ),
        (
            "windows_dropped_by_board",
            "Windows exposed and not read out by the board",
            speed.windows_dropped_by_board,
        ),
        ("link_received_bytes", "Bytes received from the board", link.received_bytes),
        ("link_bad_frames", "Frames that failed their check", link.bad_frames),
        ("link_resends", "Requests and parts of windows asked for again", link.resends),
        ("link_reconnects", "Times the board came back", link.reconnects),
    ):
        yield CounterMetricFamily(f"focalloop_{name}", text, value=value)


def _gauges(state: LiveState) -> Iterator[tuple[str, str, float | None]]:
    speed, scores = state.speed, state.scores
    yield "streaming", "1 while windows arrive", float(state.phase is Phase.STREAMING)
    yield "reconstructed_per_second", "Windows reconstructed per second", speed.reconstructed_per_s
    yield "reconstruct_seconds", "Median time of the network", _seconds(speed.reconstruct_ms)
    yield (
        "latency_p50_seconds",
        "Time from last slot to screen, median",
        _seconds(speed.latency_p50_ms),
    )
    yield (
        "latency_p95_seconds",
        "Time from last slot to screen, 95th percentile",
        _seconds(speed.latency_p95_ms),
    )
    yield "ratio", "Measurements relative to a full readout", state.map.ratio if state.map else None
    if scores is not None:
        yield "psnr_final_db", "PSNR of the final reconstruction", scores.psnr_final_db
        yield "ssim_final", "SSIM of the final reconstruction", scores.ssim_final


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def registry_of(source: LiveSource) -> CollectorRegistry:
    """Return a registry for one session; two sessions can run in one process."""
    registry = CollectorRegistry()
    registry.register(_SessionCollector(source))
    return registry
