"""The workers of a lab: started, taken over from a gateway that crashed, and started again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.lab.forwarding import WorkerGoneError, ask
from focalloop.host.lab.pauses import Pauses
from focalloop.host.lab.settings import BoardSettings
from focalloop.host.lab.unix_sockets import worker_socket
from focalloop.host.lab.worker import is_running

STOP_TIMEOUT_S = 20.0
"""Longest time for a worker to finish its recording and give the board its resting map."""

ASK_EVERY_S = 5.0
"""How often a worker is asked whether it is well."""

MAX_MISSED = 6
"""Answers in a row that it may owe, each for `focalloop.host.lab.forwarding.ASK_TIMEOUT_S`."""

_POLL_S = 0.1

_log = logging.getLogger("focalloop.lab")


class Workers:
    """One process per board, kept running.

    A worker is a session of its own, which no signal to the gateway reaches, and ends only when it
    is told to. All methods run in the gateway's event loop.

    Parameters
    ----------
    folder : Path
        Where sockets and locks of the workers are.
    command : callable
        Returns the command line of the worker of a board.
    on_restart : callable
        Takes the name of a board whose worker has crashed and is started again.
    """

    def __init__(
        self,
        folder: Path,
        command: Callable[[BoardSettings], Sequence[str]],
        on_restart: Callable[[str], None],
    ) -> None:
        self.folder, self._on_restart = folder, on_restart
        self._command = command
        self._settings: dict[str, BoardSettings] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts: dict[str, int] = {}

    def socket(self, board: str) -> Path:
        """Return the socket of a board's worker."""
        return worker_socket(self.folder, board)

    async def set_boards(self, boards: Mapping[str, BoardSettings]) -> None:
        """Run workers for these boards and no others; those that stay the same are left alone."""
        found = [path.stem for path in self.folder.glob("*.sock") if path.stem not in boards]
        changed = [name for name, board in self._settings.items() if boards.get(name) != board]
        await asyncio.gather(*(self._stop(name) for name in {*found, *changed}))
        for name, board in boards.items():
            if name not in self._keepers:
                self._settings[name] = board
                self.restarts.setdefault(name, 0)
                self._keepers[name] = asyncio.create_task(self._keep(board))

    async def stop(self) -> None:
        """Stop all workers; every board is then idle under its resting map."""
        await asyncio.gather(*(self._stop(name) for name in list(self._settings)))

    async def _keep(self, board: BoardSettings) -> None:
        """Start the worker of a board, or take over the one that runs, again and again."""
        pauses = Pauses()
        while True:
            began_s = time.monotonic()
            try:
                if not await self._adopted(board):
                    self._processes[board.name] = subprocess.Popen(
                        self._command(board),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        start_new_session=True,  # it outlives a gateway that crashes
                    )
                    if self.restarts[board.name]:
                        self._on_restart(board.name)
                await self._watch(board.name)
            except (FocalloopError, OSError) as error:
                _log.error("the worker of %s cannot be started: %s", board.name, error)
            process = self._processes.pop(board.name, None)
            code = "" if process is None else f" with exit code {process.wait()}"
            self.restarts[board.name] += 1
            pause_s = pauses.next_s(time.monotonic() - began_s)
            _log.error(
                "the worker of %s has ended%s; it is started again in %g s",
                board.name,
                code,
                pause_s,
            )
            await asyncio.sleep(pause_s)

    async def _adopted(self, board: BoardSettings) -> bool:
        """Take over a worker that runs for this board; stop one that has other settings."""
        while is_running(self.folder, board.name):
            with suppress(WorkerGoneError):  # it is starting
                identity = await ask(self.socket(board.name), "GET", "/lab/worker")
                if identity["settings"] == board.to_json():
                    _log.info("the worker of %s goes on, process %d", board.name, identity["pid"])
                    return True
                await self._end(board.name)
            await asyncio.sleep(_POLL_S)
        return False

    async def _watch(self, name: str) -> None:
        """Wait for the end of a worker, and kill one that answers no more."""
        process: int | None = None
        missed, asked_s = 0, time.monotonic()
        while self._is_alive(name):
            await asyncio.sleep(_POLL_S)
            if time.monotonic() - asked_s < ASK_EVERY_S:
                continue
            try:
                process = (await ask(self.socket(name), "GET", "/lab/worker"))["pid"]
                missed = 0
            except WorkerGoneError:
                missed += 1
            asked_s = time.monotonic()
            if process is not None and missed >= MAX_MISSED:
                _log.error("the worker of %s hangs: it is killed", name)
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _is_alive(self, name: str) -> bool:
        process = self._processes.get(name)
        return is_running(self.folder, name) if process is None else process.poll() is None

    async def _stop(self, name: str) -> None:
        """Stop keeping the worker of a board, and end it."""
        keeper = self._keepers.pop(name, None)
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        self._settings.pop(name, None)
        await self._end(name)

    async def _end(self, name: str) -> None:
        """End a worker in order; kill one that does not, if this gateway has started it."""
        process = self._processes.pop(name, None)
        with suppress(WorkerGoneError):
            await ask(self.socket(name), "POST", "/lab/stop")
        if process is not None and process.poll() is None:
            process.terminate()  # it may not listen yet
        until_s = time.monotonic() + STOP_TIMEOUT_S
        while process.poll() is None if process is not None else is_running(self.folder, name):
            if time.monotonic() > until_s:
                _log.error("the worker of %s did not end in %g s", name, STOP_TIMEOUT_S)
                if process is not None:
                    process.kill()
                    process.wait()
                return
            await asyncio.sleep(_POLL_S)
