"""The counters and gauges of a session for Prometheus, collected at each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from focalloop.host.live.adaptive_state import AdaptiveState
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
        if state.adaptive is not None:
            yield from _of_adaptive_map(state.adaptive)
        yield _processor()


def _processor() -> Metric:
    """Return the processor time of this process by thread, where the system tells it."""
    family = CounterMetricFamily(
        "focalloop_processor_seconds",
        "Processor time by thread, since it began; the network's own threads are among the others",
        labels=["thread"],
    )
    named_s = 0.0
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.name.startswith("focalloop-"):
            continue  # those of a pool end when they idle
        with suppress(OSError):  # it has just ended, or this is not Linux
            times = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()
            used_s = int(times[0]) / 1e9
            family.add_metric([thread.name], used_s)
            named_s += used_s
    family.add_metric(["others"], max(0.0, time.process_time() - named_s))
    return family


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


def _of_adaptive_map(state: AdaptiveState) -> Iterator[Metric]:
    for name, text, value in (
        ("windows", "Windows received under the adaptive map", state.windows),
        ("windows_under_grid", "Of these, windows not at rest", state.windows_under_grid),
        ("windows_over_budget", "Of these, windows over the budget", state.windows_over_budget),
        ("windows_not_used", "Windows from which no grid was chosen", state.windows_not_used),
        ("grids_taken", "Grids that the board took", state.grids_taken),
        ("grids_late", "Grids that came when their window had begun", state.grids_late),
        ("grids_refused", "Grids that the board refused otherwise", state.grids_refused),
    ):
        yield CounterMetricFamily(f"focalloop_adaptive_{name}", text, value=value)
    delays = CounterMetricFamily(
        "focalloop_adaptive_delay_windows",
        "Windows under a grid, by the age of what it was chosen from in windows",
        labels=["windows"],
    )
    for windows, count in state.delays.items():
        delays.add_metric([str(windows)], count)
    yield delays
    used = None if state.reads is None else state.reads / state.budget_reads
    for name, text, gauge in (
        ("active", "1 while the board runs the adaptive map", float(state.active)),
        ("budget_ratio", "Most reads in a window relative to a full readout", state.budget),
        ("budget_used", "Reads in the newest window relative to the budget", used),
        ("choice_seconds", "Median processor time of one choice", _seconds(state.choice_ms)),
    ):
        if gauge is not None:
            yield GaugeMetricFamily(f"focalloop_adaptive_{name}", text, value=gauge)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def registry_of(source: LiveSource) -> CollectorRegistry:
    """Return a registry for one session; two sessions can run in one process."""
    registry = CollectorRegistry()
    registry.register(_SessionCollector(source))
    return registry
