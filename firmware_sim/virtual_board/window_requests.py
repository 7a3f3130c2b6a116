"""Requests for windows: captures, streams and calibration captures, and repairs of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.virtual_board.refusal import Refusal
from focalloop.firmware_sim.virtual_board.sensor import HeldWindow, Run, VirtualSensor
from focalloop.firmware_sim.wire import BoardState, ErrorCode, MessageType, WindowKind

WINDOW_BUFFERS = 2
"""Windows read out and not yet sent: one on the line, and one behind it."""

MAX_WINDOW_NUMBER = 2**32 - 1
"""Window numbers stay below this; a board that reaches it must be reset."""

Message = tuple[MessageType, bytes]
"""Type and packed body."""


class WindowRequests:
    """Starts and stops the sensor, and sends its windows as far as buffers and credit allow.

    Parameters
    ----------
    sensor : VirtualSensor
        The sensor of this boot.
    level_set : tuple of int
        Its levels.

    Attributes
    ----------
    clock_us : int
        Board clock, to be set before every call.
    payload : int
        Longest body of the session, in bytes.
    actions : dict of int to callable
        The action for each message type, from the request's body to the answer's.
    """

    def __init__(self, sensor: VirtualSensor, level_set: tuple[int, ...], payload: int) -> None:
        self.clock_us = 0
        self.payload = payload
        self.actions: dict[int, Callable[[bytes], bytes]] = {
            MessageType.ARM: self._arm,
            MessageType.GRID: self._grid,
            MessageType.CAPTURE: self._capture,
            MessageType.STREAM_START: self._stream_start,
            MessageType.STREAM_CREDIT: self._stream_credit,
            MessageType.STREAM_STOP: self._stream_stop,
            MessageType.RESEND: self._resend,
            MessageType.DARK_CAPTURE: self._dark_capture,
            MessageType.CALIBRATION_CAPTURE: self._calibration_capture,
            MessageType.SCENE: self._scene,
        }
        self._sensor = sensor
        self._level_set = level_set
        self._armed = False
        self._repairs: deque[Iterator[Message]] = deque()
        self._windows: deque[HeldWindow] = deque()
        self._sending: Iterator[Message] = iter(())

    @property
    def state(self) -> BoardState:
        """What the sensor is doing."""
        run = self._sensor.run
        if run is None:
            return BoardState.ARMED if self._armed else BoardState.IDLE
        return BoardState.STREAMING if run.endless else BoardState.CAPTURING

    def expose(self, buffers: int = WINDOW_BUFFERS) -> None:
        """Let the sensor run up to `clock_us`, with `buffers` for windows that are not yet sent.

        Raises
        ------
        FocalloopError
            If the scene fails.
        """
        self._windows.extend(self._sensor.expose(self.clock_us, buffers - len(self._windows)))

    def next_message(self) -> Message | None:
        """Return the next unrequested message: repairs first, then windows in order."""
        while self._repairs:
            message = next(self._repairs[0], None)
            if message is not None:
                return message
            self._repairs.popleft()
        while True:
            message = next(self._sending, None)
            if message is not None:
                return message
            if not self._windows:
                self.expose(buffers=1)
            if not self._windows:
                return None
            self._sending = self._window_messages(self._windows.popleft())

    def stop(self) -> None:
        """Stop exposing; windows not yet sent are held, and sent only on request."""
        self._sensor.stop()
        self._armed = False
        self._windows.clear()
        self._sending = iter(())

    def clear(self) -> None:
        """Stop, and send nothing more, not even repairs."""
        self.stop()
        self._repairs.clear()

    def disarm(self) -> None:
        """Undo ARM, as when the map has changed."""
        self._armed = False

    def _arm(self, body: bytes) -> bytes:
        check_empty(body)
        self._check_idle()
        self._sensor.prepare(self._active_map())
        self._armed = True
        return b""

    def _active_map(self) -> RatioMap:
        active = self._sensor.active.resting
        if active is None:
            raise Refusal(ErrorCode.NO_MAP, "this board has no ratio map yet: upload one")
        return active

    def _grid(self, body: bytes) -> bytes:
        next_begun = self._sensor.next_begun
        self._sensor.active.set_grid(wire.GridRequest.unpack(body), next_begun)
        return wire.WindowNumber(next_begun).pack()

    def _capture(self, body: bytes) -> bytes:
        count = wire.CaptureRequest.unpack(body).count
        self._check_idle()
        self._active_map()
        return self._start(Run(self._limit(count)))

    def _stream_start(self, body: bytes) -> bytes:
        credit = wire.StreamStartRequest.unpack(body).credit
        self._check_idle()
        self._active_map()
        limit = min(self._sensor.next_window + credit, MAX_WINDOW_NUMBER)
        return self._start(Run(limit, endless=True))

    def _stream_credit(self, body: bytes) -> bytes:
        limit = wire.StreamCreditRequest.unpack(body).limit
        run = self._sensor.run
        if run is None or not run.endless:
            raise Refusal(ErrorCode.BAD_ARGUMENT, "there is no stream to give credit to")
        run.limit = max(run.limit, limit)
        return b""

    def _stream_stop(self, body: bytes) -> bytes:
        check_empty(body)
        self.stop()
        return wire.WindowNumber(self._sensor.next_window).pack()

    def _dark_capture(self, body: bytes) -> bytes:
        request = wire.DarkCaptureRequest.unpack(body)
        return self._even_light(WindowKind.DARK, request.level, request.windows, 0.0)

    def _calibration_capture(self, body: bytes) -> bytes:
        request = wire.CalibrationCaptureRequest.unpack(body)
        if not 0.0 <= request.light <= 1.0:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT, f"the light must be 0 to 1, not {request.light:g}"
            )
        return self._even_light(WindowKind.FLAT, request.level, request.windows, request.light)

    def _even_light(self, kind: WindowKind, level: int, windows: int, light: float) -> bytes:
        levels = [level for level in self._level_set if level > 0]
        if level not in levels:
            raise Refusal(ErrorCode.BAD_ARGUMENT, f"the level must be one of {levels}, not {level}")
        self._check_idle()
        sensor = self._sensor
        shape = (sensor.slots, *sensor.shape)
        ratio_map = RatioMap.uniform(level, sensor.shape, sensor.slots, self._level_set)
        # Without a converter only a uint8 scene gives codes; float32 would give signal.
        scene = (
            np.full(shape, light, np.float32)
            if sensor.profile.adc
            else np.full(shape, math.floor(light * 255 + 0.5), np.uint8)
        )
        return self._start(Run(self._limit(windows), False, kind, ratio_map, scene, level))

    def _resend(self, body: bytes) -> bytes:
        request = wire.ResendRequest.unpack(body)
        window = self._held(request.window)
        self._check_repairs()
        total = window.descriptor.total
        if request.length == 0:
            self._repairs.append(self._window_messages(window, request.offset))
            return b""
        if request.offset + request.length > total:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"window {request.window} has {total} bytes, which do not include "
                f"{request.offset} to {request.offset + request.length}",
            )
        self._repairs.append(
            self._fragments(
                MessageType.READOUT,
                request.window,
                window.readout[request.offset : request.offset + request.length],
                request.offset,
            )
        )
        return b""

    def _scene(self, body: bytes) -> bytes:
        request = wire.SceneRequest.unpack(body)
        window = self._held(request.window)
        self._check_repairs()
        slots = self._sensor.slots
        if window.scene is None:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT, f"window {request.window} was not exposed to a scene"
            )
        if request.first_slot >= slots or request.step == 0:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"a window has {slots} slots, which do not include slot {request.first_slot} in "
                f"steps of {request.step}",
            )
        data = window.scene[request.first_slot :: request.step].tobytes()
        self._repairs.append(self._fragments(MessageType.SCENE_DATA, request.window, data, 0))
        return wire.SceneAnswer(len(data)).pack()

    def _start(self, run: Run) -> bytes:
        first = self._sensor.next_window
        self._armed = False
        self._sensor.start(run, self.clock_us)
        return wire.WindowNumber(first).pack()

    def _limit(self, count: int) -> int:
        limit = self._sensor.next_window + count
        if count == 0 or limit > MAX_WINDOW_NUMBER:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"{count} windows cannot be captured: "
                + (
                    "reset the board, whose window numbers run out"
                    if count
                    else "ask for 1 to 65535"
                ),
            )
        return limit

    def _check_idle(self) -> None:
        if self._sensor.run is not None:
            raise Refusal(ErrorCode.BUSY, "windows are already being exposed: stop them first")

    def _held(self, number: int) -> HeldWindow:
        window = self._sensor.held.get(number)
        if window is None:
            raise Refusal(
                ErrorCode.WINDOW_GONE,
                f"window {number} is not held: only the last {wire.HELD_WINDOWS} are",
            )
        return window

    def _check_repairs(self) -> None:
        if len(self._repairs) >= wire.MAX_IN_FLIGHT:
            raise Refusal(
                ErrorCode.BUSY, f"{wire.MAX_IN_FLIGHT} repairs are waiting: ask again later"
            )

    def _window_messages(self, window: HeldWindow, offset: int = 0) -> Iterator[Message]:
        """Yield a window's descriptor, and its readout from `offset` on, possibly past its end."""
        yield MessageType.WINDOW, window.descriptor.pack()
        number, rest = window.descriptor.window, window.readout[offset:]
        yield from self._fragments(MessageType.READOUT, number, rest, offset)

    def _fragments(
        self, type_: MessageType, window: int, data: bytes, base: int
    ) -> Iterator[Message]:
        step = self.payload - wire.FRAGMENT_OVERHEAD
        for start in range(0, len(data), step):
            fragment = wire.Fragment(window, base + start, data[start : start + step])
            yield type_, fragment.pack()


def check_empty(body: bytes) -> None:
    """Raise WireError unless the body is empty."""
    if body:
        raise wire.WireError(f"a request without arguments has no body, not {len(body)} bytes")
