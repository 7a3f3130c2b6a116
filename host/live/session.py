"""The live session: windows from a board, rebuilt as they come, the newest first.

Three threads share the work, and none ever waits for a slower one. The *board* thread streams
windows and fetches the scene behind them where the board knows it; the *rebuild* thread
reconstructs the newest one; the *score* thread compares one window a second with the truth. What
is too old is passed over and counted, never queued.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.board.window import Window
from focalloop.host.errors import BoardError, BoardLostError
from focalloop.host.live.board_source import BoardSource
from focalloop.host.live.calibrator import Calibrator
from focalloop.host.live.errands import Errands
from focalloop.host.live.ledger import Ledger
from focalloop.host.live.newest import Newest
from focalloop.host.live.program import Program
from focalloop.host.live.rebuilder import Rebuilder
from focalloop.host.live.report import board_state, link_state, sentence
from focalloop.host.live.scoring import score
from focalloop.host.live.state import (
    BundleState,
    LinkState,
    LiveState,
    Phase,
    Picture,
    ScoreState,
    map_state,
)
from focalloop.host.reconstruction.reconstruct import Float32, initial_reconstruction

DRAWN_STEP = 4
"""Slots from one drawn picture to the next where no viewer asks for more: 60 of 240 a second."""

SCORE_PERIOD_S = 1.0

CREDIT = 2
"""Windows on their way or waiting: one more than is worked on, so that none grows old in a queue.
What the host is too slow for, the board does not read out."""

RECONNECT_TIMEOUT_S = 5.0
"""How long a vanished board is waited for before everything, its emulator too, starts anew."""

_RETRY_S = 1.0
_TRUTH_TIMEOUT_S = 1.0
_log = logging.getLogger("focalloop.live")

Truth = NDArray[np.uint8] | None


@dataclass(eq=False)
class _Job:
    """One window on its way through the session."""

    window: Window
    step: int
    truth: Future[Truth] = field(default_factory=Future)
    """Every `step`-th slot of the scene."""
    whole_truth: Future[Truth] | None = None
    """Every slot of it, for a window that is scored."""


class LiveSession:
    """A board, its map, what rebuilds its windows, and the newest picture of them.

    Starts with the ``with`` block and ends with it. If the board vanishes, it is reached again as
    soon as it is back, and gets its map again.

    Parameters
    ----------
    source : BoardSource
        Where the board comes from.
    bundle : str or None, optional
        As for `Rebuilder`.
    ratio_map : RatioMap or None, optional
        Map to begin with; by default the bundle's own, or a tile of two measurements a pixel.
    scene, profile : str, optional
        What is known of the board's scene and noise, for the state.

    Attributes
    ----------
    failure : FocalloopError or None
        Why the session ended before its first picture.
    calibrator : Calibrator
        The calibration of its board.
    """

    def __init__(
        self,
        source: BoardSource,
        *,
        bundle: str | None = None,
        ratio_map: RatioMap | None = None,
        scene: str = "",
        profile: str = "",
    ) -> None:
        self.failure: FocalloopError | None = None
        self._source = source
        self._scene, self._profile = scene, profile
        self._ledger = Ledger()
        self._program = Program(self._ledger, bundle, ratio_map)
        self._errands = Errands()
        self._board: Board | None = None
        self.calibrator = Calibrator(self._errands, self._ledger, lambda: self._board)
        self._picture: Picture | None = None
        self._scores: ScoreState | None = None
        self._score_due_s = 0.0
        self._subscribers: list[Callable[[], None]] = []
        self._wants: dict[int, int] = {}
        self._jobs: Newest[_Job] = Newest()
        self._scoring: Newest[tuple[_Job, Float32, Float32]] = Newest()
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"focalloop-{name}")
            for name, work in (
                ("board", self._run_board),
                ("rebuild", self._run_rebuild),
                ("score", self._run_score),
            )
        ]

    def __enter__(self) -> Self:
        """Start; everything happens in the session's threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the stream, the board's source and the threads."""
        self._end()
        for thread in self._threads:
            thread.join()

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map the board runs; None before the first upload."""
        return self._program.ratio_map

    def picture(self) -> Picture | None:
        """Return the newest picture."""
        return self._picture

    def subscribe(self, called: Callable[[], None]) -> Callable[[], None]:
        """Have `called` run, in a thread of the session, at each new picture; returns its end."""
        self._subscribers.append(called)
        return lambda: self._subscribers.remove(called)

    def want(self, viewer: object, step: int | None) -> None:
        """Ask for every `step`-th slot of the coming windows for a viewer; None takes it back."""
        if step is None:
            self._wants.pop(id(viewer), None)
        else:
            self._wants[id(viewer)] = step

    def drawn(self, window: int) -> None:
        """Note that a viewer has just put a window on the screen."""
        self._ledger.drawn(window)

    def bundles(self) -> list[BundleState]:
        """Return everything that can reconstruct; nothing while the session is starting."""
        return self._program.offer()

    def select(self, name: str) -> None:
        """Run the named bundle's map and reconstruct with its network; returns when it runs.

        ``network-free`` leaves the network out and the map as it is.

        Raises
        ------
        BundleError, ReconstructError, RatioMapError, BoardError, BoardLostError
            If that cannot be; map and network stay what they were.
        """
        self._program.select(self._board, name)

    def upload(self, ratio_map: RatioMap) -> None:
        """Bring a map onto the board and run it; returns when it runs.

        Windows are reconstructed by the present bundle if it is its map, else by a network of any
        map, or without one (`Rebuilder`).

        Raises
        ------
        RatioMapError
            If the board cannot run it.
        BoardError, BoardLostError
            If the board refused it or is not there; it keeps the old map.
        """
        self._program.upload(self._board, ratio_map)

    def state(self) -> LiveState:
        """Return how the session stands now."""
        ledger, board = self._ledger, self._board
        phase = ledger.phase
        if phase is Phase.STREAMING and board is not None and board.state == "lost":
            phase = Phase.LOST
        rebuilder, ratio_map = self._program.rebuilder, self._program.ratio_map
        bundle = rebuilt_by = "" if rebuilder is None else rebuilder.name
        if rebuilder is not None and ratio_map is not None:
            rebuilt_by = rebuilder.name_for(ratio_map)
        return LiveState(
            phase=phase,
            activity=ledger.activity,
            progress=ledger.progress,
            scene=self._scene,
            profile="calibrated" if self.calibrator.state().applied else self._profile,
            bundle=bundle,
            rebuilt_by=rebuilt_by,
            board=None if board is None else board_state(board),
            map=None if ratio_map is None else map_state(ratio_map),
            scores=self._scores,
            link=LinkState() if board is None else link_state(board),
            speed=ledger.speed(0 if board is None else board.stats.lost),
            calibration=self.calibrator.state(),
            messages=ledger.messages(),
        )

    def _end(self) -> None:
        self._ending.set()
        self.calibrator.cancel()
        self._errands.close(BoardLostError("the session has ended"))
        board = self._board
        if board is not None:
            board.close()  # first, so that the stream ends in order while the board is there
        self._source.stop()
        self._jobs.close()
        self._scoring.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work; whatever ends it too early ends the session with a sentence."""
        try:
            work()
        except FocalloopError as error:
            self.failure = self.failure or error
        except Exception as error:
            _log.exception("a thread of the live session failed")
            self.failure = self.failure or FocalloopError(f"the live session failed: {error}")
        if not self._ending.is_set():
            self._ledger.tell(str(self.failure), "error")
            self._end()
        self._ledger.enter(Phase.STOPPED)

    # The board thread.

    def _run_board(self) -> None:
        while not self._ending.is_set():
            try:
                self._ledger.enter(Phase.STARTING, self._source.activity)
                url = self._source.start()
                self._ledger.enter(Phase.CONNECTING, f"opening {url}")
                with Board.open(
                    url, reconnect_timeout_s=RECONNECT_TIMEOUT_S, on_event=self._event
                ) as board:
                    self._board = board
                    self.calibrator.begin(board)
                    self._stream(board)
            except FocalloopError as error:
                self._errands.drop(error)
                if self._ending.is_set():
                    return
                if self._picture is None:
                    raise
                self._ledger.enter(Phase.LOST)
                self._ledger.tell(f"{sentence(error)} Trying to reach it again.", "error")
                self._source.stop()
                self._ending.wait(_RETRY_S)
            finally:
                self._board = None

    def _stream(self, board: Board) -> None:
        while not self._ending.is_set():
            self._program.begin(board)  # an errand may have left another map on the board
            with closing(board.stream(CREDIT)) as windows:
                for window in windows:
                    self._pass_on(board, window)
                    if self._ending.is_set() or self._errands.waiting:
                        break
            with self._program.unchanged():
                self._errands.run(board)

    def _pass_on(self, board: Board, window: Window) -> None:
        """Hand a window to the rebuild thread, then fetch the scene behind it meanwhile."""
        self._ledger.received(window)
        job = _Job(window, min([*self._wants.values(), DRAWN_STEP]))
        if time.monotonic() >= self._score_due_s:
            self._score_due_s = time.monotonic() + SCORE_PERIOD_S
            job.whole_truth = Future()
        if self._jobs.put(job) is not None:
            self._ledger.passed_over()
        job.truth.set_result(_truth(board, window.number, job.step))
        if job.whole_truth is not None:
            job.whole_truth.set_result(_truth(board, window.number, 1))

    def _event(self, text: str) -> None:
        self._ledger.tell(sentence(text), "warning")

    # The rebuild thread.

    def _run_rebuild(self) -> None:
        rebuilder = self._program.load()
        while (job := self._jobs.take()) is not None:
            self._rebuild(job, rebuilder)

    def _rebuild(self, job: _Job, rebuilder: Rebuilder) -> None:
        window, ratio_map = job.window, job.window.ratio_map
        started_s = time.monotonic()
        video, problem = rebuilder(window)
        self._ledger.rebuilt(time.monotonic() - started_s)
        if problem is not None:
            self._ledger.tell(f"{sentence(problem)} Windows come without a network now.", "warning")
        initial = initial_reconstruction(
            window.reads, ratio_map.levels, ratio_map.slots, ratio_map.aperture
        )
        self._picture = Picture(
            window=window.number,
            map_hash=ratio_map.hash(),
            slots=range(0, ratio_map.slots, job.step),
            truth=_result(job.truth),
            initial=_bytes(initial[:: job.step]),
            final=_bytes(video[:: job.step]),
            readout=window.codes,
        )
        for called in list(self._subscribers):
            called()
        if job.whole_truth is not None:
            self._scoring.put((job, initial, video))

    # The score thread.

    def _run_score(self) -> None:
        while (item := self._scoring.take()) is not None:
            job, initial, final = item
            truth = None if job.whole_truth is None else _result(job.whole_truth)
            if truth is None:
                self._scores = None
                continue
            self._scores = score(job.window.number, initial, final, truth)


def _truth(board: Board, window: int, step: int) -> Truth:
    """Scene behind a window, where the board knows it and still holds it."""
    if not board.info.features & Feature.SCENE:
        return None
    with suppress(BoardError, BoardLostError):
        return board.scene(window, 0, step)
    return None


def _result(truth: Future[Truth]) -> Truth:
    with suppress(TimeoutError):
        return truth.result(_TRUTH_TIMEOUT_S)
    return None


def _bytes(video: Float32) -> NDArray[np.uint8]:
    """Video in [0, 1] as bytes, rounded; what lies beyond is clipped."""
    scaled = np.multiply(video, np.float32(255), dtype=np.float32)
    return np.clip(np.rint(scaled, out=scaled), 0, 255, out=scaled).astype(np.uint8)
