"""REST route that makes a video file of the planes that a page shows."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from focalloop.firmware_sim.files import scratch_folder
from focalloop.host.reconstruction.video import write_video
from focalloop.host.service.refusals import refusals

MAX_SIDE = 8192
"""Pixels along a side of a frame: four pictures of 2048 beside each other."""


def add_video_route(app: FastAPI) -> None:
    """Add the route to the service."""

    @app.post(
        "/api/video.mp4",
        response_class=Response,
        responses=refusals(422, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                },
            }
        },
    )
    async def post_video(
        request: Request,
        height: Annotated[int, Query(ge=2, le=MAX_SIDE)],
        width: Annotated[int, Query(ge=2, le=MAX_SIDE)],
        frames_per_s: Annotated[float, Query(ge=1, le=240)] = 15.0,
    ) -> Response:
        """Encode frames, ``(N, height, width)`` uint8 and row-major, as an MP4 (H.264, gray)."""
        body = await request.body()
        if not body or len(body) % (height * width):
            raise HTTPException(
                422, f"{len(body)} bytes are not whole frames of {width}x{height} pixels."
            )
        frames = np.frombuffer(body, np.uint8).reshape(-1, height, width)
        video = await run_in_threadpool(_encoded, frames, frames_per_s)
        return Response(video, media_type="video/mp4")


def _encoded(frames: NDArray[np.uint8], rate: float) -> bytes:
    with scratch_folder() as folder:
        path = folder / "window.mp4"
        write_video(path, [np.divide(frames, 255, dtype=np.float32)], ["window"], frames_per_s=rate)
        return path.read_bytes()
