"""The gateway of a lab: REST routes of boards and leases, and the whole service of each board.

Everybody may look. What changes a board needs a lease, whose token comes in the header
``Focalloop-Lease``, or in the cookie that the answer to the lease set.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import FastAPI, Header, HTTPException, Query, Request, Response, WebSocket
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from focalloop.host.errors import sentence
from focalloop.host.lab.forwarding import (
    WorkerRefusedError,
    ask,
    passed_on,
    relay,
    requested,
)
from focalloop.host.lab.json_logs import RequestLog
from focalloop.host.lab.lab import BoardEntry, Lab, LeaseEntry
from focalloop.host.lab.leases import (
    LeaseRefusedError,
    NoLeaseError,
    UnknownBoardError,
)
from focalloop.host.lab.metrics import lab_metrics
from focalloop.host.lab.settings import LabSettingsError
from focalloop.host.lab.worker import LineAddress
from focalloop.host.service.access import AccessControl
from focalloop.host.service.api import WEB
from focalloop.host.service.bodies import RequestBodies
from focalloop.host.service.public_url import PublicUrl
from focalloop.host.service.refusals import add_refusals, refusals

MAX_WAIT_S = 25.0
"""Longest time that a request waits for a board; proxies give up after 30 s or more."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_COMPUTING = frozenset({"/api/map/read", "/api/map/schedule", "/api/video.mp4"})
"""Paths of POST requests that change nothing."""

_OF_BOARD = re.compile(r"/boards/[^/]+(?=/)")
_COOKIE = "focalloop-lease"

_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
LeaseToken = Annotated[str, Header(alias="Focalloop-Lease", max_length=200)]


class Boards(BaseModel):
    """The boards of the lab, and who waits for one."""

    boards: list[BoardEntry]
    queue: list[LeaseEntry]


class LeaseWish(BaseModel):
    """Who wants to have a board, which, and for how long."""

    model_config = ConfigDict(extra="forbid")

    name: _Text
    board: _Text | None = None
    """By its name; otherwise any that has all of the tags."""
    tags: Annotated[list[_Text], Field(max_length=20)] = []
    seconds: _Seconds | None = None
    """By default as the lab has it."""


class Takeover(BaseModel):
    """Who takes a board over from another, and why."""

    model_config = ConfigDict(extra="forbid")

    name: _Text
    reason: _Text
    seconds: _Seconds | None = None


class Renewal(BaseModel):
    """For how long a lease lasts from now on; by default for its length."""

    model_config = ConfigDict(extra="forbid")

    seconds: _Seconds | None = None


class GrantedLease(BaseModel):
    """A lease, or a place in the queue, with the token that proves it."""

    lease: LeaseEntry
    token: str


class Health(BaseModel):
    """That the gateway runs."""

    status: Literal["ok"] = "ok"


def path_at_board(path: str) -> str:
    """Return a path as the service of its board knows it; others as they are."""
    return _OF_BOARD.sub("", path, count=1)


def create_gateway(
    lab: Lab,
    *,
    token: str | None = None,
    host_names: tuple[str, ...] | None = None,
    public_url: PublicUrl | None = None,
    line_host: str = "127.0.0.1",
) -> FastAPI:
    """Build the gateway.

    Parameters
    ----------
    lab : Lab
        Runs as long as the application does.
    token, host_names, public_url
        As for `focalloop.host.service.api.create_app`.
    line_host : str, optional
        Address at which raw lines are opened.
    """
    if host_names is not None and public_url is not None:
        host_names = (*host_names, public_url.host_name)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with lab.running():
            yield

    app = FastAPI(
        title="focalloop lab",
        version=version("focalloop"),
        description="Boards of a lab: their state, their leases, and the service of each.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=refusals(401, 403, 408, 413, 421),
    )
    app.add_middleware(RequestBodies, path_of=path_at_board)
    app.add_middleware(
        AccessControl,
        token=token,
        host_names=host_names,
        public_origin=None if public_url is None else public_url.origin,
        path_of=path_at_board,
    )
    app.add_middleware(RequestLog)
    add_refusals(app)
    _add_refusals(app)
    root = "" if public_url is None else public_url.path
    _add_board_routes(app, lab)
    _add_lease_routes(app, lab, root)
    _add_line_routes(app, lab, line_host)
    app.mount("/boards/{board}", _BoardService(lab))

    @app.get("/", include_in_schema=False)
    def get_page() -> FileResponse:
        return FileResponse(WEB / "lab.html")

    app.mount("/web", GZipMiddleware(StaticFiles(directory=WEB)))
    return app


def _add_refusals(app: FastAPI) -> None:
    statuses: dict[type[Exception], int] = {
        NoLeaseError: 403,
        UnknownBoardError: 404,
        LeaseRefusedError: 422,
        LabSettingsError: 422,
    }

    async def refuse(_: Request, error: Exception) -> JSONResponse:
        status = next((each for kind, each in statuses.items() if isinstance(error, kind)), 503)
        if isinstance(error, WorkerRefusedError):
            status = error.status
        return JSONResponse({"detail": sentence(error)}, status)

    for kind in (*statuses, WorkerRefusedError):
        app.add_exception_handler(kind, refuse)


