"""How the service refuses a request: ``{"detail": sentence}``, and nothing changes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.errors import BoardError, CaptureError, sentence
from focalloop.host.live.calibrator import CalibratorError
from focalloop.host.live.deployment import MapChangedError
from focalloop.host.live.recording_desk import RecordingDeskError
from focalloop.host.reconstruction.bundle import BundleError
from focalloop.host.reconstruction.reconstruct import ReconstructError
from focalloop.host.recording.store import NoRecordingError

_WRONG_INPUT = (BundleError, ReconstructError, BoardError, CaptureError, ValueError)
"""Errors for which the sender has to change the request."""


_SENTENCES = {
    400: "The body cannot be read as JSON.",
    404: "There is nothing at this address.",
    405: "This address does not take requests of this method.",
}
"""Instead of the phrases with which the framework itself refuses."""


class Refusal(BaseModel):
    """Why a request was not carried out."""

    detail: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the statuses with which a route may refuse, for its OpenAPI document."""
    # FastAPI would build a model anew for every status of every route: half of its work.
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {status: {"content": refused} for status in statuses}


def add_refusals(app: FastAPI) -> None:
    """Answer expected errors and invalid requests with a sentence, and document that."""
    made = app.openapi

    def with_refusal() -> dict[str, Any]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Refusal"] = Refusal.model_json_schema()
        return document

    app.openapi = with_refusal  # type: ignore[method-assign]
    app.add_exception_handler(FocalloopError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_request)
    app.add_exception_handler(HTTPException, _refuse_as_said)


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, CalibratorError | MapChangedError | RecordingDeskError):
        status = 409
    elif isinstance(error, NoRecordingError):
        status = 404
    else:
        status = 422 if isinstance(error, _WRONG_INPUT) else 503
    return JSONResponse({"detail": sentence(error)}, status)


async def _refuse_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"detail": f"The request is invalid at {where}: {first['msg']}."}, 422)


async def _refuse_as_said(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    said = str(error.detail)
    detail = said if said.endswith(".") else _SENTENCES.get(error.status_code, f"{said}.")
    return JSONResponse({"detail": detail}, error.status_code, error.headers)
