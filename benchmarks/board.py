"""The reference firmware against its limits: ``python -m benchmarks.board [--json]``.

Needs make, gcc, arm-none-eabi-gcc and qemu-system-arm. The instructions of the microcontroller are
counted, not timed: QEMU's clock advances with them, so every computer prints the same.

* sizes of code with constants, and of memory, against the budgets that the linker script checks;
* instructions per measurement (exposed, packed, framed and sent), against those per pixel of a slot
  after which spans end, both without the simulated sensor;
* the two for a window of 256x256 pixels with two measurements per pixel, against the cycles that a
  core of 480 MHz has for it at 240 slots per second;
* bytes of readouts per second of the native build over TCP, against those of the emulator with
  canned readouts.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.report import Row
from benchmarks.wire import SPAWN, canned_board
from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.serving.transport import TcpServer, stop_on_signals
from focalloop.firmware_sim.wire import Frame, FrameDecoder, MessageType
from focalloop.host.board.client import Board

SOURCES = Path(__file__).parents[1] / "firmware_sim" / "reference_firmware"
SHAPE = (256, 256)
PIXELS = SHAPE[0] * SHAPE[1]
TILE_MAP = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)
CODE_BYTES, RAM_BYTES = 18 << 10, 856 << 10
"""What ``ports/cortex-m3/memory.ld`` allows."""

NS_PER_INSTRUCTION = 32
"""By which QEMU's clock advances (``-icount shift=5``)."""

CORE_HZ, SLOT_HZ = 480e6, 240.0
SECONDS = 2.0


def _make(folder: str, target: str, *words: str) -> Path:
    image = Path(folder) / target
    command = ["make", "-s", "-C", str(SOURCES), f"BUILD={folder}", *words, str(image)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return image


def _sizes(image: Path) -> dict[str, int]:
    listed = subprocess.run(
        ["arm-none-eabi-size", "-A", image], check=True, capture_output=True, text=True
    )
    rows = [line.split() for line in listed.stdout.splitlines() if line.startswith(".")]
    return {name: int(size) for name, size, *_ in rows}


@contextmanager
def _running(words: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class _Line:
    """Frames over TCP, without the STATUS requests of a host, which would be counted too."""

    def __init__(self, port: int) -> None:
        for _ in range(500):
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        self._decoder = FrameDecoder()
        self._sequence = 0

    def frames(self) -> Iterator[Frame]:
        while True:
            yield from self._decoder.feed(self._socket.recv(65536))

    def ask(self, type_: MessageType, body: bytes) -> None:
        self._sequence += 1
        self._socket.sendall(Frame(type_, self._sequence, body).encode())
        next(frame for frame in self.frames() if frame.is_response)

    def instructions_per_window(self, ratio_map: RatioMap) -> float:
        """From the end of one window to the end of the next, once both memories are in use."""
        data, kind = ratio_map.pack(), wire.UploadKind.MAP
        begin = wire.UploadBeginRequest(kind, len(data), hashlib.sha256(data).digest())
        self.ask(MessageType.UPLOAD_BEGIN, begin.pack())
        self.ask(MessageType.UPLOAD_CHUNK, wire.UploadChunkRequest(kind, 0, data).pack())
        commit = wire.UploadCommitRequest(kind, ratio_map.hash())
        self.ask(MessageType.UPLOAD_COMMIT, commit.pack())
        self.ask(MessageType.CAPTURE, wire.CaptureRequest(4).pack())
        descriptors = (frame.body for frame in self.frames() if frame.type == MessageType.WINDOW)
        *_, before, after = (
            wire.WindowDescriptor.unpack(body).time_us for body in islice(descriptors, 4)
        )
        return (after - before) * 1000 / NS_PER_INSTRUCTION


def _costs(image: Path) -> tuple[float, float]:
    """Instructions per measurement, and per pixel of a slot with reads."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    serial = f"tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on"
    words = ["qemu-system-arm", "-machine", "mps2-an385", "-icount", "shift=5", "-display", "none"]
    with _running([*words, "-monitor", "none", "-serial", serial, "-kernel", image]):
        line = _Line(port)
        line.ask(MessageType.HELLO, wire.HelloRequest(1024, "benchmark").pack())
        column = [0] * (SHAPE[1] - 1)
        maps = [RatioMap.from_tile([[*column, level]], SHAPE) for level in (1, 8)]
        maps.append(RatioMap.uniform(2, SHAPE))
        costs = [line.instructions_per_window(ratio_map) for ratio_map in maps]
    # Of a window itself, its measurements, and the pixels of the slots after which spans end.
    counts = [[1, SHAPE[0], PIXELS], [1, 8 * SHAPE[0], 8 * PIXELS], [1, 2 * PIXELS, 2 * PIXELS]]
    _, measurement, pixel = np.linalg.solve(np.array(counts, float), np.array(costs))
    return float(measurement), float(pixel)


def _bytes_per_s(url: str) -> float:
    with Board.open(url) as board:
        board.upload(TILE_MAP)
        with closing(board.stream(board.info.held_windows)) as stream:
            next(stream)
            start_s, count = time.perf_counter(), 0
            for window in stream:
                count += window.codes.nbytes
                elapsed_s = time.perf_counter() - start_s
                if elapsed_s > SECONDS:
                    return count / elapsed_s
    raise AssertionError("a stream has no end")


def _serve(pipe: Connection) -> None:
    with TcpServer(canned_board(0)) as server, stop_on_signals(server):
        pipe.send(server.url)
        server.serve_forever()


def _emulator_bytes_per_s() -> float:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        return _bytes_per_s(ours.recv())
    finally:
        process.terminate()
        process.join()


def measure() -> Iterator[Row]:
    """Build the firmware, count its instructions and time it."""
    with tempfile.TemporaryDirectory() as folder:
        image = _make(folder, "focal-board.elf")
        size = _sizes(image)
        code = size[".text"] + size.get(".ARM.exidx", 0)
        ram = size[".bss"] + size[".noinit"] + size[".stack"]
        yield Row.of("code and constants", code, "bytes", "budget", CODE_BYTES)
        yield Row.of("memory, 256x256 pixels, 2 windows", ram, "bytes", "budget", RAM_BYTES)
        measurement, pixel = _costs(image)
        slots_with_reads = 4  # tile-2of16 has no level above 4
        window = 2 * PIXELS * measurement + slots_with_reads * PIXELS * pixel
        cycles = CORE_HZ * TILE_MAP.slots / SLOT_HZ
        yield Row.of("instructions per measurement", measurement, "", "per pixel and slot", pixel)
        yield Row.of("instructions per window, tile-2of16", window, "", "480 MHz, 240 Hz", cycles)
        native = _make(folder, "focal-board", "SANITIZE=-O2")
        with _running([native, "--tcp", "0"]) as process:
            assert process.stdout is not None
            rate = _bytes_per_s(process.stdout.readline().strip())
        emulated = _emulator_bytes_per_s()
        yield Row.of("native readouts over TCP", rate / 1e6, "MB/s", "emulator", emulated / 1e6)


if __name__ == "__main__":
    report.main(__doc__.splitlines()[0], measure)
