"""A virtual board on a test bench: small, exact, without Numba, and with a simulated clock."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.virtual_board.board import BoardSettings, VirtualBoard
from focalloop.firmware_sim.wire import ErrorAnswer, ErrorCode, Frame, FrameDecoder, MessageType

SHAPE = (24, 40)
SLOTS = 16
TILE = NAMED_TILES["tile-2of16"]


def tile_map() -> RatioMap:
    return RatioMap.from_tile(TILE, SHAPE)


def aperture_map(seed: int = 0) -> RatioMap:
    rng = np.random.default_rng(seed)
    return RatioMap.random(SHAPE, seed=seed).with_aperture(rng.random((SLOTS, *SHAPE)) < 0.5)


def adaptive_map(seed: int = 0, block: int = 7) -> AdaptiveMap:
    """Return a map whose blocks are cut off at both edges, and whose tiles are no fraction of them.

    Its tiles read from nothing to twice per pixel: 24x40 pixels fit the memory of every board.
    """
    rng = np.random.default_rng(seed)
    few = rng.choice([0, 1, 2, 4], (4, 4, 3), p=[0.5, 0.3, 0.1, 0.1])
    tiles = np.concatenate([np.zeros((1, 4, 3), int), np.ones((1, 4, 3), int), few])
    return AdaptiveMap(tile_map(), tiles, block)


class CountingScene:
    """Brightness counts up over pixels and slots and grows by one per window, modulo 256."""

    slots = SLOTS

    def __init__(self, shape: tuple[int, int] = SHAPE) -> None:
        self.shape = shape
        self.closed = False

    def window(self, index: int) -> NDArray[np.uint8]:
        pixels = np.arange(SLOTS * self.shape[0] * self.shape[1]).reshape(SLOTS, *self.shape)
        return ((pixels + index) % 256).astype(np.uint8)

    def close(self) -> None:
        self.closed = True


class SumReader:
    """The emulator's exact readout in plain NumPy: sums of slots, in read-plan order."""

    def __init__(
        self, ratio_map: RatioMap, profile: NoiseProfile, seed: int, pattern: object = None
    ) -> None:
        self.ratio_map, self.profile, self.seed = ratio_map, profile, seed
        self.plan = ReadPlan.of(ratio_map)

    def read_out(self, scene: NDArray[Any], first_window: int = 0) -> NDArray[Any]:
        light = scene.reshape(SLOTS, -1).astype(np.float64)
        before = np.concatenate([np.zeros((1, light.shape[1])), np.cumsum(light, axis=0)])
        span = SLOTS // self.ratio_map.levels.reshape(-1)[self.plan.pixel]
        start = self.plan.read * span
        sums = before[start + span, self.plan.pixel] - before[start, self.plan.pixel]
        codes = np.rint(sums if scene.dtype == np.uint8 else sums * 100)
        readout: NDArray[Any] = (codes % 2**self.profile.bits).astype(self.profile.code_dtype)
        return readout


def capture(count: int) -> tuple[MessageType, bytes]:
    return MessageType.CAPTURE, wire.CaptureRequest(count).pack()


def stream(credit: int) -> tuple[MessageType, bytes]:
    return MessageType.STREAM_START, wire.StreamStartRequest(credit).pack()


def credit(limit: int) -> tuple[MessageType, bytes]:
    return MessageType.STREAM_CREDIT, wire.StreamCreditRequest(limit).pack()


def grid_request(window: int, grid: NDArray[Any] | None) -> tuple[MessageType, bytes]:
    packed = b"" if grid is None else grid.astype(np.uint8).tobytes()
    return MessageType.GRID, wire.GridRequest(window, packed).pack()


def resend(window: int, offset: int = 0, length: int = 0) -> tuple[MessageType, bytes]:
    return MessageType.RESEND, wire.ResendRequest(window, offset, length).pack()


