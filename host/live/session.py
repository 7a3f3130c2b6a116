"""The live session: windows of a board, reconstructed as they arrive, the newest first.

Several threads share the work, and none waits for a slower one. The *board* thread opens the board,
streams its windows and finds the scene of each one where it is known; between two streams
it runs the tasks of `BoardTasks`, such as a calibration. `WindowPipeline` has all others. The
methods of `LiveSession` may be called from any thread.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from threadpoolctl import threadpool_limits

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.board.client import Board
from focalloop.host.board.waiting import open_when_there
from focalloop.host.errors import BoardLostError, UnknownMapError, sentence
from focalloop.host.live.applied_calibration import BoardMemory
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.board_report import board_identity, link_state
from focalloop.host.live.board_source import BoardSource
from focalloop.host.live.board_tasks import BoardTasks
from focalloop.host.live.calibration_state import CalibrationState
from focalloop.host.live.calibrator import Calibrator
from focalloop.host.live.comparison import Comparison
from focalloop.host.live.deployment import Deployment
from focalloop.host.live.networks import Networks, OwnNetworks
from focalloop.host.live.recording_desk import RecordingDesk
from focalloop.host.live.state import (
    BundleState,
    LinkState,
    LiveState,
    Phase,
    Picture,
    map_state,
)
from focalloop.host.live.telemetry import Telemetry
from focalloop.host.live.truths import Truths
from focalloop.host.live.viewers import UNWATCHED_PERIOD_S, Viewers
from focalloop.host.live.window_pipeline import WindowPipeline
from focalloop.host.recording.store import RecordingStore

if TYPE_CHECKING:
    from focalloop.host.live.adaptive_loop import AdaptiveLoop
    from focalloop.host.live.radio_link import RadioLink

CREDIT = 2
"""Windows in transit or waiting: one beside that being reconstructed, so that none ages in a queue.
Where the host is too slow, the board skips windows."""

RECONNECT_TIMEOUT_S = 5.0
"""Time for a vanished board to come back before it, or its emulator, is started again."""

_RETRY_S = 1.0
_MAX_RETRY_S = 15.0
"""Between two attempts to find the board of an unattended session, which may be away for days."""

_log = logging.getLogger("focalloop.live")


class LiveSession:
    """A board, its map, the network that reconstructs its windows, and the newest picture.

    The session runs while its ``with`` block runs. If the board vanishes, it is opened again as
    soon as it is back, and gets the same map.

    Parameters
    ----------
    source : BoardSource
        Where the board comes from.
    bundle : str or None, optional
        Name or path, as for `NetworkSelector`.
    ratio_map : RatioMap or None, optional
        Map to begin with; by default that of the bundle, or a tile of two measurements per pixel.
    scene, profile, footage : str, optional
        Names of the board's scene and noise profile, and how its clip is played, for the state.
    radio : RadioLink or None, optional
        Carries every window before it is reconstructed.
    adaptive : AdaptiveLoop or None, optional
        Brings the map to begin with, and lets it follow the scene; not beside a radio link.
    correct : callable, optional
        Returns what corrects the reads of a board, from its answer to HELLO; by default nothing.
    recordings : RecordingStore, optional
        Where recordings of the session are kept; by default nowhere.
    unattended : bool, optional
        Wait for a board however long it is away, also at first, and rebuild nothing while nobody
        looks.
    board_memory : BoardMemory, optional
        Keeps calibrations that are applied; by default they last as long as the session.
    networks : Networks, optional
        Where windows are rebuilt; by default in this process.

    Attributes
    ----------
    failure : FocalloopError or None
        Why the session ended before its first picture.
    calibrator : Calibrator
        Calibrates its board.
    radio : RadioLink or None
        As given.
    recordings : RecordingDesk or None
        Records the windows, if there is a place to keep them.
    """

    def __init__(
        self,
        source: BoardSource,
        *,
        bundle: str | None = None,
        ratio_map: RatioMap | None = None,
        scene: str = "",
        profile: str = "",
        footage: str = "",
        radio: RadioLink | None = None,
        adaptive: AdaptiveLoop | None = None,
        correct: Callable[[HelloAnswer], BoardCorrection] = lambda _: BoardCorrection(),
        recordings: RecordingStore | None = None,
        unattended: bool = False,
        board_memory: BoardMemory | None = None,
        networks: Networks | None = None,
    ) -> None:
        self.failure: FocalloopError | None = None
        self.radio, self._adaptive = radio, adaptive
        self._source, self._unattended = source, unattended
        self._correct, self._correction = correct, BoardCorrection()
        self._scene, self._profile, self._footage = scene, profile, footage
        self._telemetry = Telemetry()
        self.recordings: RecordingDesk | None = None
        if recordings is not None:
            self.recordings = RecordingDesk(recordings, self._telemetry.log)
            self._telemetry.told = self.recordings.event
        # Where the ends of a link work beside it, a second thread would only take turns with them.
        networks = networks or OwnNetworks(threads=2 if radio is None else 1)
        self._deployment = Deployment(self._telemetry, bundle, ratio_map, networks, adaptive)
        self._tasks = BoardTasks()
        self._board: Board | None = None
        tasks, telemetry = self._tasks, self._telemetry
        self.calibrator = Calibrator(tasks, telemetry, lambda: self._board, board_memory)
        self._viewers = Viewers(math.inf if unattended else UNWATCHED_PERIOD_S)
        self._truths = Truths(source.open_clip)
        self._comparison = Comparison(self._telemetry, self._deployment, self._viewers, networks)
        self._pipeline = WindowPipeline(
            self._telemetry,
            self._deployment,
            self._viewers,
            self._comparison,
            networks,
            radio,
            self._truths,
            adaptive,
        )
        self._ending = threading.Event()
        works = {"board": self._run_board, **self._pipeline.works}
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"focalloop-{name}")
            for name, work in works.items()
        ]

    def __enter__(self) -> Self:
        """Start the session's threads."""
        # After each product a second thread of the BLAS spins for milliseconds: for small ones,
        # window after window, it would take a core from the reconstruction.
        self._blas = threadpool_limits(1, user_api="blas")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the stream, the board's source and the threads."""
        self._end()
        for thread in self._threads:
            thread.join()
        self._blas.restore_original_limits()
        self._truths.close()
        if self.recordings is not None:
            self.recordings.close()

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map that the board runs, at rest if it is adaptive; None before the first upload."""
        return self._deployment.ratio_map

    @property
    def adaptive_map(self) -> AdaptiveMap | None:
        """Adaptive map that the board runs, if it runs one."""
        return self._deployment.adaptive_map

    def picture(self) -> Picture | None:
        """Return the newest picture."""
        return self._pipeline.picture

    def subscribe(self, called: Callable[[], None]) -> Callable[[], None]:
        """Call a function in the reconstruction thread at each new picture, until unsubscribed.

        Returns
        -------
        unsubscribe : callable
            Takes no argument; ends the calls.
        """
        return self._viewers.subscribe(called)

    def want(self, viewer: object, step: int | None, *, beside: bool = False) -> None:
        """Ask for every `step`-th slot of the next windows for a viewer; None withdraws that.

        With `beside`, it wants them rebuilt by the second bundle too, if one is chosen.
        """
        self._viewers.want(viewer, step, beside=beside)

    def drawn(self, window: int) -> None:
        """Record that a viewer has just put a window on its screen."""
        self._telemetry.drawn(window)

    def bundles(self) -> list[BundleState]:
        """Return everything that can reconstruct; an empty list while the network is loading."""
        return self._deployment.bundles()

    def select(self, name: str) -> None:
        """Upload the map of a bundle and reconstruct with its network.

        Returns once both are in use. ``network-free`` drops the network and keeps the map.

        Raises
        ------
        BundleError, ReconstructError, RatioMapError, BoardError, BoardLostError
            If the bundle cannot be used or the board refuses its map; nothing has changed then.
        """
        self._deployment.select(self._board, name)

    def compare(self, name: str | None) -> None:
        """Rebuild the same windows by a second bundle too, as `Comparison.choose`; None ends it."""
        self._comparison.choose(name)

    def upload(self, ratio_map: RatioMap, based_on: str | None = None) -> None:
        """Upload a map, as `Deployment.upload` does; returns once the board runs it.

        `NetworkSelector` decides which network reconstructs its windows.
        """
        self._deployment.upload(self._board, ratio_map, based_on)

    def back(self) -> None:
        """Upload the map again that the board ran before the last upload; raises as that does."""
        self._deployment.back(self._board)

    def keep(self) -> None:
        """Give up the map that `back` would upload."""
        self._deployment.keep()

    def rest(self) -> None:
        """End what is recorded and calibrated, and go back to the map and bundle to begin with.

        A board that is away gets the map when it is back.

        Raises
        ------
        BundleError, BoardError, BoardLostError
            The board has not got its map, or the bundle cannot be used any more.
        """
        self.calibrator.close()
        if self.recordings is not None:
            self.recordings.close()
        self._deployment.rest(self._board)

    def follow_scene(self) -> None:
        """Run the adaptive map of the session again; returns once the board does.

        Raises
        ------
        UnknownMapError
            The session was started without one.
        RatioMapError, BoardError, BoardLostError
            As for `upload`.
        """
        if self._adaptive is None:
            raise UnknownMapError(
                "this session has no adaptive map: start it with focalloop live --map adaptive"
            )
        self._deployment.follow_scene(self._board, self._adaptive)

    def lend(self, use: Callable[[str], None]) -> Future[None]:
        """Close the board, let `use` have its port in the board thread, and open the board again.

        Parameters
        ----------
        use : callable
            Takes the URL of the port, and returns when it has done with it.

        Returns
        -------
        Future
            Done when `use` is, or failed where there is no board.
        """

        def give(board: Board) -> None:
            board.close()
            self._forget_board()
            self._telemetry.enter(Phase.LOST, "its line is lent")
            use(board.url)

        return self._tasks.submit(give)

    def state(self) -> LiveState:
        """Return a snapshot of the session."""
        telemetry, board, calibrated = self._telemetry, self._board, self.calibrator.result
        phase = telemetry.phase
        if phase is Phase.STREAMING and board is not None and board.state != "connected":
            phase = Phase.STOPPED if self._ending.is_set() else Phase.LOST
        selector, ratio_map = self._deployment.selector, self._deployment.ratio_map
        bundle = reconstructed_by = "" if selector is None else selector.name
        noise_note = ""
        noise = self._correction.noise_of_reads()
        corrected_map = None if ratio_map is None else self._correction.map_for(ratio_map)
        if selector is not None and corrected_map is not None:
            reconstructed_by = selector.name_for(corrected_map, noise)
            noise_note = selector.noise_note(corrected_map, noise)
        setup = 0 if ratio_map is None else self._deployment.setup_of(ratio_map, reconstructed_by)
        return LiveState(
            phase=phase,
            activity=telemetry.activity,
            progress=telemetry.progress,
            scene=self._scene,
            footage=self._footage,
            profile=self._profile,
            bundle=bundle,
            corrected_by=self._correction.by,
            reconstructed_by=reconstructed_by,
            noise_note=noise_note,
            setup=setup,
            signal_electrons=self._correction.electrons(
                None if calibrated is None else calibrated.profile
            ),
            board=None if board is None else board_identity(board),
            map=None if ratio_map is None else map_state(self.adaptive_map or ratio_map),
            can_go_back=self._deployment.can_go_back,
            scores=self._pipeline.scores(setup),
            comparison=self._comparison.state(corrected_map, noise),
            radio=None if self.radio is None else self.radio.state(),
            adaptive=None if self._adaptive is None else self._adaptive.state(),
            link=LinkState() if board is None else link_state(board),
            speed=telemetry.speed(0 if board is None else board.stats.lost, setup),
            calibration=self._calibration_state(),
            recording=None if self.recordings is None else self.recordings.state(),
            disk=None if self.recordings is None else self.recordings.disk(),
            messages=telemetry.messages(),
        )

    def _calibration_state(self) -> CalibrationState:
        """Return the calibration, with what its noise costs the network that is in use."""
        state, offered = self.calibrator.state(), self.calibrator.offered
        if offered is None or state.applied:
            return state
        return replace(state, noise_note=self._deployment.noise_note(offered))

    def _end(self) -> None:
        self._ending.set()
        self.calibrator.close()
        self._tasks.close(BoardLostError("the session has ended"))
        board = self._board
        if board is not None:
            board.close()  # before its source, so that the stream ends in order
        self._source.stop()
        self._pipeline.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run the work of a thread; an error ends the session and becomes a message."""
        try:
            work()
        except FocalloopError as error:
            self.failure = self.failure or error
        except Exception as error:
            _log.exception("a thread of the live session failed")
            self.failure = self.failure or FocalloopError(f"the live session failed: {error}")
        if not self._ending.is_set():
            self._telemetry.log(str(self.failure), "error")
            self._end()
        self._telemetry.enter(Phase.STOPPED)

    # The board thread.

    def _run_board(self) -> None:
        retry_s, said = _RETRY_S, ""
        while not self._ending.is_set():
            try:
                self._telemetry.enter(Phase.STARTING, self._source.activity)
                url = self._source.start()
                self._truths.begin()
                while not self._ending.is_set():  # again each time that its line was lent
                    self._telemetry.enter(Phase.CONNECTING, f"opening {url}")
                    with self._open(url) as board:
                        retry_s, said = _RETRY_S, ""
                        self._stream(board)
            except FocalloopError as error:
                self._tasks.fail_all(error)
                if self._ending.is_set():
                    return
                if self._pipeline.picture is None and not self._unattended:
                    raise
                self._telemetry.enter(Phase.LOST, str(error))
                if str(error) != said:
                    self._telemetry.log(f"{sentence(error)} Trying to reconnect.", "error")
                    said = str(error)
                self._source.stop()
                self._ending.wait(retry_s)
                retry_s = min(2 * retry_s, _MAX_RETRY_S) if self._unattended else _RETRY_S
            finally:
                self._forget_board()

    def _forget_board(self) -> None:
        self._board = None
        if self.recordings is not None:
            self.recordings.detach()

    def _correction_of(self, board: Board) -> BoardCorrection:
        found = self.calibrator.applied_to(board.info) or self._correct(board.info)
        if found.said and found.said != self._correction.said:
            self._telemetry.log(found.said, "info" if found.by else "warning")
        return found

    def _open(self, url: str) -> Board:
        return open_when_there(
            lambda: Board.open(url, reconnect_timeout_s=RECONNECT_TIMEOUT_S, on_event=self._event),
            0.0 if self._pipeline.picture is not None else self._source.wait_s,
            self._source.on_wait,
            self._ending.wait,
        )

    def _stream(self, board: Board) -> None:
        credit = board.info.held_windows if self._unattended else CREDIT  # a recording lacks none
        while not self._ending.is_set() and board.state != "closed":
            self._correction = self._correction_of(board)  # a task may have applied a calibration
            self._board = board
            self._deployment.restore(board)  # a task may have left another map
            if self.recordings is not None:
                self.recordings.attach(board, self._correction, self._correction.noise)
            with closing(board.stream(credit)) as windows:
                for window in windows:
                    recorded = self.recordings is not None and self.recordings.window(window)
                    self._pipeline.hand_over(board, window, self._correction, recorded=recorded)
                    if self._ending.is_set() or self._tasks.pending:
                        break
            with self._deployment.locked():
                self._tasks.run_all(board)

    def _event(self, text: str) -> None:
        self._telemetry.log(sentence(text), "warning")
