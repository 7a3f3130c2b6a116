"""REST routes of the calibration: start, go on, cancel, apply, and the files it makes.

How it goes is part of ``GET /api/state``, which the preview socket sends as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from focalloop.host.live.calibration_state import CalibrationState
from focalloop.host.live.calibrator import DEFAULT_READS, MAX_READS
from focalloop.host.live.state import LiveSource
from focalloop.host.service.refusals import refusals

if TYPE_CHECKING:
    from focalloop.calibration import Calibration


class CalibrationRequest(BaseModel):
    """How to calibrate."""

    model_config = ConfigDict(extra="forbid")

    reads: Annotated[int, Field(ge=2, le=MAX_READS, strict=True)] = DEFAULT_READS
    """Reads of every pixel at every level."""


def add_calibration_routes(app: FastAPI, source: LiveSource) -> None:
    """Add the routes to the service."""
    calibrator = source.calibrator

    @app.post("/api/calibration", status_code=202, responses=refusals(409, 422, 503))
    def post_calibration(request: CalibrationRequest) -> CalibrationState:
        """Begin to calibrate the board: dark and flat reads at every span; the stream waits."""
        calibrator.start(request.reads)
        return calibrator.state()

    @app.post("/api/calibration/proceed", responses=refusals(409))
    def post_proceed() -> CalibrationState:
        """Go on: the light is as the state's activity asked for."""
        calibrator.proceed()
        return calibrator.state()

    @app.delete("/api/calibration")
    def delete_calibration() -> CalibrationState:
        """Cancel the calibration that runs; the stream goes on."""
        calibrator.cancel()
        return calibrator.state()

    @app.post("/api/calibration/apply", responses=refusals(409, 422, 503))
    def post_apply() -> CalibrationState:
        """Have the emulated board run with the calibrated profile; answers when it does."""
        calibrator.apply()
        return calibrator.state()

    @app.get("/api/calibration/profile.json", responses=refusals(404))
    def get_profile() -> Response:
        """Return the calibrated noise profile."""
        text = json.dumps(_result(source).as_dict(), indent=2, allow_nan=False) + "\n"
        return _download(text, "application/json", "profile.json")

    @app.get("/api/calibration/report.html", responses=refusals(404))
    def get_report() -> Response:
        """Return the report as one page to keep."""
        from focalloop.calibration.report.page import report_html  # with SciPy, and only now

        return _download(report_html(_result(source)), "text/html; charset=utf-8", "report.html")


def _result(source: LiveSource) -> Calibration:
    result = source.calibrator.result
    if result is None:
        raise HTTPException(404, "There is no calibration yet: run one first.")
    return result


def _download(text: str, media_type: str, name: str) -> Response:
    # Kept and not shown: the service's policy lets no page of its own bring its styles along.
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=media_type, headers=disposition)
