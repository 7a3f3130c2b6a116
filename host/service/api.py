"""REST routes of a live session: state, map, bundles, board, health and metrics.

Routes are plain functions, which FastAPI runs in its thread pool; the event loop only reads bodies
and serves the preview socket.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.live.networks import Networks, OwnNetworks
from focalloop.host.live.state import (
    BoardIdentity,
    BundleState,
    LiveSource,
    LiveState,
)
from focalloop.host.service.access import AccessControl
from focalloop.host.service.bodies import RequestBodies
from focalloop.host.service.calibration import add_calibration_routes
from focalloop.host.service.map_document import MapDocument, map_document
from focalloop.host.service.map_editor import add_map_editor_routes, read_map
from focalloop.host.service.preview import Previews
from focalloop.host.service.prometheus import registry_of
from focalloop.host.service.public_url import PublicUrl
from focalloop.host.service.radio import add_radio_routes
from focalloop.host.service.recordings import add_recording_routes
from focalloop.host.service.refusals import add_refusals, refusals
from focalloop.host.service.videos import add_video_route

WEB = Path(__file__).parents[1] / "web"
"""Files of the pages."""


class Bundles(BaseModel):
    """The bundles that can be selected, and the selected one."""

    bundles: list[BundleState]
    active: str


class BundleChoice(BaseModel):
    """The bundle to select, or ``network-free``."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class Health(BaseModel):
    """That the service runs, and the phase of its session."""

    status: str
    phase: str


class _CompressedMaps:
    """Compresses the documents of maps, whose levels are most of what the page loads."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._compressed = GZipMiddleware(app, compresslevel=1)  # the event loop waits for it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of_map = scope["type"] == "http" and scope["path"].endswith("/map")
        await (self._compressed if of_map else self._plain)(scope, receive, send)


def create_app(
    source: LiveSource,
    *,
    token: str | None = None,
    host_names: tuple[str, ...] | None = None,
    public_url: PublicUrl | None = None,
    networks: Networks | None = None,
) -> FastAPI:
    """Build the service.

    Parameters
    ----------
    source : LiveSource
        Session to show and control.
    token : str or None, optional
        Bearer token required of every request except for the files of the page; None for no token.
    host_names : tuple of str or None, optional
        Names that the Host header may carry (see `focalloop.host.service.access`) besides that of
        the public address; None allows any.
    public_url : PublicUrl or None, optional
        Where a proxy or a tunnel offers the page.
    networks : Networks, optional
        Where windows of recordings are rebuilt; by default in this process, in one thread.
    """
    if host_names is not None and public_url is not None:
        host_names = (*host_names, public_url.host_name)
    app = FastAPI(
        title="focalloop",
        version=version("focalloop"),
        description="Live preview of a programmable focal-plane sensor: state, maps, bundles.",
        docs_url=None,  # the usual pages load scripts from elsewhere
        redoc_url=None,
        responses=refusals(401, 403, 408, 413, 421),  # of the checks before any route
    )
    app.add_middleware(_CompressedMaps)
    app.add_middleware(RequestBodies)
    app.add_middleware(  # the last one is asked first
        AccessControl,
        token=token,
        host_names=host_names,
        public_origin=None if public_url is None else public_url.origin,
    )
    add_refusals(app)
    _add_state_routes(app, source)
    _add_map_routes(app, source)
    add_map_editor_routes(app, source)
    _add_bundle_routes(app, source)
    add_calibration_routes(app, source)
    add_radio_routes(app, source)
    add_video_route(app)
    add_recording_routes(app, source, networks or OwnNetworks(threads=1))
    _add_page(app, source)
    return app


def _add_state_routes(app: FastAPI, source: LiveSource) -> None:
    registry = registry_of(source)

    @app.get("/api/state")
    def get_state() -> LiveState:
        """Return a snapshot of the session: phase, board, map, scores, speed, link, messages."""
        return source.state()

    @app.get("/api/board", responses=refusals(503))
    def get_board() -> BoardIdentity:
        """Return what the board says of itself."""
        board = source.state().board
        if board is None:
            raise HTTPException(503, "No board is connected yet; ask again in a moment.")
        return board

    @app.get("/healthz")
    def get_health() -> Health:
        """Answer while the service runs, whatever the board does."""
        return Health(status="ok", phase=source.state().phase)

    @app.get("/metrics", response_class=Response)
    def get_metrics() -> Response:
        """Return counters and gauges in the text format of Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _add_map_routes(app: FastAPI, source: LiveSource) -> None:
    @app.get("/api/map", responses=refusals(503))
    def get_map() -> MapDocument:
        """Return the map that the board runs."""
        return map_document(_present_map(source))

    @app.get("/api/map.{suffix}", response_class=Response, responses=refusals(404, 422, 503))
    def get_map_file(suffix: str) -> Response:
        """Return the map that the board runs as a file, ``npz`` or, if not adaptive, ``png``."""
        types = {"npz": "application/x-npz", "png": "image/png"}
        if suffix not in types:
            raise HTTPException(404, f"A map is available as .npz or .png, not as .{suffix}.")
        body = map_files.encode(_present_map(source), f".{suffix}")
        return Response(body, media_type=types[suffix])

    @app.put(
        "/api/map",
        responses=refusals(409, 422, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-npz": {"schema": {"type": "string", "format": "binary"}},
                    "image/png": {"schema": {"type": "string", "format": "binary"}},
                },
            }
        },
    )
    async def put_map(request: Request, based_on: str | None = None) -> MapDocument:
        """Upload a map file, ``.npz`` or indexed ``.png``, to the board and run it.

        A periodic map is tiled to the board's array. Answers once the board runs it. With the hash
        of the map that it is based on, it replaces no other one.
        """
        return await run_in_threadpool(_upload, source, await request.body(), based_on)

    @app.post("/api/adaptive", responses=refusals(409, 422, 503))
    def post_adaptive() -> MapDocument:
        """Run the session's adaptive map again; answers once the board does."""
        if source.state().adaptive is None:
            raise HTTPException(
                409,
                "This session has no adaptive map: start it with live --map adaptive.",
            )
        source.follow_scene()
        return map_document(_present_map(source))