def _add_board_routes(app: FastAPI, lab: Lab) -> None:
    @app.get("/api/boards")
    async def get_boards() -> Boards:
        """Return the boards with their state and their lease, and the queue."""
        queue = [lab.lease_entry(lease) for lease in lab.leases.queue]
        return Boards(boards=await lab.boards(), queue=queue)

    @app.post("/api/reload", responses=refusals(422))
    async def post_reload() -> Boards:
        """Read lab.toml again: boards are added and removed, all others go on undisturbed."""
        await lab.reload()
        return await get_boards()

    @app.get("/healthz")
    async def get_health() -> Health:
        """Answer while the gateway runs, whatever the boards do."""
        return Health()

    @app.get("/metrics", response_class=Response)
    async def get_metrics() -> Response:
        """Return the counters and gauges of all boards in the text format of Prometheus."""
        body, media_type = await lab_metrics(lab)
        return Response(body, media_type=media_type)


def _add_lease_routes(app: FastAPI, lab: Lab, root: str) -> None:
    leases = lab.leases

    async def granted(token: str, response: Response) -> GrantedLease:
        lease = leases.look(token)
        await lab.save()
        if lease.board is not None:
            response.set_cookie(
                _COOKIE,
                token,
                max_age=int(leases.remaining_s(lease)) + 1,
                path=f"{root}/boards/{lease.board}/",
                httponly=True,
                samesite="strict",
            )
        return GrantedLease(lease=lab.lease_entry(lease), token=token)

    @app.post("/api/leases", status_code=201, responses=refusals(400, 404, 422))
    async def post_lease(wish: LeaseWish, response: Response) -> GrantedLease:
        """Ask for a board: the answer has it if one is free, else a place in the queue.

        A place in the queue is lost unless it is asked after once a minute, by ``GET``.
        """
        lease = leases.ask(wish.name, wish.board, wish.tags, wish.seconds)
        return await granted(lease.token, response)

    @app.get("/api/lease", responses=refusals(422))
    async def get_lease(
        token: LeaseToken,
        response: Response,
        wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0.0,
    ) -> GrantedLease:
        """Return the lease of this token; with ``wait_s``, as soon as it has a board."""
        await lab.wait_for_board(token, wait_s)
        return await granted(token, response)

    @app.post("/api/lease/renew", responses=refusals(400, 422))
    async def post_renewal(token: LeaseToken, renewal: Renewal, response: Response) -> GrantedLease:
        """Let the lease last for its length, or another, from now on."""
        leases.renew(token, renewal.seconds)
        return await granted(token, response)

    @app.delete("/api/lease", status_code=204, responses=refusals(422))
    async def delete_lease(token: LeaseToken) -> None:
        """Give the board back, or leave the queue; answers once the board is at rest."""
        board = leases.release(token).board
        await lab.save()
        if board is not None:
            await lab.rested(board)

    @app.post("/api/boards/{board}/takeover", status_code=201, responses=refusals(400, 404, 422))
    async def post_takeover(board: str, takeover: Takeover, response: Response) -> GrantedLease:
        """Take a board over from whoever has it, who is told the reason."""
        lease = leases.take_over(board, takeover.name, takeover.seconds, takeover.reason)
        return await granted(lease.token, response)


def _add_line_routes(app: FastAPI, lab: Lab, line_host: str) -> None:
    @app.post("/api/boards/{board}/line", status_code=201, responses=refusals(404, 409, 422, 503))
    async def post_line(board: str, token: LeaseToken, request: Request) -> LineAddress:
        """Open the raw line of a board as a TCP port, for one client at the address that asks.

        Its session pauses until the line is closed or the lease ends.
        """
        path = lab.socket(board)
        async with lab.under_lease(token, board):
            wish = {
                "host": line_host,
                "port": lab.settings.boards[board].line_port,
                "peer": None if request.client is None else request.client.host,
            }
            return LineAddress(**await ask(path, "POST", "/lab/line", wish))

    @app.delete("/api/boards/{board}/line", status_code=204, responses=refusals(404, 422, 503))
    async def delete_line(board: str, token: LeaseToken) -> None:
        """Close the raw line; the session of the board goes on."""
        path = lab.socket(board)
        async with lab.under_lease(token, board):
            await ask(path, "DELETE", "/lab/line")


class _BoardService:
    """The service of a board below ``/boards/NAME``, passed on to its worker."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        board: str = scope["path_params"]["board"]
        try:
            socket = self._lab.socket(board)
        except UnknownBoardError as error:
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).close(1008, sentence(error))
                return
            raise
        # As it came, since the worker decodes it; what is decided here is by what it will read.
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        target = raw.partition(b"?")[0].partition(f"/boards/{board}".encode())[2]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        path = path_at_board(scope["path"])
        if scope["type"] == "websocket":
            await relay(WebSocket(scope, receive, send), socket, target.decode("latin-1"))
            return
        if path.startswith("/lab/"):
            raise HTTPException(404)  # those routes are the gateway's own
        request = Request(scope, receive, send)
        body = await request.body()
        async with AsyncExitStack() as stack:
            if request.method not in _SAFE and path not in _COMPUTING:
                token = request.headers.get("focalloop-lease") or request.cookies.get(_COOKIE)
                await stack.enter_async_context(self._lab.under_lease(token, board))
            headers = passed_on(request.headers.raw)
            answer = await stack.enter_async_context(
                requested(socket, request.method, target, headers, body)
            )
            if (request.method, answer.status) == ("POST", 201) and path == "/api/recordings":
                await self._lab.record(board, json.loads(body))
            elif request.method == "POST" and path == "/api/recordings/stop":
                await self._lab.record(board, None)
            response = StreamingResponse(answer.body, answer.status)
            response.raw_headers = answer.headers
            await response(scope, receive, send)
