"""Serving a virtual board where a host can open it: on a pseudo-terminal or a TCP port.

A pseudo-terminal is a real serial device name, but it knows no baud rate and refuses modem lines;
`baud` therefore paces the bytes here, ten bits a byte each way, as a UART with one start and one
stop bit does. One loop serves one board, and sleeps while there is nothing to do.

    with PtyServer(board) as server:
        print(server.url)
        with stop_on_signals(server):
            server.serve_forever()
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

from firmware_sim.errors import FocalloopError
from firmware_sim.virtual_board import POLL_BYTES, VirtualBoard
from firmware_sim.wire import DEFAULT_MAX_PAYLOAD

READ_BYTES = 64 * 1024
"""Bytes taken off the line at once."""

BITS_PER_BYTE = 10
"""On a UART: one start bit, eight data bits, one stop bit."""

STEP_US = 2000
"""A paced line passes what fits in this time at once, so that it need not wake for every byte."""

FIFO_US = 20_000
"""Time on a paced line that buffers bridge while the program is late with the next bytes."""


class TransportError(FocalloopError):
    """A pseudo-terminal or port cannot be had; the message says which and what to do."""


class HungUpError(Exception):
    """The other end of the line went away."""


class Pacer:
    """Says how many bytes may pass now, so that they pass at a UART's rate, without drift.

    Parameters
    ----------
    baud : int
        Bits a second; 0 lets everything pass.
    """

    def __init__(self, baud: int) -> None:
        self._byte_us = BITS_PER_BYTE * 1e6 / baud if baud else 0.0
        self._free_us = 0.0

    def allowance(self, now_us: float) -> int:
        """Bytes that may have passed by `now_us` and are not yet counted."""
        if not self._byte_us:
            return POLL_BYTES
        return max(0, int((now_us - self._free_us) / self._byte_us))

    def spend(self, count: int) -> None:
        """Count bytes that passed."""
        self._free_us += count * self._byte_us

    def idle_until(self, now_us: float) -> None:
        """Note that the line had nothing to carry: time before `now_us` is not made up for."""
        self._free_us = max(self._free_us, now_us)

    def due_us(self, count: int) -> float:
        """When `count` bytes, or a step's worth if that is fewer, will have passed."""
        step = max(1, int(STEP_US / self._byte_us)) if self._byte_us else count
        return self._free_us + min(count, step) * self._byte_us


