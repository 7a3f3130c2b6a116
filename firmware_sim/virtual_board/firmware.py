"""The firmware of the virtual board: its sensor, its uploads, and the answer to every request.

It works with messages; `focalloop.firmware_sim.virtual_board.board` puts them into frames.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.scenes.scene import SceneSource
from focalloop.firmware_sim.virtual_board.refusal import Refusal
from focalloop.firmware_sim.virtual_board.replay import Replay, ReplayedSensor
from focalloop.firmware_sim.virtual_board.sensor import MakeReader, VirtualSensor
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.virtual_board.upload_store import UploadStore
from focalloop.firmware_sim.virtual_board.window_requests import (
    Message,
    WindowRequests,
    check_empty,
)
from focalloop.firmware_sim.wire import ErrorCode, MessageType

FIRMWARE = "focalloop virtual board 0.1"
"""Firmware name and version in HELLO."""

MAX_OBJECT_BYTES = 16 << 20
"""Longest upload: the aperture of an array of 2896x2896 pixels and 16 slots."""


class VirtualFirmware:
    """One boot of a virtual board: everything that a reset loses.

    Parameters
    ----------
    settings : BoardSettings
        What it starts with.
    scene : SceneSource
        What its sensor looks at.
    boot_id : int
        Distinguishes this boot from others.
    open_scene : callable or None
        Opens another scene for CONFIGURE; None refuses.
    make_reader : callable
        Makes the emulator of the readout.
    replay : Replay or None, optional
        What the sensor reads out instead of its scene.
    """

    def __init__(
        self,
        settings: BoardSettings,
        scene: SceneSource,
        boot_id: int,
        open_scene: Callable[[str], SceneSource] | None,
        make_reader: MakeReader,
        replay: Replay | None = None,
    ) -> None:
        self.boot_id = boot_id
        self.uptime_us = 0
        self.good_frames = 0
        self.bad_frames = 0
        self.payload = min(wire.DEFAULT_MAX_PAYLOAD, settings.max_payload)
        if replay is not None:
            self.sensor: VirtualSensor = ReplayedSensor(replay, settings)
        else:
            self.sensor = VirtualSensor(
                scene,
                settings.profile,
                settings.seed,
                settings.slot_rate_hz,
                settings.ratio_map,
                make_reader,
                settings.pattern,
            )
        self._settings = settings
        self._start_scene = scene
        self._open_scene = open_scene
        self._uploads = UploadStore(MAX_OBJECT_BYTES)
        self._logs: deque[wire.Log] = deque(maxlen=16)
        self._windows = WindowRequests(self.sensor, settings.level_set, self.payload)
        self._actions: dict[int, Callable[[bytes], bytes]] = {
            MessageType.HELLO: self._hello,
            MessageType.STATUS: self._status,
            MessageType.CONFIGURE: self._configure,
            MessageType.UPLOAD_BEGIN: self._upload_begin,
            MessageType.UPLOAD_CHUNK: self._upload_chunk,
            MessageType.UPLOAD_COMMIT: self._upload_commit,
            MessageType.TIME_SYNC: self._time_sync,
            MessageType.RESET: _reset,
            **self._windows.actions,
        }

    def answer(self, type_: int, body: bytes) -> bytes:
        """Execute a request and return the body of its answer.

        Raises
        ------
        Refusal
            If it cannot be executed.
        """
        action = self._actions.get(type_)
        if action is None:
            raise Refusal(
                ErrorCode.UNKNOWN_TYPE, f"this board has no request of type 0x{type_:02x}"
            )
        try:
            return action(body)
        except wire.WireError as error:
            raise Refusal(ErrorCode.BAD_BODY, str(error)) from error
        except FocalloopError as error:
            raise Refusal(ErrorCode.INTERNAL, str(error)) from error

    def next_message(self) -> Message | None:
        """Return the next unrequested message: logs first, then repairs and windows."""
        if not self._logs:
            try:
                return self._windows.next_message()
            except FocalloopError as error:
                self._fail(error)
        return MessageType.LOG, self._logs.popleft().pack()

    def advance(self, uptime_us: int) -> None:
        """Let time pass: the sensor reads out the windows that have ended by now."""
        self.uptime_us = self._windows.clock_us = uptime_us
        try:
            self._windows.expose()
        except FocalloopError as error:
            self._fail(error)

    def end_session(self) -> None:
        """Stop exposing, drop everything that was still to be sent, and all grids."""
        self._windows.clear()
        self.sensor.active.rest()
        self._logs.clear()
        self._set_payload(wire.DEFAULT_MAX_PAYLOAD)

    def close(self) -> None:
        """Close a scene that CONFIGURE opened."""
        if self.sensor.scene is not self._start_scene:
            self.sensor.scene.close()

    # About the board

    def _hello(self, body: bytes) -> bytes:
        if body and body[0] != wire.PROTOCOL_VERSION:  # the rest may have another layout
            raise version_mismatch(body[0])
        request = wire.HelloRequest.unpack(body)
        if request.max_payload < wire.MIN_MAX_PAYLOAD:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"a host must accept bodies of at least {wire.MIN_MAX_PAYLOAD} bytes, "
                f"not {request.max_payload}",
            )
        self.end_session()
        self._set_payload(request.max_payload)
        return self._identity()

    def _identity(self) -> bytes:
        settings, sensor = self._settings, self.sensor
        return wire.HelloAnswer(
            boot_id=self.boot_id,
            max_payload=settings.max_payload,
            height=sensor.shape[0],
            width=sensor.shape[1],
            slots=sensor.slots,
            bits=sensor.profile.bits,
            black_level_dn=sensor.profile.black_level_dn,
            full_scale_dn=sensor.profile.full_scale_dn,
            level_set=settings.level_set,
            max_in_flight=wire.MAX_IN_FLIGHT,
            held_windows=wire.HELD_WINDOWS,
            max_object=MAX_OBJECT_BYTES,
            features=sensor.features,
            slot_rate_hz=settings.slot_rate_hz,
            name=settings.name,
            firmware=FIRMWARE,
            serial=settings.serial,
        ).pack()

    def _status(self, body: bytes) -> bytes:
        check_empty(body)
        sensor = self.sensor
        run = sensor.run
        kind, offset = self._uploads.latest
        return wire.StatusAnswer(
            boot_id=self.boot_id,
            state=self._windows.state,
            map_hash=sensor.active.hash(),
            next_window=sensor.next_window,
            oldest_window=next(iter(sensor.held), sensor.next_window),
            credit_limit=run.limit if run is not None and run.endless else 0,
            uptime_us=self.uptime_us,
            good_frames=self.good_frames % 2**32,
            bad_frames=self.bad_frames % 2**32,
            upload_kind=kind,
            upload_offset=offset,
            skipped=sensor.skipped % 2**32,
        ).pack()

    def _configure(self, body: bytes) -> bytes:
        request = wire.ConfigureRequest.unpack(body)
        sensor = self.sensor
        if wire.Feature.EMULATOR not in sensor.features:
            raise Refusal(ErrorCode.UNSUPPORTED, "this board replays a recording as it was taken")
        profile = sensor.profile
        if request.profile is not None:
            if sensor.run is not None:
                raise Refusal(
                    ErrorCode.BUSY,
                    "the noise profile cannot change while windows are exposed: stop them first",
                )
            profile = _profile(request.profile, sensor.slots)
            if self._settings.pattern is not None and not profile.adc:
                raise Refusal(
                    ErrorCode.BAD_ARGUMENT,
                    f"the profile {profile.name} is exact, but this board has a fixed pattern",
                )
        if request.scene is not None:
            scene = self._opened(request.scene)
            self.close()
            sensor.scene = scene
        seed = sensor.seed if request.seed is None else request.seed
        sensor.set_noise(profile, seed)
        self._log(wire.LogLevel.INFO, f"noise profile {profile.name}, seed {seed}")
        return self._identity()

    def _opened(self, text: str) -> SceneSource:
        if self._open_scene is None:
            raise Refusal(ErrorCode.UNSUPPORTED, "this board cannot change its scene")
        try:
            scene = self._open_scene(text)
        except FocalloopError as error:
            raise Refusal(ErrorCode.BAD_ARGUMENT, str(error)) from error
        sensor = self.sensor
        if (scene.shape, scene.slots) != (sensor.shape, sensor.slots):
            scene.close()
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"the scene {text} does not fit the array size or the slots of this board",
            )
        return scene

    def _time_sync(self, body: bytes) -> bytes:
        wire.TimeSyncRequest.unpack(body)
        return wire.TimeSyncAnswer(self.uptime_us).pack()

    # Maps

    def _upload_begin(self, body: bytes) -> bytes:
        return self._uploads.begin(wire.UploadBeginRequest.unpack(body), self.payload).pack()

    def _upload_chunk(self, body: bytes) -> bytes:
        return self._uploads.put(wire.UploadChunkRequest.unpack(body)).pack()

    def _upload_commit(self, body: bytes) -> bytes:
        request = wire.UploadCommitRequest.unpack(body)
        active = self.sensor.active
        answer = wire.UploadCommitAnswer(request.map_hash).pack()
        if active.resting is not None and active.hash() == request.map_hash:
            self._uploads.drop(request.kinds)
            return answer
        new = self._uploads.assemble(request.kinds, active.resting)
        if misfit := self._misfit(new) or self.sensor.misfit(new):
            self._uploads.drop(request.kinds)
            raise Refusal(ErrorCode.BAD_MAP, misfit)
        if new.hash() != request.map_hash:
            raise Refusal(
                ErrorCode.HASH_MISMATCH,
                f"the uploaded map has the hash {new.hash_hex[:16]}..., "
                f"not {request.map_hash.hex()[:16]}...",
            )
        active.activate(new)
        self._windows.disarm()
        self._uploads.drop(request.kinds)
        what = "ratio" if isinstance(new, RatioMap) else "adaptive"
        self._log(wire.LogLevel.INFO, f"{what} map {new.hash_hex[:16]} is active")
        return answer

    def _misfit(self, new: RatioMap | AdaptiveMap) -> str:
        """Return why this board cannot run a map, or nothing."""
        resting = new if isinstance(new, RatioMap) else new.resting
        ours = (*self.sensor.shape, self.sensor.slots, self._settings.level_set)
        theirs = (*resting.shape, resting.slots, resting.level_set)
        if theirs != ours:
            return f"the map is for {_describe(*theirs)}; this board has {_describe(*ours)}"
        room = self._settings.max_payload - wire.GRID_OVERHEAD
        if isinstance(new, AdaptiveMap) and math.prod(new.grid_shape) > room:
            return (
                f"a grid of {math.prod(new.grid_shape)} blocks does not fit the frames of this "
                f"board, which hold {room}: use larger blocks"
            )
        return ""

    def _set_payload(self, max_payload: int) -> None:
        self.payload = self._windows.payload = min(max_payload, self._settings.max_payload)

    def _fail(self, error: FocalloopError) -> None:
        self._windows.stop()
        self._log(wire.LogLevel.ERROR, f"stopped: {error}")

    def _log(self, level: wire.LogLevel, text: str) -> None:
        cut = text.encode()[: self.payload - 1].decode(errors="ignore")
        self._logs.append(wire.Log(level, cut))


def version_mismatch(version: int) -> Refusal:
    """Return the refusal of a host with another version of the protocol."""
    return Refusal(
        ErrorCode.VERSION_MISMATCH,
        f"this board speaks protocol version {wire.PROTOCOL_VERSION}, the host {version}: "
        "update the older of the two",
    )


def _reset(body: bytes) -> bytes:
    """Answer only: the board restarts once the answer is written."""
    check_empty(body)
    return b""


def _profile(setting: str | dict[str, object], slots: int) -> NoiseProfile:
    try:
        if isinstance(setting, str):
            return preset(setting, slots)
        return NoiseProfile.from_dict(setting)
    except FocalloopError as error:
        raise Refusal(ErrorCode.BAD_ARGUMENT, str(error)) from error


def _describe(height: int, width: int, slots: int, level_set: tuple[int, ...]) -> str:
    levels = ", ".join(map(str, level_set))
    return f"{width}x{height} pixels, {slots} slots and levels {levels}"
