"""REST routes of the recordings: start and stop, what there is, its windows, and its files.

Recordings are named by ids, never by paths. The progress of one is part of ``GET /api/state``.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from focalloop.firmware_sim.files import scratch_folder
from focalloop.host.live.networks import Networks
from focalloop.host.live.rebuilding import MAX_VIDEO_WINDOWS, OWN, Rebuilder
from focalloop.host.live.recording_desk import RecordingDesk
from focalloop.host.live.state import LiveSource
from focalloop.host.reconstruction.bundle import BundleError
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE
from focalloop.host.recording.messages import NS
from focalloop.host.recording.recorder import RecorderState
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.store import StoredRecording
from focalloop.host.recording.timeline import Timeline, timeline_of
from focalloop.host.service.map_document import MapDocument, map_document
from focalloop.host.service.packets import pack_picture, pack_readout
from focalloop.host.service.refusals import refusals

MAX_NOTE = 2000
"""Characters of a note."""

_BINARY = "application/octet-stream"


@dataclass(frozen=True)
class RecordingEntry:
    """A recording of the list."""

    id: str
    started: str
    """ISO 8601, UTC; empty if it cannot be read."""
    seconds: float
    bytes: int
    windows: int
    gaps: int
    """Windows missing between those recorded."""
    events: int
    notes: tuple[str, ...]
    """Noted while it was recorded."""
    note: str
    """Noted of it as a whole afterwards; until then the first of `notes`."""
    finished: bool
    """Whether nothing was cut off."""
    recovered: bool
    """Whether it was cut off and finished later."""
    board: str
    simulated: bool
    window_s: float
    """How long a window takes on the board; 0 if it is not paced."""
    problem: str
    """Why it cannot be read; empty if it can."""
    deleted_unix_s: float | None
    """When it was deleted; None if it was not. It can be brought back until `grace_s` later."""
    pinned: bool
    """Whether it is kept whatever the quota."""


class Recordings(BaseModel):
    """What there is, the newest first, and what is being recorded."""

    recordings: list[RecordingEntry]
    recording: RecorderState | None
    free_bytes: int
    """Free disk of the folder."""
    floor_bytes: int
    """Free disk at which a recording ends by itself."""
    quota_bytes: int | None
    """What all of them may take before the oldest that are not pinned are removed; None if any."""
    grace_s: float


class RecordingStart(BaseModel):
    """How to record."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""
    pictures: bool = False
    """Add a picture of each window, for viewers of MCAP files."""


class RecordingNote(BaseModel):
    """A note in the recording that is going on."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=MAX_NOTE)]


class RecordingAbout(BaseModel):
    """A note of a recording as a whole; empty for none."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_NOTE)]


@dataclass(frozen=True)
class RecordedWindowDocument:
    """One window of a recording."""

    index: int
    number: int
    """The board's number."""
    at_s: float
    """End of its last slot, seconds from the start of the recording."""
    kind: str
    bits: int
    reads: int
    map_hash: str
    skipped: int
    bundles: tuple[str, ...]
    """Shipped bundles whose network suits the map, those made for it first."""


