"""REST routes of the calibration: plan, light, the requests of its steps, and the resulting files.

Its progress is part of ``GET /api/state``, which the preview socket sends as well. A request may
name the turn of the state that it was made for: in another one it is refused, because another page
has acted meanwhile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from focalloop.firmware_sim.default_calibration import DEFAULT_READS
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.live.calibration_state import CalibrationState, PlanState
from focalloop.host.live.calibrator import MAX_READS
from focalloop.host.live.light_meter import LightMeter, LightState
from focalloop.host.live.state import LiveSource
from focalloop.host.service.refusals import refusals

if TYPE_CHECKING:
    from focalloop.calibration import Calibration

_MIN_READS = 2

Turn = Annotated[int | None, Query(ge=0, description="Turn that the request is made for.")]


class CalibrationRequest(BaseModel):
    """Settings of a calibration."""

    model_config = ConfigDict(extra="forbid")

    reads: Annotated[int, Field(ge=_MIN_READS, le=MAX_READS, strict=True)] = DEFAULT_READS
    """Reads per pixel at each level."""


def add_calibration_routes(app: FastAPI, source: LiveSource) -> None:
    """Add the routes to the service."""
    calibrator, meter = source.calibrator, LightMeter()

    @app.get("/api/calibration/plan", responses=refusals(422, 503))
    def get_plan(
        reads: Annotated[int, Query(ge=_MIN_READS, le=MAX_READS)] = DEFAULT_READS,
    ) -> PlanState:
        """Return what a calibration with so many reads per pixel at each level would capture."""
        return calibrator.plan(reads)

    @app.get("/api/calibration/light")
    def get_light() -> LightState | None:
        """Return the light on the sensor, as one to calibrate by; null where nothing is known."""
        found = calibrator.light()
        if found is not None:
            return found
        picture, ratio_map, board = source.picture(), source.ratio_map, source.state().board
        if picture is None or ratio_map is None or board is None or calibrator.state().running:
            return None
        if picture.map_hash == ratio_map.hash():  # else it was read under the map before, or a grid
            meter.add(picture.window, picture.readout, ratio_map, board)
        return meter.state()

    @app.post("/api/calibration", status_code=202, responses=refusals(400, 409, 422, 503))
    def post_calibration(request: CalibrationRequest, turn: Turn = None) -> CalibrationState:
        """Start a calibration: dark and flat reads at each span; the stream is paused."""
        calibrator.start(request.reads, turn)
        return calibrator.state()

    @app.post("/api/calibration/proceed", responses=refusals(409, 422, 503))
    def post_proceed(turn: Turn = None) -> CalibrationState:
        """Continue: the light is as the state asks for, or what stopped the captures is over."""
        calibrator.proceed(turn)
        return calibrator.state()

    @app.delete("/api/calibration", responses=refusals(409))
    def delete_calibration() -> CalibrationState:
        """Cancel the calibration in progress; the stream continues under the map before."""
        calibrator.cancel()
        return calibrator.state()

    @app.post("/api/calibration/apply", responses=refusals(409, 422, 503))
    def post_apply(turn: Turn = None) -> CalibrationState:
        """Correct the board's reads by the result, and keep it; answers once that is so."""
        calibrator.apply(turn)
        return calibrator.state()

    @app.post("/api/calibration/undo", responses=refusals(409, 422, 503))
    def post_undo(turn: Turn = None) -> CalibrationState:
        """Use and keep again what was before the result was applied; answers once that is so."""
        calibrator.undo(turn)
        return calibrator.state()

    @app.post("/api/calibration/discard", responses=refusals(409, 422))
    def post_discard(turn: Turn = None) -> CalibrationState:
        """Forget the result, which was not applied."""
        calibrator.discard(turn)
        return calibrator.state()

    @app.get("/api/calibration/profile.json", responses=refusals(404))
    def get_profile() -> Response:
        """Return the calibrated noise profile."""
        text = json.dumps(_result(source).as_dict(), indent=2, allow_nan=False) + "\n"
        return _download(text, "application/json", "profile.json")

    @app.get("/api/calibration/correction.npz", responses=refusals(404))
    def get_correction() -> Response:
        """Return the fixed pattern by which to correct the reads of this board."""
        pattern = _result(source).pattern
        if isinstance(pattern, FocalloopError):
            raise HTTPException(404, f"There is no correction: {pattern}.")
        return _download(pattern.encode(), "application/octet-stream", "correction.npz")

    @app.get("/api/calibration/report.html", responses=refusals(404))
    def get_report() -> Response:
        """Return the report as one self-contained page."""
        from focalloop.calibration.report.page import report_html  # loads SciPy

        return _download(report_html(_result(source)), "text/html; charset=utf-8", "report.html")


def _result(source: LiveSource) -> Calibration:
    result = source.calibrator.result
    if result is None:
        raise HTTPException(404, "There is no calibration yet: run one first.")
    return result


def _download(content: str | bytes, media_type: str, name: str) -> Response:
    # A download, because the service's content security policy forbids the styles in the page.
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=disposition)