def _add_bundle_routes(app: FastAPI, source: LiveSource) -> None:
    @app.get("/api/bundles")
    def get_bundles() -> Bundles:
        """Return the bundles that can be selected, and the selected one."""
        return Bundles(bundles=source.bundles(), active=source.state().bundle)

    @app.put("/api/bundle", responses=refusals(400, 422, 503))
    def put_bundle(choice: BundleChoice) -> Bundles:
        """Upload the map of a bundle and reconstruct with its network.

        Answers once both are in use; if either is refused, nothing changes. ``network-free`` drops
        the network and keeps the map.
        """
        source.select(choice.name)
        return get_bundles()

    @app.put("/api/comparison", status_code=204, responses=refusals(400, 422))
    def put_comparison(choice: BundleChoice) -> None:
        """Rebuild the same windows by a second bundle too, while somebody looks at it.

        The state has what comes of it, `comparison`; map and network stay as they are.
        """
        source.compare(choice.name)

    @app.delete("/api/comparison", status_code=204)
    def delete_comparison() -> None:
        """Compare with no second bundle any more."""
        source.compare(None)


def _add_page(app: FastAPI, source: LiveSource) -> None:
    previews = Previews(source)

    @app.websocket("/ws/preview")
    async def ws_preview(socket: WebSocket) -> None:
        await previews.serve(socket)

    @app.get("/", include_in_schema=False)
    def get_page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    app.mount("/web", GZipMiddleware(StaticFiles(directory=WEB)))


def _upload(source: LiveSource, body: bytes, based_on: str | None) -> MapDocument:
    ratio_map = read_map(source, body)
    ratio_map.check_measures()
    source.upload(ratio_map, based_on)
    return map_document(_present_map(source))


def _present_map(source: LiveSource) -> RatioMap | AdaptiveMap:
    ratio_map = source.adaptive_map or source.ratio_map
    if ratio_map is None:
        raise HTTPException(503, "No board runs a map yet; ask again in a moment.")
    return ratio_map
