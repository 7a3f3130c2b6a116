"""An emulated board: the wire protocol as a state machine over bytes.

It does what a real board does on its side of the line, without I/O or a clock: bytes go in with
`VirtualBoard.receive` and come out of `VirtualBoard.poll`, which takes the time as an
argument. `focalloop.firmware_sim.serving.transport` puts it on a pseudo-terminal or TCP port.

Not modelled: registers, power, temperature, and the time that conversion and computation take
beyond the slots themselves. Memory is bounded whatever a host does: requests beyond
`MAX_QUEUED_REQUESTS` are dropped, windows are read out only into free buffers, and uploads above
the size stated in HELLO are refused.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.scenes.scene import SceneSource
from focalloop.firmware_sim.virtual_board.firmware import VirtualFirmware, version_mismatch
from focalloop.firmware_sim.virtual_board.refusal import Refusal
from focalloop.firmware_sim.virtual_board.replay import Replay
from focalloop.firmware_sim.virtual_board.sensor import MakeReader, make_emulator
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Frame, MessageType

__all__ = ["MAX_QUEUED_REQUESTS", "POLL_BYTES", "BoardSettings", "VirtualBoard"]

MAX_QUEUED_REQUESTS = 64
"""Requests queued while the outgoing line is busy; a host has at most `wire.MAX_IN_FLIGHT`."""

POLL_BYTES = 256 * 1024
"""Bytes that one poll returns by default, to within a frame."""


class VirtualBoard:
    """An emulated board: bytes in, bytes out, with the time as an argument.

    Parameters
    ----------
    scene : SceneSource
        What its sensor looks at; determines the array size and the slots per window.
    settings : BoardSettings
        Everything else.
    open_scene : callable, optional
        Opens another scene for CONFIGURE, from the user's text; None refuses.
    make_reader : callable
        Makes the emulator of the readout; the default loads Numba with the first exposure.
    new_boot_id : callable
        Draws the 32-bit number that distinguishes boots.
    replay : Replay, optional
        What its sensor reads out instead of the scene.
    """

    def __init__(
        self,
        scene: SceneSource,
        settings: BoardSettings,
        *,
        open_scene: Callable[[str], SceneSource] | None = None,
        make_reader: MakeReader = make_emulator,
        new_boot_id: Callable[[], int] = lambda: secrets.randbits(32),
        replay: Replay | None = None,
    ) -> None:
        self._settings = settings

        def start_firmware() -> VirtualFirmware:
            return VirtualFirmware(
                self._settings, scene, new_boot_id(), open_scene, make_reader, replay
            )

        self._start_firmware = start_firmware
        self._now_us = 0
        self._boot()

    def receive(self, data: bytes) -> None:
        """Take any bytes off the line; the next `poll` acts on them."""
        for frame in self._decoder.feed(data):
            if not frame.is_response and len(self._requests) < MAX_QUEUED_REQUESTS:
                self._requests.append(frame)

    def poll(self, now_us: int, room: int = POLL_BYTES) -> bytes:
        """Let time pass and return bytes to send.

        Parameters
        ----------
        now_us : int
            Time of any monotonic clock, in microseconds.
        room : int
            Bytes that the line can take now. 0 lets the sensor run without sending; otherwise the
            last frame may exceed it.

        Returns
        -------
        bytes
            Whole frames. If shorter than `room`, nothing more is due before input or `next_due_us`.
        """
        self._now_us = max(self._now_us, now_us)
        self._firmware.advance(self._uptime_us)
        out: list[bytes] = []
        size = 0
        while size < room:
            frame = self._next_frame()
            if frame is None:
                break
            out.append(frame)
            size += len(frame)
        return b"".join(out)

    @property
    def next_due_us(self) -> int | None:
        """Time at which `poll` next has something to do without input; None: not before input."""
        due_us = self._firmware.sensor.next_due_us
        return None if due_us is None else due_us + (self._boot_us or 0)

    def disconnect(self) -> None:
        """End the session, as when the line is closed; map, uploads and held windows remain."""
        self._decoder.clear()
        self._requests.clear()
        self._answers.clear()
        self._firmware.end_session()

    def reset(self) -> None:
        """Restart at once, as after pressing a reset button: everything volatile is lost."""
        self._firmware.close()
        self._boot()

    def limit_payload(self, max_payload: int) -> None:
        """Offer bodies of at most `max_payload` bytes, as on a slow line; reboots the board."""
        offered = min(max_payload, self._settings.max_payload)
        self._settings = replace(self._settings, max_payload=offered)
        self._boot()

    def warm_up(self) -> None:
        """Have Numba compile the emulator's kernels now, or load them from its cache.

        The first compilation on a machine takes up to half a minute, during which a served board
        would not answer. Call this before serving it.
        """
        self._firmware.sensor.warm_up()

    def _boot(self) -> None:
        self._firmware = self._start_firmware()
        self._decoder = wire.FrameDecoder(self._settings.max_payload)
        self._requests: deque[Frame] = deque()
        self._answers: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._unrequested_count = 0
        self._boot_us: int | None = None

    @property
    def _uptime_us(self) -> int:
        if self._boot_us is None:
            self._boot_us = self._now_us
        return self._now_us - self._boot_us

    def _next_frame(self) -> bytes | None:
        """Return the next frame to send; answers come first."""
        if self._requests:
            return self._answer(self._requests.popleft())
        message = self._firmware.next_message()
        if message is None:
            return None
        type_, body = message
        frame = Frame(type_, self._unrequested_count, body)
        self._unrequested_count = (self._unrequested_count + 1) % 65536
        return frame.encode()

    def _answer(self, request: Frame) -> bytes:
        key = (request.sequence, request.crc)
        # HELLO always starts a session: another host may begin with the same number and name.
        if key in self._answers and request.type != MessageType.HELLO:
            return self._answers[key]
        self._firmware.good_frames, self._firmware.bad_frames = (
            self._decoder.good,
            self._decoder.bad,
        )
        flags = wire.FLAG_RESPONSE
        try:
            if request.version != wire.PROTOCOL_VERSION:
                raise version_mismatch(request.version)
            body = self._firmware.answer(request.type, request.body)
        except Refusal as refusal:
            flags |= wire.FLAG_ERROR
            room = self._firmware.payload - wire.ErrorAnswer.LAYOUT.size
            text = str(refusal).encode()[:room].decode(errors="ignore")
            body = wire.ErrorAnswer(refusal.code, text).pack()
        answer = Frame(request.type, request.sequence, body, flags).encode()
        if not flags & wire.FLAG_ERROR:
            if request.type == MessageType.RESET:
                self.reset()
                return answer
            if request.type == MessageType.HELLO:
                self._answers.clear()
        self._answers[key] = answer
        while len(self._answers) > wire.ANSWER_CACHE:
            self._answers.popitem(last=False)
        return answer
