"""The REST route that steers the radio link; its state is part of ``GET /api/state``."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from focalloop.firmware_sim.radio.channel import MAX_SNR_DB, MIN_SNR_DB
from focalloop.host.live.radio_state import RadioChoice, RadioState
from focalloop.host.live.state import LiveSource
from focalloop.host.service.refusals import refusals


class RadioRequest(BaseModel):
    """How the windows are to be sent."""

    model_config = ConfigDict(extra="forbid")

    method: Annotated[str, Field(min_length=1, max_length=40)]
    channel: Literal["awgn", "rayleigh", "rayleigh-block"]
    snr_db: Annotated[float, Field(ge=MIN_SNR_DB, le=MAX_SNR_DB, allow_inf_nan=False)]
    symbols: Annotated[int, Field(ge=1, le=1 << 31, strict=True)]


def add_radio_routes(app: FastAPI, source: LiveSource) -> None:
    """Add the route to the service."""

    @app.put("/api/radio", responses=refusals(400, 409, 422))
    def put_radio(request: RadioRequest) -> RadioState:
        """Send the windows like this from now on; the channel is as noisy as `snr_db` says."""
        if source.radio is None:
            raise HTTPException(
                409, "This session has no radio link: start it with focalloop live --radio semcom."
            )
        source.radio.choose(RadioChoice(**request.model_dump()))
        return source.radio.state()
