"""The way of a window through a live session: sent over the radio, rebuilt, drawn, scored.

Each step has a thread, and none waits for a slower one: the *transmitter* and the *receiver* where
there is a radio link; the *reconstruction* of the newest window, by a second bundle too where
somebody looks at it; the *score* of one window per second against the scene; and, where the map is
adaptive, the choice of how later windows are read. A mailbox of one item leads from each to the
next: a window that is still in it when the next one arrives is dropped and counted, never queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.host.board.client import Board
from focalloop.host.errors import sentence
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.comparison import Beside, Comparison
from focalloop.host.live.deployment import Deployment
from focalloop.host.live.mailbox import Mailbox
from focalloop.host.live.network_selector import NetworkSelector, Reconstruction
from focalloop.host.live.networks import Networks, NetworksAwayError
from focalloop.host.live.scores import Scorer, Unscored, awaited
from focalloop.host.live.state import Picture, ScoreState
from focalloop.host.live.telemetry import Telemetry
from focalloop.host.live.truths import Truth, Truths
from focalloop.host.live.viewers import Viewers
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    initial_reconstruction,
)

_AWAY_S = 0.5
"""Pause before the next attempt to rebuild a window where the networks were away."""

if TYPE_CHECKING:
    from focalloop.host.live.adaptive_loop import AdaptiveLoop
    from focalloop.host.live.radio_link import Carried, OnAir, RadioLink


@dataclass(eq=False)
class _Job:
    """One window on its way through the threads."""

    window: Window
    step: int
    correction: BoardCorrection
    drawn: bool
    """Whether it becomes a picture; if not, it only tells the adaptive map of the scene."""
    truth: Future[Truth] = field(default_factory=Future)
    """Every `step`-th slot of the scene."""
    whole_truth: Future[Truth] | None = None
    """Every slot of the scene, for a window that is scored."""
    on_air: OnAir | None = None
    """The window within the radio link, where there is one."""
    carried: Carried | None = None
    """The window behind it."""

    @cached_property
    def corrected(self) -> tuple[Float32, RatioMap]:
        """Its reads and the map under which to reconstruct them; the first use corrects them."""
        return self.correction(self.window.reads, self.window.ratio_map)


class WindowPipeline:
    """Takes the windows of a board from `hand_over` to `picture`.

    Parameters
    ----------
    telemetry : Telemetry
        Counts and times the windows.
    deployment : Deployment
        Has the network that reconstructs them.
    viewers : Viewers
        Who looks, and at what.
    comparison : Comparison
        Has the bundle that rebuilds them beside it.
    networks : Networks
        Where windows are rebuilt.
    radio : RadioLink or None
        Carries every window before it is reconstructed.
    truths : Truths
        Knows the scenes of the windows.
    adaptive : AdaptiveLoop or None, optional
        Chooses how later windows are read from those that were reconstructed.

    Attributes
    ----------
    picture : Picture or None
        The newest one.
    works : dict of str to callable
        What each thread does until `close`, by the thread's name.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        deployment: Deployment,
        viewers: Viewers,
        comparison: Comparison,
        networks: Networks,
        radio: RadioLink | None,
        truths: Truths,
        adaptive: AdaptiveLoop | None = None,
    ) -> None:
        self.picture: Picture | None = None
        self._telemetry, self._deployment, self._viewers = telemetry, deployment, viewers
        self._comparison, self._networks = comparison, networks
        self._truths, self._adaptive = truths, adaptive
        self._scorer, self._away = Scorer(), False
        self._last = LastFrame()
        self._sending: Mailbox[_Job] = Mailbox()
        self._receiving: Mailbox[_Job] = Mailbox()
        self._jobs: Mailbox[_Job] = Mailbox()
        self._first = self._jobs if radio is None else self._sending
        self.works: dict[str, Callable[[], None]] = {
            "reconstruction": self._run_reconstruction,
            "score": self._scorer.run,
        }
        if radio is not None:
            self.works["transmitter"] = partial(self._run_transmitter, radio)
            self.works["receiver"] = partial(self._run_receiver, radio)
        if adaptive is not None:
            self.works["adaptive"] = adaptive.run

    def hand_over(
        self, board: Board, window: Window, correction: BoardCorrection, *, recorded: bool = False
    ) -> None:
        """Take a window that has just arrived, and fetch its scene meanwhile.

        While nobody looks, most windows are only received or, where a map follows the scene,
        rebuilt for it alone.
        """
        self._telemetry.received(window)
        adaptive = self._adaptive
        if adaptive is not None:
            adaptive.received(window)
        drawn = self._viewers.is_due()
        if not drawn and (adaptive is None or not adaptive.active):
            return
        job = _Job(window, self._viewers.step, correction, drawn)
        if drawn and self._scorer.is_due(self._setup_of(window, correction)):
            job.whole_truth = Future()
        self._put(self._first, job)
        if not drawn:
            return
        truth_of = partial(self._truths.of, board, window, recorded=recorded)
        job.truth.set_result(truth_of(job.step))
        if job.whole_truth is not None:
            job.whole_truth.set_result(truth_of(1))

    def scores(self, setup: int) -> ScoreState | None:
        """Return the newest score if it is of this setup."""
        return self._scorer.newest(setup)

    def close(self) -> None:
        """End all `works`."""
        for mailbox in (self._sending, self._receiving, self._jobs):
            mailbox.close()
        self._networks.close()
        self._scorer.close()
        if self._adaptive is not None:
            self._adaptive.close()

    def _put(self, mailbox: Mailbox[_Job], job: _Job) -> None:
        if mailbox.put(job) is not None:
            self._telemetry.dropped()

    def _setup_of(self, window: Window, correction: BoardCorrection) -> int:
        """Return the number of a window's map and of what reconstructs under it now."""
        selector = self._deployment.selector
        by = ""
        if selector is not None:
            noise = correction.noise_of_reads()
            by = selector.name_for(correction.map_for(window.ratio_map), noise)
        return self._setup(window, by)

    def _run_transmitter(self, radio: RadioLink) -> None:
        while (job := self._sending.take()) is not None:
            job.on_air = radio.transmit(job.window, job.corrected[0])
            self._put(self._receiving, job)
            self._receiving.wait_until_empty()  # a window that is dropped costs nothing here

    def _run_receiver(self, radio: RadioLink) -> None:
        while (job := self._receiving.take()) is not None:
            assert job.on_air is not None
            job.carried = radio.receive(job.on_air)
            self._put(self._jobs, job)
            self._jobs.wait_until_empty()

    def _run_reconstruction(self) -> None:
        selector = self._deployment.load()
        while self._jobs.wait_for_item():
            try:
                with self._networks.turn():
                    job = self._jobs.take()  # the newest by now
                    if job is None:
                        return
                    rebuilt = self._rebuild(job, selector)
            except NetworksAwayError as error:
                self._be_away(error)
            else:
                self._away = False
                if rebuilt is not None:
                    self._show(job, *rebuilt)

    def _be_away(self, error: NetworksAwayError) -> None:
        if not self._away:
            self._telemetry.log(sentence(error), "warning")
        self._away = True
        time.sleep(_AWAY_S)

    def _rebuild(
        self, job: _Job, selector: NetworkSelector
    ) -> tuple[Reconstruction, Float32, Beside | None] | None:
        """Return a window by the selected network, without one, and by the second bundle.

        None if it is not drawn.
        """
        window, (reads, ratio_map) = job.window, job.corrected
        received, lost, _ = job.carried or (None, None, None)
        started_s = time.monotonic()
        noise, place = job.correction.noise_of_reads(), Place.of(window)
        if lost is not None:
            delivered, made = None, Reconstruction(lost, selector.name_for(ratio_map, noise), None)
        else:
            delivered = reads if received is None else received
            made = selector.reconstruct(delivered, ratio_map, noise, (self._last, place))
        if self._adaptive is not None:
            self._adaptive.rebuilt(window, None if made.by == NETWORK_FREE else made.video)
        setup = self._setup(window, made.by)
        self._telemetry.reconstructed(window.number, setup, time.monotonic() - started_s)
        if made.problem is not None:
            self._telemetry.log(
                f"{sentence(made.problem)} Windows are now reconstructed without a network.",
                "warning",
            )
        if not job.drawn:
            return None
        if window.grid is None:
            initial = self._networks.network_free(reads, ratio_map)
        else:  # the map of the next window is another one, and finding neighbours takes longer
            initial = initial_reconstruction(
                reads, ratio_map.levels, ratio_map.slots, ratio_map.aperture
            )
        return made, initial, self._comparison.rebuild(delivered, ratio_map, noise, place, made)

    def _show(
        self, job: _Job, made: Reconstruction, initial: Float32, beside: Beside | None
    ) -> None:
        window, setup = job.window, self._setup(job.window, made.by)
        other = None if beside is None else beside.video
        self.picture = Picture(
            window=window.number,
            map_hash=window.ratio_map.hash(),
            setup=setup,
            slots=range(0, window.ratio_map.slots, job.step),
            truth=awaited(job.truth),
            initial=_bytes(initial[:: job.step]),
            final=_bytes(made.video[:: job.step]),
            readout=window.codes,
            beside_setup=0 if beside is None else self._setup(window, beside.by),
            beside=None if other is None else _bytes(other[:: job.step]),
            grid=None if window.grid is None else window.grid[0].grid(window.grid[1]),
        )
        self._viewers.call()
        if job.whole_truth is not None:
            sent = None if job.carried is None else job.carried[2]
            self._scorer.put(
                Unscored(window.number, setup, initial, made.video, job.whole_truth, sent, beside)
            )

    def _setup(self, window: Window, by: str) -> int:
        return self._deployment.setup_of(window.ratio_map, by, under_grid=window.grid is not None)


def _bytes(video: Float32) -> NDArray[np.uint8]:
    """Return a video in [0, 1] as bytes, rounded and clipped."""
    scaled = np.multiply(video, np.float32(255), dtype=np.float32)
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