def add_recording_routes(app: FastAPI, source: LiveSource, networks: Networks) -> None:
    """Add the routes to the service."""
    rebuilder = Rebuilder(networks)

    def desk() -> RecordingDesk:
        if source.recordings is None:
            raise HTTPException(404, "This service keeps no recordings.")
        return source.recordings

    @app.get("/api/recordings", responses=refusals(404))
    def get_recordings() -> Recordings:
        """Return what there is, the newest first, deleted ones included until their grace ends."""
        store = desk().store
        return Recordings(
            recordings=[_entry(each) for each in store.recordings()],
            recording=desk().state(),
            free_bytes=store.free_bytes,
            floor_bytes=store.floor_bytes,
            quota_bytes=store.quota_bytes,
            grace_s=store.grace_s,
        )

    @app.post("/api/recordings", status_code=201, responses=refusals(400, 404, 409, 422, 503))
    def post_recording(start: RecordingStart) -> RecorderState:
        """Begin a recording, whose id is ``name``; the state has its progress, `recording`."""
        return desk().start(start.note, pictures=start.pictures)

    @app.post("/api/recordings/stop", responses=refusals(404, 409))
    def post_stop() -> RecorderState:
        """End the recording; answers once its file is finished."""
        return desk().stop()

    @app.post("/api/recordings/notes", responses=refusals(400, 404, 409, 422))
    def post_note(note: RecordingNote) -> RecorderState:
        """Add a note to the recording that is going on."""
        desk().note(note.text)
        state = desk().state()
        assert state is not None
        return state

    @app.put("/api/recordings/{id}/note", status_code=204, responses=refusals(400, 404, 422, 503))
    def put_note(id: str, about: RecordingAbout) -> None:
        """Note something of a recording as a whole; the file itself stays as it is."""
        desk().store.note(id, about.text)

    @app.put("/api/recordings/{id}/pin", status_code=204, responses=refusals(404, 422, 503))
    def put_pin(id: str) -> None:
        """Keep a recording whatever the quota."""
        desk().store.pin(id)

    @app.delete("/api/recordings/{id}/pin", status_code=204, responses=refusals(404, 422))
    def delete_pin(id: str) -> None:
        """Keep a recording as long as the quota allows."""
        desk().store.pin(id, False)

    @app.delete("/api/recordings/{id}", status_code=204, responses=refusals(404, 422))
    def delete_recording(id: str) -> None:
        """Delete a recording; ``POST .../restore`` brings it back for `grace_s` seconds."""
        desk().store.delete(id)

    @app.post("/api/recordings/{id}/restore", status_code=204, responses=refusals(404, 422))
    def post_restore(id: str) -> None:
        """Bring a deleted recording back."""
        desk().store.restore(id)

    @app.get("/api/recordings/{id}/timeline", responses=refusals(404, 422))
    def get_timeline(id: str) -> Timeline:
        """Return windows and events per second, and the events, notes and gaps themselves."""
        with desk().store.open(id) as recording:
            return timeline_of(recording)

    @app.get("/api/recordings/{id}/file", response_class=Response, responses=refusals(404, 422))
    def get_file(id: str) -> Response:
        """Return the recording as a file (MCAP)."""
        return FileResponse(desk().store.path(id), media_type=_BINARY, filename=f"{id}.mcap")

    @app.get("/api/recordings/{id}/windows/{index}", responses=refusals(404, 422))
    def get_window(id: str, index: int) -> RecordedWindowDocument:
        """Return what is known of a window, by its place in the recording from 0."""
        with desk().store.open(id) as recording:
            recorded = recording.window(index)
            return _window_document(recording, index, rebuilder.bundles(recorded.window.ratio_map))

    @app.get("/api/recordings/{id}/windows/{index}/map", responses=refusals(404, 422))
    def get_window_map(id: str, index: int) -> MapDocument:
        """Return the ratio map of a window."""
        with desk().store.open(id) as recording:
            return map_document(recording.window(index).window.ratio_map)

    @app.get(
        "/api/recordings/{id}/windows/{index}/picture",
        response_class=Response,
        responses=refusals(404, 422, 503),
    )
    def get_picture(
        id: str,
        index: int,
        bundle: str = NETWORK_FREE,
        step: Annotated[int, Query(ge=1, le=16)] = 4,
    ) -> Response:
        """Return a window rebuilt by a bundle, as a picture message of the preview socket.

        The header ``Reconstructed-By`` names another bundle where the network of this one was
        trained for another map.
        """
        _check_bundle(source, bundle)
        with desk().store.open(id) as recording:
            picture, by = rebuilder.picture(recording, index, bundle, step)
        headers = {"Reconstructed-By": by}
        return Response(pack_picture(picture, step), media_type=_BINARY, headers=headers)

    @app.get(
        "/api/recordings/{id}/windows/{index}/readout",
        response_class=Response,
        responses=refusals(404, 422, 503),
    )
    def get_readout(id: str, index: int) -> Response:
        """Return the measurements of a window, as a readout message of the preview socket."""
        with desk().store.open(id) as recording:
            picture, _ = rebuilder.picture(recording, index, NETWORK_FREE, 16)
        return Response(pack_readout(picture), media_type=_BINARY)

    @app.get(
        "/api/recordings/{id}/windows/{index}/reads.npz",
        response_class=Response,
        responses=refusals(404, 422),
    )
    def get_reads(id: str, index: int) -> Response:
        """Return the reads of a window (8, H, W) in signal units, with the levels of its map."""
        with desk().store.open(id) as recording:
            window = recording.window(index).window
        arrays: dict[str, Any] = {"reads": window.reads, "levels": window.ratio_map.levels}
        body = io.BytesIO()
        np.savez_compressed(body, **arrays)
        return _download(body.getvalue(), f"{id}-{index}.npz")

    @app.get(
        "/api/recordings/{id}/video.mp4", response_class=Response, responses=refusals(404, 422, 503)
    )
    def get_video(
        id: str,
        bundle: str = NETWORK_FREE,
        first: Annotated[int, Query(ge=0)] = 0,
        count: Annotated[int, Query(ge=1, le=MAX_VIDEO_WINDOWS)] = 15,
    ) -> Response:
        """Return windows rebuilt by a bundle as a video; at most ten seconds of it at a time."""
        _check_bundle(source, bundle)
        with desk().store.open(id) as recording, scratch_folder() as scratch:
            path = scratch / "video.mp4"
            rebuilder.video(recording, first, count, bundle, path)
            return _download(path.read_bytes(), f"{id}.mp4", "video/mp4")