class BoardServer(ABC):
    """Moves bytes between a board and a line until it is told to stop.

    Parameters
    ----------
    board : VirtualBoard
        What is served; nobody else may use it meanwhile.
    baud : int
        Rate of the line in bits a second, both ways; 0 is as fast as the machine goes. On a paced
        line the board offers bodies of `DEFAULT_MAX_PAYLOAD` bytes at most.

    Attributes
    ----------
    url : str
        What a host opens, as pyserial's ``serial_for_url`` takes it.
    """

    url: str

    def __init__(self, board: VirtualBoard, baud: int = 0) -> None:
        self._board = board
        self._stopping = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._in, self._out = Pacer(baud), Pacer(baud)
        self._quiet = True
        if baud:  # an answer should not wait behind more than one short frame
            board.limit_payload(DEFAULT_MAX_PAYLOAD)
        self._room = 1 if baud else POLL_BYTES
        self._unsent = memoryview(b"")
        self._drained = True
        self._listening: list[socket.socket] = []

    def serve_forever(self) -> None:
        """Serve until `stop`, sleeping while nothing is to be done."""
        while not self._stopping:
            self._step()

    def stop(self) -> None:
        """End `serve_forever`; may be called from another thread or a signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def close(self) -> None:
        """Give the line back; call it when `serve_forever` has returned."""
        self._wake.close()
        self._waker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _step(self) -> None:
        """Wait for something to do, and do it."""

    def _exchange(self, line: int) -> None:
        """Do what can be done on an open line, then sleep until more can be."""
        now_us = _now_us()
        self._receive(line, now_us)
        if self._unsent:
            self._board.poll(now_us, room=0)
        else:
            # Data followed without a pause: make up for a late wake-up, but not for the board's
            # own time beyond what a FIFO would bridge.
            bridged_us = 0 if self._drained else FIFO_US
            self._unsent = memoryview(self._board.poll(now_us, self._room))
            self._drained = len(self._unsent) < self._room
            self._out.idle_until(_now_us() - bridged_us)
        self._send(line, now_us)
        self._sleep(line, now_us)

    def _receive(self, line: int, now_us: int) -> None:
        if self._quiet:  # what is there now came after the last look: its time starts here
            self._in.idle_until(now_us)
        allowed = min(self._in.allowance(now_us), READ_BYTES)
        self._quiet = False
        if allowed == 0:
            return
        try:
            data = os.read(line, allowed)
        except BlockingIOError:
            data = b""
        except OSError as error:
            raise HungUpError from error
        else:
            if not data:
                raise HungUpError
        self._in.spend(len(data))
        self._quiet = len(data) < allowed
        self._board.receive(data)

    def _send(self, line: int, now_us: int) -> None:
        allowed = min(self._out.allowance(now_us), len(self._unsent))
        if allowed == 0:
            return
        try:
            sent = os.write(line, self._unsent[:allowed])
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise HungUpError from error
        self._out.spend(sent)
        self._unsent = self._unsent[sent:]

    def _sleep(self, line: int, now_us: int) -> None:
        wake_us = [] if self._board.next_due_us is None else [float(self._board.next_due_us)]
        readers: list[int | socket.socket] = [self._wake, *self._listening]
        if self._quiet or self._in.allowance(now_us):
            readers.append(line)
        else:
            wake_us.append(self._in.due_us(READ_BYTES))
        writers = []
        if self._unsent:
            due_us = self._out.due_us(len(self._unsent))
            if due_us <= now_us:
                writers.append(line)
            else:
                wake_us.append(due_us)
        elif not self._drained:
            wake_us.append(now_us)
        timeout_s = max(0.0, (min(wake_us) - now_us) / 1e6) if wake_us else None
        select.select(readers, writers, [], timeout_s)

    def _forget_line(self) -> None:
        self._unsent = memoryview(b"")
        self._board.disconnect()


class PtyServer(BoardServer):
    """A board on a pseudo-terminal, which a host opens like any serial port.

    The host may close and open it as often as it likes. A pseudo-terminal does not tell this end
    when the other closes, so a board streams on as far as its credit goes; HELLO ends that.

    Parameters
    ----------
    board, baud
        As for :class:`BoardServer`.
    link : Path, optional
        Symbolic link to make to the device, which has another name each time; a link that is
        there already is replaced.

    Raises
    ------
    TransportError
        If there are no pseudo-terminals here, or the link cannot be made.
    """

    def __init__(self, board: VirtualBoard, *, baud: int = 0, link: Path | None = None) -> None:
        super().__init__(board, baud)
        try:
            import tty

            # Our own hold on the device's end keeps the line up while no host has it open.
            self._line, self._device = os.openpty()
            tty.setraw(self._device)
        except (ImportError, OSError) as error:
            super().close()
            raise TransportError(
                f"no pseudo-terminal can be had here ({error}): serve the board over TCP"
            ) from error
        os.set_blocking(self._line, False)
        self.device = os.ttyname(self._device)
        self.url = self.device
        self._link: Path | None = None
        if link is not None:
            try:
                self._link = _make_link(link, self.device)
            except TransportError:
                self.close()
                raise
            self.url = str(link)

    def close(self) -> None:
        """Remove the device and the link to it."""
        if self._link is not None:
            with contextlib.suppress(OSError):
                if self._link.readlink() == Path(self.device):
                    self._link.unlink()
        os.close(self._line)
        os.close(self._device)
        super().close()

    def _step(self) -> None:
        self._exchange(self._line)


class TcpServer(BoardServer):
    """A board on a TCP port, for one host at a time; a second one is hung up on.

    When the host leaves, the session ends; the map, unfinished uploads and the held windows stay
    for the next.

    Parameters
    ----------
    board, baud
        As for :class:`BoardServer`.
    host : str
        Address to listen on. The protocol knows no passwords: only loopback is safe.
    port : int
        0 takes any free one.

    Raises
    ------
    TransportError
        If the port is in use or the address is not this machine's.
    """

    def __init__(
        self, board: VirtualBoard, *, host: str = "127.0.0.1", port: int = 0, baud: int = 0
    ) -> None:
        super().__init__(board, baud)
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._listener = socket.create_server((host, port), family=family, backlog=4)
        except (OSError, OverflowError) as error:
            super().close()
            raise TransportError(
                f"cannot listen on {host} port {port} ({error}): choose another port"
            ) from error
        self._listener.setblocking(False)
        self._listening.append(self._listener)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        shown = f"[{self.address[0]}]" if family == socket.AF_INET6 else self.address[0]
        self.url = f"socket://{shown}:{self.address[1]}"
        self._client: socket.socket | None = None

    def close(self) -> None:
        """Hang up and free the port."""
        self._hang_up()
        self._listener.close()
        super().close()

    def _step(self) -> None:
        if self._client is None:
            select.select([self._wake, self._listener], [], [])
        self._accept()
        if self._client is None:
            return
        try:
            self._exchange(self._client.fileno())
        except HungUpError:
            self._hang_up()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if self._client is not None:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._client = client

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
            self._forget_line()


@contextmanager
def stop_on_signals(server: BoardServer) -> Iterator[None]:
    """Have SIGINT and SIGTERM stop the server instead of the program; main thread only."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now_us() -> int:
    return time.monotonic_ns() // 1000


def _make_link(link: Path, device: str) -> Path:
    if link.exists() and not link.is_symlink():
        raise TransportError(f"{link} exists and is no symbolic link: choose another path")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(device)
        temporary.replace(link)
    except OSError as error:
        raise TransportError(f"cannot make the link {link}: {error.strerror}") from error
    return link
