"""A lab as it runs: its boards with their workers, its leases, and what follows from their ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import WriteError, written_whole
from focalloop.host.lab.forwarding import WorkerGoneError, WorkerRefusedError, ask
from focalloop.host.lab.leases import Lease, Leases, NoLeaseError, UnknownBoardError
from focalloop.host.lab.pool_process import PoolProcess
from focalloop.host.lab.settings import BoardSettings, LabSettings
from focalloop.host.lab.workers import Workers
from focalloop.host.recording.recorder import RecorderState

_REST_TIMEOUT_S = 15.0
_TICK_S = 0.2
"""How often leases are looked at that end by themselves; an end cuts its holder within this."""
_STATE_AGE_S = 0.25
_log = logging.getLogger("focalloop.lab")


@dataclass(frozen=True)
class LeaseEntry:
    """A lease, or a place in the queue, as everybody may see it."""

    id: str
    name: str
    board: str | None
    """None while it waits."""
    wanted: str | None
    """Board that was asked for by name."""
    tags: tuple[str, ...]
    seconds: float
    remaining_s: float
    """Until it ends; while it waits, until it leaves the queue unless it is asked after."""
    since_unix_s: float
    reason: str
    """Why it was taken over from another; empty if it was not."""
    place: int
    """In the queue, from 1; 0 once a board is lent."""


@dataclass(frozen=True)
class BoardEntry:
    """A board of the lab."""

    name: str
    tags: tuple[str, ...]
    phase: str
    """As in the state of its session; ``absent`` while its worker does not answer."""
    activity: str
    title: str
    """What the board calls itself; empty before it was found."""
    serial: str
    simulated: bool
    map: str
    """Hash of the map that it runs; empty before there is one."""
    windows_received: int
    windows_lost: int
    received_per_s: float
    recording: RecorderState | None
    """Of the present or last recording."""
    lease: LeaseEntry | None
    restarts: int
    """Times that its worker has ended by itself."""


class Lab:
    """The boards of a lab and who has them.

    All methods run in one event loop.

    Parameters
    ----------
    load : callable
        Reads the settings; raises LabSettingsError.
    folder : Path
        Where the state of the lab is kept.
    command : callable
        As for `Workers`.
    pool_command : callable
        As for `PoolProcess`.
    """

    def __init__(
        self,
        load: Callable[[], LabSettings],
        folder: Path,
        command: Callable[[BoardSettings], Sequence[str]],
        pool_command: Callable[[int], Sequence[str]],
    ) -> None:
        self._load = load
        self.settings = load()
        self.workers = Workers(folder, command, self._resume)
        self.pool = PoolProcess(pool_command)
        self.leases = Leases(lambda: self.settings, self._on_end)
        self._file = folder / "leases.json"
        self._saving = asyncio.Lock()
        self._under: defaultdict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._rests: dict[str, asyncio.Task[None]] = {}
        self._resuming: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._states: dict[str, tuple[float, int, dict[str, Any] | None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run workers and watch leases while the block lasts; in the end all boards rest."""
        self._loop = asyncio.get_running_loop()
        with suppress(OSError):
            self.leases.restore(self._file.read_text(encoding="utf-8"))
        await self.pool.set_count(self.settings.rebuilders)
        await self.workers.set_boards(self.settings.boards)
        for board in self.settings.boards:  # whose workers may have crashed with the last gateway
            self._resume(board)
        ticking = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ending = [ticking, *self._resuming.values()]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, *self._rests.values(), return_exceptions=True)
            await self.workers.stop()
            await self.pool.stop()
            self._file.unlink(missing_ok=True)

    async def reload(self) -> None:
        """Read the settings again, and start, stop and keep boards as they say.

        Raises
        ------
        LabSettingsError
            They cannot be used; everything stays as it was.
        """
        self.settings = await asyncio.to_thread(self._load)
        self.leases.tick()
        await self.pool.set_count(self.settings.rebuilders)
        await self.workers.set_boards(self.settings.boards)

    def reload_soon(self) -> None:
        """Reload in the loop of `running`, from a signal; what is wrong is logged."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_reload)

    def socket(self, board: str) -> Path:
        """Return the socket of a board's worker.

        Raises
        ------
        UnknownBoardError
            The lab has no such board.
        """
        if board not in self.settings.boards:
            names = ", ".join(self.settings.boards) or "none"
            raise UnknownBoardError(f"there is no board {board!r} here; there are: {names}")
        return self.workers.socket(board)

    async def state(self, board: str) -> dict[str, Any] | None:
        """Return the state of a board's session, which may be 0.25 s old; None without one."""
        now_s, restarts = time.monotonic(), self.workers.restarts.get(board, 0)
        asked_s, of_worker, state = self._states.get(board, (-1.0, -1, None))
        if now_s - asked_s > _STATE_AGE_S or of_worker != restarts:
            state = None
            with suppress(FocalloopError):
                state = await ask(self.socket(board), "GET", "/api/state", timeout_s=1.0)
            self._states[board] = now_s, restarts, state
        return state

    async def boards(self) -> list[BoardEntry]:
        """Return all boards."""
        settings = list(self.settings.boards.values())
        states = await asyncio.gather(*(self.state(board.name) for board in settings))
        return [self._entry(*each) for each in zip(settings, states, strict=True)]

    def lease_entry(self, lease: Lease) -> LeaseEntry:
        """Return what everybody may see of a lease."""
        queue = self.leases.queue
        return LeaseEntry(
            id=lease.id,
            name=lease.name,
            board=lease.board,
            wanted=lease.wanted,
            tags=lease.tags,
            seconds=lease.seconds,
            remaining_s=self.leases.remaining_s(lease),
            since_unix_s=lease.since_unix_s,
            reason=lease.reason,
            place=queue.index(lease) + 1 if lease in queue else 0,
        )

    @asynccontextmanager
    async def under_lease(self, token: str | None, board: str) -> AsyncIterator[Lease]:
        """Let the task of a request change a board, and cut it off when its lease ends.

        Raises
        ------
        NoLeaseError
            It has no lease of the board, or that has ended meanwhile.
        """
        self.leases.check(token, board)
        await self.rested(board)
        lease = self.leases.check(token, board)
        task = asyncio.current_task()
        assert task is not None
        self._under[lease.id].add(task)
        try:
            yield lease
        except asyncio.CancelledError:
            try:
                self.leases.check(token, board)
            except NoLeaseError as error:
                task.uncancel()
                raise error from None
            raise
        finally:
            self._states.pop(board, None)  # it may have changed
            self._under[lease.id].discard(task)
            if not self._under[lease.id]:
                del self._under[lease.id]

    async def record(self, board: str, recording: dict[str, Any] | None) -> None:
        """Keep how a board is recorded from now on, to go on with that after any crash.

        Parameters
        ----------
        board : str
            Name of the board.
        recording : dict or None
            Body of the request that has begun it; None if it is not recorded any more.
        """
        self.leases.record(board, recording)
        await self.save()

    async def wait_for_board(self, token: str, wait_s: float) -> None:
        """Return as soon as a lease has a board, at the latest after `wait_s`."""
        until_s = time.monotonic() + wait_s
        while self.leases.look(token).board is None and time.monotonic() < until_s:
            await asyncio.sleep(_TICK_S)

    async def rested(self, board: str) -> None:
        """Return as soon as what the last lease of a board has left is cleared away."""
        if board in self._rests:
            await asyncio.wait([self._rests[board]])

    async def save(self) -> None:
        """Keep the leases for a gateway that is started after this one has crashed."""
        async with self._saving:
            try:
                await asyncio.to_thread(_keep, self._file, self.leases.dump())
            except WriteError as error:
                _log.error("the leases are not kept over a crash: %s", error)

    def _entry(self, board: BoardSettings, state: dict[str, Any] | None) -> BoardEntry:
        lease, found = self.leases.of_board(board.name), state or {}
        identity, speed = found.get("board") or {}, found.get("speed") or {}
        recording = found.get("recording")
        return BoardEntry(
            name=board.name,
            tags=board.tags,
            phase=found.get("phase", "absent"),
            activity=found.get("activity", ""),
            title=identity.get("name", ""),
            serial=identity.get("serial", ""),
            simulated=identity.get("simulated", False),
            map=(found.get("map") or {}).get("hash", ""),
            windows_received=speed.get("windows_received", 0),
            windows_lost=speed.get("windows_lost", 0),
            received_per_s=speed.get("received_per_s", 0.0),
            recording=None if recording is None else RecorderState(**recording),
            lease=None if lease is None else self.lease_entry(lease),
            restarts=self.workers.restarts.get(board.name, 0),
        )

    def _begin_reload(self) -> None:
        async def reload() -> None:
            try:
                await self.reload()
            except FocalloopError as error:
                _log.error("the lab stays as it is: %s", error)

        self._reloading = asyncio.create_task(reload())

    async def _tick(self) -> None:
        known: object = None
        while True:
            try:
                self.leases.tick()
            except Exception:  # the others still have to end in time
                _log.exception("the leases could not be looked at")
            now = [self.leases.of_board(name) for name in self.settings.boards]
            if now != known:
                await self.save()
                known = now
            await asyncio.sleep(_TICK_S)

    def _on_end(self, lease: Lease) -> None:
        """Cut off what a lease has begun, and give its board the resting map."""
        board = lease.board
        assert board is not None
        _log.info("the lease %s of %s by %s has ended", lease.id, board, lease.name)
        for task in self._under.get(lease.id, ()):
            task.cancel()
        self._rests[board] = asyncio.create_task(self._rest(board))

    def _wish(self, board: str) -> dict[str, Any] | None:
        """Return how a board is to be recorded."""
        lease = self.leases.of_board(board)
        return None if lease is None else lease.recording

    def _resume(self, board: str) -> None:
        if self._wish(board) is not None:
            self._resuming[board] = asyncio.create_task(self._record_again(board))

    async def _record_again(self, board: str) -> None:
        """Begin the next recording as soon as the worker has found its board again."""
        while (wish := self._wish(board)) is not None:
            note = f"{wish.get('note', '')} (goes on after a crash of its worker)".strip()
            try:
                await ask(
                    self.workers.socket(board), "POST", "/api/recordings", {**wish, "note": note}
                )
            except WorkerRefusedError as error:
                if error.status == 409:  # the worker has not crashed, and records on
                    return
                if error.status != 503:
                    _log.error("%s is not recorded any more: %s", board, error)
                    return
            except WorkerGoneError:
                pass
            else:
                _log.warning("the recording of %s goes on in another file", board)
                return
            await asyncio.sleep(_TICK_S)

    async def _rest(self, board: str) -> None:
        try:
            await ask(self.workers.socket(board), "POST", "/lab/rest", timeout_s=_REST_TIMEOUT_S)
        except FocalloopError as error:
            level = logging.INFO if isinstance(error, WorkerGoneError) else logging.WARNING
            _log.log(level, "the board %s is not at rest yet: %s", board, error)
        finally:
            self.leases.rested(board)
            self.leases.tick()
            if self._rests.get(board) is asyncio.current_task():
                del self._rests[board]


def _keep(file: Path, leases: str) -> None:
    """Write the leases, whose tokens are for nobody else to read."""
    with written_whole(file) as partial:
        partial.touch(0o600)
        partial.write_text(leases, encoding="utf-8")