def _check_bundle(source: LiveSource, bundle: str) -> None:
    """Refuse what is no bundle of the list, such as a path."""
    names = [each.name for each in source.bundles()]
    if bundle not in (OWN, NETWORK_FREE, *names):
        raise BundleError(f"there is no bundle {bundle!r} here: choose one of {', '.join(names)}")


def _entry(stored: StoredRecording) -> RecordingEntry:
    summary = stored.summary
    started = ""
    if summary is not None:
        started = datetime.fromtimestamp(summary.start_ns / NS, UTC).isoformat(timespec="seconds")
    notes = () if summary is None else summary.notes
    return RecordingEntry(
        id=stored.id,
        started=started,
        seconds=0.0 if summary is None else summary.seconds,
        bytes=0 if summary is None else summary.bytes,
        windows=0 if summary is None else summary.windows,
        gaps=0 if summary is None else summary.gaps,
        events=0 if summary is None else summary.events,
        notes=notes,
        note=stored.note if stored.note is not None else next(iter(notes), ""),
        finished=summary is None or summary.finished,
        recovered=summary is not None and summary.recovered,
        board="" if summary is None else summary.board,
        simulated=summary is not None and summary.simulated,
        window_s=0.0 if summary is None else summary.window_s,
        problem=stored.problem,
        deleted_unix_s=stored.deleted_unix_s,
        pinned=stored.pinned,
    )


def _window_document(
    recording: Recording, index: int, bundles: tuple[str, ...]
) -> RecordedWindowDocument:
    recorded = recording.window(index)
    window = recorded.window
    return RecordedWindowDocument(
        index=index,
        number=window.number,
        at_s=recorded.ended_ns / NS - recording.start_ns / NS,
        kind=window.kind.name.lower(),
        bits=window.bits,
        reads=window.plan.count,
        map_hash=window.ratio_map.hash_hex,
        skipped=window.skipped,
        bundles=bundles,
    )


def _download(body: bytes, name: str, media_type: str = _BINARY) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=media_type, headers=disposition)
