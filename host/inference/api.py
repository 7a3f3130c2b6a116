"""Routes of the Open Inference Protocol V2: health, metadata, and inference.

Binary tensors are those of the protocol's extension ``binary_tensor_data``, and several windows may
be sent at a time, so that any client or server of the protocol can take the place of this one. A
refusal is ``{"error": sentence}``, as the protocol has it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cluster import ClusterError
from focalloop.host.errors import sentence
from focalloop.host.inference.models import (
    MAX_WAITING_WINDOWS,
    Model,
    ModelServer,
    OverloadedError,
    UnknownModelError,
)
from focalloop.host.inference.tensors import LENGTH_HEADER, TensorError, answer, parse_request
from focalloop.host.reconstruction.reconstruct import ReconstructError
from focalloop.host.service.access import AccessControl
from focalloop.host.service.bodies import RequestBodies
from focalloop.host.service.refusals import add_refusals

VERSION = "1"
"""The only version of every model."""

MAX_REQUEST_BYTES = 64 << 20
"""Largest body of a request: 30 windows of 256x256 pixels."""

_PIECE_BYTES = 1 << 20
"""Of an answer, handed on at a time: what the socket does not take at once is copied, and waits."""

_PIECE_TIMEOUT_S = 60.0
"""For a client to take a piece; one that takes none would hold its windows for good."""

_STATUS: dict[type[FocalloopError], int] = {
    UnknownModelError: 404,
    TensorError: 400,
    ReconstructError: 422,
    OverloadedError: 503,
    ClusterError: 503,
}


def create_inference_app(
    models: ModelServer, *, token: str | None = None, host_names: tuple[str, ...] | None = None
) -> FastAPI:
    """Build the service.

    Parameters
    ----------
    models : ModelServer
        What it serves.
    token : str or None, optional
        Bearer token that every request needs; None for no token.
    host_names : tuple of str or None, optional
        Names that the Host header may carry (`focalloop.host.service.access`); None allows any.
    """
    app = FastAPI(title="focalloop", version=version("focalloop"), docs_url=None, redoc_url=None)
    app.add_middleware(RequestBodies, limit=MAX_REQUEST_BYTES)
    app.add_middleware(AccessControl, token=token, host_names=host_names, public_origin=None)
    add_refusals(app)
    app.add_exception_handler(FocalloopError, _refuse)
    _add_health(app, models)
    _add_metadata(app, models)
    _add_inference(app, models)
    return app


class _Parts(Response):
    """An answer whose body is sent in pieces, straight from where it lies."""

    def __init__(self, parts: list[bytes | memoryview], headers: dict[str, str]) -> None:
        length = {"content-length": str(sum(len(part) for part in parts))}
        super().__init__(headers=headers | length)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        with suppress(TimeoutError):  # the server then closes the connection
            for part in self._parts:
                for begin in range(0, len(part), _PIECE_BYTES):
                    piece = part[begin : begin + _PIECE_BYTES]
                    async with asyncio.timeout(_PIECE_TIMEOUT_S):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def _add_health(app: FastAPI, models: ModelServer) -> None:
    @app.get("/v2/health/live")
    @app.get("/v2/health/ready")
    async def get_health() -> dict[str, bool]:
        """Answer, also while every thread is busy with windows."""
        return {"live": True, "ready": True}

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{number}/ready")
    def get_model_ready(name: str, number: str = VERSION) -> dict[str, Any]:
        """Answer if a model is there."""
        return {"name": _model(models, name, number).name, "ready": True}


def _add_metadata(app: FastAPI, models: ModelServer) -> None:
    @app.get("/v2")
    def get_server() -> dict[str, Any]:
        """Return name, version and extensions of the server."""
        return {
            "name": "focalloop",
            "version": version("focalloop"),
            "extensions": ["binary_tensor_data", "model_repository"],
        }

    @app.post("/v2/repository/index")
    def post_index() -> list[dict[str, str]]:
        """Return the models that are served, as the extension ``model_repository`` has it."""
        return [{"name": name, "version": VERSION, "state": "READY"} for name in models.models]

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{number}")
    def get_model(name: str, number: str = VERSION) -> dict[str, Any]:
        """Return the inputs and the output of a model."""
        model = _model(models, name, number)
        return {
            "name": model.name,
            "versions": [VERSION],
            "platform": "onnxruntime_onnx",
            "inputs": [spec.document() for spec in model.inputs],
            "outputs": [model.output.document()],
        }


def _add_inference(app: FastAPI, models: ModelServer) -> None:
    # Their own, so that those who wait keep no other route waiting; enough for all who may wait.
    threads = CapacityLimiter(MAX_WAITING_WINDOWS + 8)

    @app.post("/v2/models/{name}/infer", response_class=Response)
    @app.post("/v2/models/{name}/versions/{number}/infer", response_class=Response)
    async def post_infer(request: Request, name: str, number: str = VERSION) -> Response:
        """Rebuild windows: inputs and output are those of the bundle's network."""
        body = b"".join([part async for part in request.stream() if part])  # of one, no copy
        length = request.headers.get(LENGTH_HEADER)
        work = partial(_inferred, models, name, number, body, length)
        return await to_thread.run_sync(work, limiter=threads)


def _inferred(
    models: ModelServer, name: str, number: str, body: bytes, length: str | None
) -> Response:
    model = _model(models, name, number)
    request = parse_request(body, length, model.inputs, model.output)
    video = models.infer(model, request.tensors)
    document = {"model_name": model.name, "model_version": VERSION}
    if request.id:
        document["id"] = request.id
    headers, parts = answer(document, model.output, video, binary=request.binary)
    return _Parts(parts, headers)


def _model(models: ModelServer, name: str, number: str) -> Model:
    model = models.model(name)
    if number != VERSION:
        raise UnknownModelError(f"{name} has no version {number!r}: there is only {VERSION}")
    return model


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {"retry-after": "1"} if status == 503 else None
    return JSONResponse({"error": sentence(error)}, status, headers)