class Bench:
    """A minimal host: sends requests, and collects answers and unrequested frames."""

    def __init__(self, board: VirtualBoard | None = None, **settings: Any) -> None:
        self.board = board or make_board(**settings)
        self.decoder = FrameDecoder()
        self.now_us = 0
        self.sequence = 0
        self.unasked: list[Frame] = []
        self.patience = 100

    def send(self, type_: int, body: bytes = b"") -> Frame:
        """Send a request and return its answer, even if it is an error."""
        self.sequence = (self.sequence + 1) % 65536
        return self.send_raw(Frame(type_, self.sequence, body).encode())[-1]

    def send_raw(self, data: bytes) -> list[Frame]:
        """Send bytes and return the answers."""
        self.board.receive(data)
        return self.poll()

    def poll(self, advance_us: int = 0) -> list[Frame]:
        """Let time pass, collect what the board sends, and return the answers.

        A board that sends without end, as with unlimited credit, is polled `patience` times.
        """
        self.now_us += advance_us
        answers: list[Frame] = []
        for _ in range(self.patience):
            data = self.board.poll(self.now_us, room=8192)
            for frame in self.decoder.feed(data):
                (answers if frame.is_response else self.unasked).append(frame)
            if not data:
                break
        assert self.decoder.bad == 0
        return answers

    def ask(self, type_: MessageType, body: bytes = b"") -> bytes:
        """Send a request that must succeed, and return the body of its answer."""
        answer = self.send(type_, body)
        assert not answer.is_error, ErrorAnswer.unpack(answer.body)
        assert (answer.type, answer.sequence) == (type_, self.sequence)
        return answer.body

    def refused(self, type_: int, body: bytes = b"") -> tuple[ErrorCode | int, str]:
        """Send a request that must be refused, and return code and text of the error."""
        answer = self.send(type_, body)
        assert answer.is_error
        error = ErrorAnswer.unpack(answer.body)
        return error.code, error.text

    def hello(self, max_payload: int = wire.LARGE_MAX_PAYLOAD) -> wire.HelloAnswer:
        request = wire.HelloRequest(max_payload, "bench")
        return wire.HelloAnswer.unpack(self.ask(MessageType.HELLO, request.pack()))

    def status(self) -> wire.StatusAnswer:
        return wire.StatusAnswer.unpack(self.ask(MessageType.STATUS))

    def begin(self, kind: wire.UploadKind, data: bytes) -> wire.UploadBeginAnswer:
        request = wire.UploadBeginRequest(kind, len(data), hashlib.sha256(data).digest())
        return wire.UploadBeginAnswer.unpack(self.ask(MessageType.UPLOAD_BEGIN, request.pack()))

    def chunk(self, kind: wire.UploadKind, offset: int, data: bytes) -> wire.UploadChunkAnswer:
        body = wire.UploadChunkRequest(kind, offset, data).pack()
        return wire.UploadChunkAnswer.unpack(self.ask(MessageType.UPLOAD_CHUNK, body))

    def put(self, kind: wire.UploadKind, data: bytes) -> None:
        """Upload a whole object, without committing it."""
        size = self.begin(kind, data).chunk_size
        for offset in range(0, len(data), size):
            self.chunk(kind, offset, data[offset : offset + size])

    def commit(self, kinds: wire.UploadKind, map_hash: bytes) -> bytes:
        body = wire.UploadCommitRequest(kinds, map_hash).pack()
        answer = self.ask(MessageType.UPLOAD_COMMIT, body)
        return wire.UploadCommitAnswer.unpack(answer).map_hash

    def upload(self, new: RatioMap | AdaptiveMap) -> None:
        kinds = wire.UploadKind.MAP
        ratio_map = new.resting if isinstance(new, AdaptiveMap) else new
        self.put(kinds, ratio_map.pack())
        if ratio_map.aperture is not None:
            self.put(wire.UploadKind.MASK, ratio_map.pack_aperture())
            kinds |= wire.UploadKind.MASK
        if isinstance(new, AdaptiveMap):
            self.put(wire.UploadKind.PALETTE, new.pack_palette())
            kinds |= wire.UploadKind.PALETTE
        assert self.commit(kinds, new.hash()) == new.hash()

    def set_grid(self, window: int, grid: NDArray[Any] | None) -> int:
        """Set a grid, or none, and return the number of the next window to be begun."""
        answer = self.ask(*grid_request(window, grid))
        return wire.WindowNumber.unpack(answer).window

    def take_windows(self) -> dict[int, tuple[wire.WindowDescriptor, bytes]]:
        """Return the windows received since the last call, by number."""
        descriptors: dict[int, wire.WindowDescriptor] = {}
        data: dict[int, bytearray] = {}
        for frame in self.unasked:
            if frame.type == MessageType.WINDOW:
                descriptor = wire.WindowDescriptor.unpack(frame.body)
                descriptors[descriptor.window] = descriptor
                data.setdefault(descriptor.window, bytearray(descriptor.total))
            elif frame.type == MessageType.READOUT:
                piece = wire.Fragment.unpack(frame.body)
                data[piece.window][piece.offset : piece.offset + len(piece.data)] = piece.data
        self.unasked.clear()
        return {number: (descriptors[number], bytes(data[number])) for number in descriptors}

    def take_logs(self) -> list[wire.Log]:
        logs = [wire.Log.unpack(f.body) for f in self.unasked if f.type == MessageType.LOG]
        self.unasked = [frame for frame in self.unasked if frame.type != MessageType.LOG]
        return logs


def make_board(
    *,
    make_reader: Any = SumReader,
    open_scene: Any = None,
    scene: Any = None,
    boot_ids: Any = None,
    **settings: Any,
) -> VirtualBoard:
    ids = iter(boot_ids or range(1, 1000))
    return VirtualBoard(
        scene or CountingScene(),
        BoardSettings(**{"profile": preset("ideal"), **settings}),
        open_scene=open_scene,
        make_reader=make_reader,
        new_boot_id=lambda: next(ids),
    )


def expected_readout(ratio_map: RatioMap, exposure: int) -> bytes:
    codes = SumReader(ratio_map, preset("ideal"), 0).read_out(CountingScene().window(exposure))
    return codes.astype("<u2").tobytes()
