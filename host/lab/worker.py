"""The worker of a board: its live session, and the service of that on a Unix socket.

It is the same service that ``focalloop serve`` runs, with a few routes below ``/lab`` for the
gateway. It outlives its gateway, and the next one finds it by its socket.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.errors import BoardLostError, sentence
from focalloop.host.lab.raw_line import LineBusyError, RawLine
from focalloop.host.lab.settings import BoardSettings
from focalloop.host.lab.unix_sockets import listening, worker_socket
from focalloop.host.live.networks import Networks
from focalloop.host.live.recording_desk import RecordingDeskError
from focalloop.host.live.session import LiveSession
from focalloop.host.live.state import Phase
from focalloop.host.service.api import create_app
from focalloop.host.service.server import Service

_BACK_S = 5.0
"""Longest wait for a board to be opened again after its line was lent."""
_POLL_S = 0.02


class WorkerError(FocalloopError):
    """A worker cannot run here."""


@dataclass(frozen=True)
class WorkerIdentity:
    """Which worker answers."""

    pid: int
    version: str
    settings: str
    """As of `BoardSettings.to_json`."""


@dataclass(frozen=True)
class LineAddress:
    """Where a raw line is open."""

    host: str
    port: int


class LineRequest(BaseModel):
    """Where to open the raw line, and for whom."""

    host: str
    port: int
    peer: str | None


def is_running(folder: Path, board: str) -> bool:
    """Return whether a board has a worker, whoever started it."""
    try:
        with _locked(folder, board):
            return False
    except WorkerError:
        return True


def run_worker(
    session: LiveSession, settings: BoardSettings, folder: Path, networks: Networks
) -> None:
    """Run a session and its service on the socket of the board until SIGTERM or ``/lab/stop``.

    At the end, nothing is recorded any more, and the board is idle under its resting map.

    Parameters
    ----------
    session : LiveSession
        Of the board.
    settings : BoardSettings
        What the lab says of it.
    folder : Path
        Where its socket and its lock are.
    networks : Networks
        Where windows of recordings are rebuilt.

    Raises
    ------
    WorkerError
        The board has a worker already.
    """
    path = worker_socket(folder, settings.name)
    with _locked(folder, settings.name):
        line = RawLine(session.lend)
        app = create_app(session, networks=networks)
        with listening(path) as sock, session:
            service = Service(app, sock)
            _add_worker_routes(app, session, settings, line, service)
            try:
                service.run()
            finally:
                networks.close()
                with suppress(FocalloopError):  # the board refuses its map
                    _rest(session, line)


def _add_worker_routes(
    app: FastAPI, session: LiveSession, settings: BoardSettings, line: RawLine, service: Service
) -> None:
    async def refuse(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": sentence(error)}, 409)

    app.add_exception_handler(LineBusyError, refuse)

    @app.get("/lab/worker")
    def get_worker() -> WorkerIdentity:
        return WorkerIdentity(os.getpid(), version("focalloop"), settings.to_json())

    @app.post("/lab/rest", status_code=204)
    def post_rest() -> None:
        """End all that a lease has begun; the board gets its resting map."""
        _rest(session, line)

    @app.post("/lab/line")
    def post_line(request: LineRequest) -> LineAddress:
        recording = session.state().recording
        if recording is not None and recording.recording:
            raise RecordingDeskError("the board is being recorded: stop that first")
        if line.address is None and session.state().board is None:
            raise LineBusyError("the board is away: try again when it is back")
        return LineAddress(*line.open(request.host, request.port, request.peer))

    @app.delete("/lab/line", status_code=204)
    def delete_line() -> None:
        line.close()

    @app.post("/lab/stop", status_code=204)
    def post_stop() -> None:
        service.stop()


def _rest(session: LiveSession, line: RawLine) -> None:
    was_lent = line.address is not None
    line.close()
    with suppress(BoardLostError):  # it gets its map when it is back
        session.rest()
    until_s = time.monotonic() + (_BACK_S if was_lent else 0.0)
    while session.state().phase is not Phase.STREAMING and time.monotonic() < until_s:
        time.sleep(_POLL_S)


@contextmanager
def _locked(folder: Path, board: str) -> Iterator[None]:
    """Hold the lock of a board's worker, which the system opens when its process ends, however."""
    with (folder / f"{board}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WorkerError(
                f"the board {board} has a worker already, of another lab service in {folder}"
            ) from None
        yield
