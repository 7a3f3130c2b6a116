"""A board that is not there: the whole protocol as a state machine over bytes.

It does what a real board does on its side of the line, and nothing of the line itself: bytes go in
with :meth:`VirtualBoard.receive` and come out of :meth:`VirtualBoard.poll`, which is also told the
time. :mod:`focalloop.firmware_sim.serving.transport` puts it on a pseudo-terminal or a TCP port.

Not modelled: registers, power, temperature, and the time that converting and computing take beyond
the slots themselves. Memory is bounded whatever a host does or fails to do: requests beyond
`REQUEST_QUEUE` are dropped, windows are read out into free buffers only, and an upload is refused
above the size stated in HELLO.
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
from focalloop.firmware_sim.virtual_board.sensor import MakeReader, make_emulator
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Frame, MessageType

__all__ = ["POLL_BYTES", "REQUEST_QUEUE", "BoardSettings", "VirtualBoard"]

REQUEST_QUEUE = 64
"""Requests held while the line out is busy; a host has `wire.MAX_IN_FLIGHT` at most."""

POLL_BYTES = 256 * 1024
"""Bytes after which one poll hands over what it has."""


class VirtualBoard:
    """An emulated board: bytes in, bytes out, time as an argument.

    Parameters
    ----------
    scene : SceneSource
        What its sensor looks at; gives the array size and the slots of a window.
    settings : BoardSettings
        All the rest.
    open_scene : callable, optional
        Opens another scene for CONFIGURE, from the text a user gives; None refuses.
    make_reader : callable
        Emulator of the read-out; the default loads Numba when the first window is exposed.
    new_boot_id : callable
        Draws the 32-bit number that tells one boot from the next.
    """

    def __init__(
        self,
        scene: SceneSource,
        settings: BoardSettings,
        *,
        open_scene: Callable[[str], SceneSource] | None = None,
        make_reader: MakeReader = make_emulator,
        new_boot_id: Callable[[], int] = lambda: secrets.randbits(32),
    ) -> None:
        self._settings = settings

        def start_firmware() -> VirtualFirmware:
            return VirtualFirmware(self._settings, scene, new_boot_id(), open_scene, make_reader)

        self._start_firmware = start_firmware
        self._now_us = 0
        self._boot()

    def receive(self, data: bytes) -> None:
        """Take bytes off the line, whatever they are; the next `poll` acts on them."""
        for frame in self._decoder.feed(data):
            if not frame.is_response and len(self._requests) < REQUEST_QUEUE:
                self._requests.append(frame)

    def poll(self, now_us: int, room: int = POLL_BYTES) -> bytes:
        """Let time pass and return bytes to send.

        Parameters
        ----------
        now_us : int
            Any clock that runs on, in microseconds.
        room : int
            Bytes the line can take now. 0 lets the sensor run and sends nothing; otherwise the
            last frame may go beyond it.

        Returns
        -------
        bytes
            Whole frames. Fewer than `room`: there is nothing more before input or `next_due_us`.
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
        """When `poll` has something to do without input, on its clock; None: not before input."""
        due_us = self._firmware.sensor.next_due_us
        return None if due_us is None else due_us + (self._boot_us or 0)

    def disconnect(self) -> None:
        """End the session, as when the line was closed; the map, uploads and windows stay."""
        self._decoder.clear()
        self._requests.clear()
        self._answers.clear()
        self._firmware.end_session()

    def reset(self) -> None:
        """Restart at once, as if the reset button was pressed: nothing volatile is left."""
        self._firmware.close()
        self._boot()

    def limit_payload(self, max_payload: int) -> None:
        """Offer bodies of at most `max_payload` bytes, as on a slow line; boots the board anew."""
        offered = min(max_payload, self._settings.max_payload)
        self._settings = replace(self._settings, max_payload=offered)
        self._boot()

    def warm_up(self) -> None:
        """Have Numba compile the emulator's kernels now, or load them from its cache.

        Compiling takes up to half a minute the first time on a machine, in which a board that is
        being served would not answer. Call this before serving it.
        """
        self._firmware.sensor.warm_up()

    def _boot(self) -> None:
        self._firmware = self._start_firmware()
        self._decoder = wire.FrameDecoder(self._settings.max_payload)
        self._requests: deque[Frame] = deque()
        self._answers: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._unasked_count = 0
        self._boot_us: int | None = None

    @property
    def _uptime_us(self) -> int:
        if self._boot_us is None:
            self._boot_us = self._now_us
        return self._now_us - self._boot_us

    def _next_frame(self) -> bytes | None:
        """Next frame to send: answers before all else."""
        if self._requests:
            return self._answer(self._requests.popleft())
        message = self._firmware.next_message()
        if message is None:
            return None
        type_, body = message
        frame = Frame(type_, self._unasked_count, body)
        self._unasked_count = (self._unasked_count + 1) % 65536
        return frame.encode()

    def _answer(self, request: Frame) -> bytes:
        key = (request.sequence, request.crc)
        # A HELLO always starts anew: another host may begin with the same number and name.
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
