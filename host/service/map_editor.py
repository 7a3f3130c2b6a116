"""REST routes of the map editor: what a drawing costs, files to draw on, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.feasibility import MAX_QUANTITY, Feasibility, Hardware
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.live.state import BoardIdentity, LiveSource
from focalloop.host.service.map_document import MapDocument, map_document
from focalloop.host.service.refusals import refusals

Rate = Annotated[float, Field(gt=0, le=MAX_QUANTITY, allow_inf_nan=False)]


class Drawing(BaseModel):
    """What decides the schedule of a map without phases, and the rates that it is compared with."""

    model_config = ConfigDict(extra="forbid")

    pixels: dict[int, Annotated[int, Field(ge=0, strict=True)]]
    """Number of pixels at each level."""
    adc_rate_hz: Rate | None = None
    link_rate_bytes_per_s: Rate | None = None


@dataclass(frozen=True)
class Schedule:
    """What the reads of a drawing demand of the board; verdicts are null without a rate."""

    reads_per_slot: list[int]
    reads_per_window: int
    peak_rate_hz: float
    """Conversions per second that finish the busiest slot's reads within one slot."""
    holding_rate_hz: float
    """Conversions per second that suffice if pixels hold their value."""
    fits_adc: bool | None
    fits_adc_holding: bool | None
    link_needed_bytes_per_s: float
    fits_link: bool | None
    windows_carried: float | None
    """Largest share of the windows that the link carries."""
    energy_j_per_window: float
    power_w: float


def add_map_editor_routes(app: FastAPI, source: LiveSource) -> None:
    """Add the routes to the service."""

    @app.post("/api/map/schedule", responses=refusals(400, 422, 503))
    def post_schedule(drawing: Drawing) -> Schedule:
        """Compute what `focalloop map schedule` does, for a map of this board with these pixels."""
        present, board = _present(source)
        hardware = Hardware(
            slot_rate_hz=board.slot_rate_hz,
            adc_rate_hz=drawing.adc_rate_hz,
            link_rate_bytes_per_s=drawing.link_rate_bytes_per_s,
            bits=board.bits,
        )
        return _schedule(Feasibility.of(_map_with(drawing.pixels, present), hardware))

    @app.get("/api/map/tiles", responses=refusals(503))
    def get_tiles() -> dict[str, list[list[int]]]:
        """Return the named tiles that the board can run."""
        present, _ = _present(source)
        return {
            name: [list(row) for row in tile]
            for name, tile in NAMED_TILES.items()
            if {level for row in tile for level in row} <= set(present.level_set)
        }

    @app.post("/api/map/read", responses=refusals(413, 422, 503))
    async def post_read(request: Request) -> MapDocument:
        """Return the map in a file, fitted to the board's array; the board keeps its own."""
        body = await request.body()
        return map_document(await run_in_threadpool(read_map, source, body))

    @app.post("/api/map/back", responses=refusals(409, 422, 503))
    def post_back() -> MapDocument:
        """Give the board the map back that it ran before the last upload."""
        source.back()
        return map_document(source.adaptive_map or _present(source)[0])

    @app.post("/api/map/keep", status_code=204)
    def post_keep() -> None:
        """Keep the uploaded map: the one before is forgotten."""
        source.keep()


def read_map(source: LiveSource, body: bytes) -> RatioMap:
    """Return the map in a file, tiled to the board's array."""
    present, board = _present(source)
    ratio_map = map_files.decode(body, present.slots, present.level_set)
    return ratio_map.tiled_to(board.height, board.width)


def _present(source: LiveSource) -> tuple[RatioMap, BoardIdentity]:
    present, board = source.ratio_map, source.state().board
    if present is None or board is None:
        raise HTTPException(503, "No board is connected yet; try again in a moment.")
    return present, board


def _map_with(pixels: dict[int, int], present: RatioMap) -> RatioMap:
    """Return a map of this board with so many pixels at each level, wherever they are."""
    total = sum(pixels.values())
    if total != present.levels.size:
        raise RatioMapError(f"the board has {present.levels.size:,} pixels, not {total:,}")
    if unknown := set(pixels) - set(present.level_set):
        raise RatioMapError(f"the board cannot run level {min(unknown)}")
    levels = np.repeat(np.array([*pixels], np.uint8), [*pixels.values()])
    return RatioMap(levels.reshape(present.shape), present.slots, present.level_set)


def _schedule(planned: Feasibility) -> Schedule:
    return Schedule(
        reads_per_slot=planned.reads_per_slot.tolist(),
        reads_per_window=planned.reads_per_window,
        peak_rate_hz=planned.peak_rate_hz,
        holding_rate_hz=planned.holding_rate_hz,
        fits_adc=planned.fits_adc,
        fits_adc_holding=planned.fits_adc_holding,
        link_needed_bytes_per_s=planned.link_needed_bytes_per_s,
        fits_link=planned.fits_link,
        windows_carried=planned.windows_carried,
        energy_j_per_window=planned.energy_j_per_window,
        power_w=planned.power_w,
    )
