"""Serving a virtual board where a host can open it: on a pseudo-terminal or a TCP port.

A pseudo-terminal opens like a serial device, but has no baud rate and no modem lines. Therefore
`baud` paces the bytes here, ten bits per byte in each direction, like a UART with one start and one
stop bit. One loop serves one board, and sleeps while there is nothing to do. `faults` makes the
line between board and host bad.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.faults import Faults
from focalloop.firmware_sim.serving.server import NO_FAULTS, BoardServer, HungUpError, clock_us
from focalloop.firmware_sim.virtual_board.board import VirtualBoard

STOP_SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if name in signal.Signals.__members__
)
"""Signals that ask a program to end; SIGBREAK is Windows' own."""


class TransportError(FocalloopError):
    """A pseudo-terminal or port is not available; the message says which and what to do."""


@dataclass(frozen=True)
class _Terminal:
    descriptor: int

    def fileno(self) -> int:
        return self.descriptor

    def read(self, most: int) -> bytes:
        return os.read(self.descriptor, most)

    def write(self, data: memoryview) -> int:
        return os.write(self.descriptor, data)


@dataclass(frozen=True)
class _Connection:
    connection: socket.socket

    def fileno(self) -> int:
        return self.connection.fileno()

    def read(self, most: int) -> bytes:
        return self.connection.recv(most)

    def write(self, data: memoryview) -> int:
        return self.connection.send(data)


class PtyServer(BoardServer):
    """A board on a pseudo-terminal, which a host opens like any serial port.

    The host may close and reopen it at any time. A pseudo-terminal does not report that the other
    end closed it, so the board keeps streaming as far as its credit goes, or until the next HELLO.

    Parameters
    ----------
    board, baud : VirtualBoard or int
        As for `BoardServer`.
    link : Path, optional
        Symbolic link to create to the device, whose name changes each time; an existing link is
        replaced.
    faults, on_fault : Faults or callable, optional
        As for `BoardServer`.

    Raises
    ------
    TransportError
        If this system has no pseudo-terminals, or the link cannot be created.
    """

    def __init__(
        self,
        board: VirtualBoard,
        *,
        baud: int = 0,
        link: Path | None = None,
        faults: Faults = NO_FAULTS,
        on_fault: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(board, baud, faults, on_fault)
        if faults.disconnect is not None and link is None:
            super().close()
            raise TransportError(
                "a disconnected pseudo-terminal comes back under another name: create a link to "
                "it (--link PATH), or serve the board over TCP (--tcp PORT)"
            )
        self._link = link
        self._plugged = False
        try:
            self._plug()
        except TransportError:
            self.close()
            raise
        self.url = self.device if link is None else str(link)

    def close(self) -> None:
        """Remove the device and the link to it."""
        self._unplug()
        super().close()

    def _plug(self) -> None:
        """Create the device and the link to it."""
        try:
            import tty

            # Keeping the device's end open here keeps the line up while no host has it open.
            self._line, self._device = os.openpty()
            self._plugged = True
            tty.setraw(self._device)
        except (ImportError, AttributeError, OSError) as error:
            raise TransportError(
                f"cannot open a pseudo-terminal ({error}): serve the board over TCP"
            ) from error
        os.set_blocking(self._line, False)
        self.device = os.ttyname(self._device)
        if self._link is not None:
            _make_link(self._link, self.device)

    def _unplug(self) -> None:
        if not self._plugged:
            return
        self._plugged = False
        if self._link is not None:
            with contextlib.suppress(OSError):
                if self._link.readlink() == Path(self.device):
                    self._link.unlink()
        os.close(self._line)
        os.close(self._device)

    def _step(self) -> None:
        try:
            self._exchange(_Terminal(self._line))
        except HungUpError:
            self._unplug()
            self._forget_line()
            self._pause(self._unplugged_until_us)
            self.cable.skip(clock_us())
            if not self._stopping:
                self._plug()


class TcpServer(BoardServer):
    """A board on a TCP port, for one host at a time; a second connection is closed.

    When the host disconnects, the session ends; the map, unfinished uploads and the held windows
    remain for the next.

    Parameters
    ----------
    board, baud, faults, on_fault : VirtualBoard or int or Faults or callable
        As for `BoardServer`.
    host : str
        Address to listen on. The protocol has no passwords: only loopback is safe.
    port : int
        Port to listen on; 0 takes any free one.

    Raises
    ------
    TransportError
        If the port is in use or the address does not belong to this machine.
    """

    def __init__(
        self,
        board: VirtualBoard,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        baud: int = 0,
        faults: Faults = NO_FAULTS,
        on_fault: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(board, baud, faults, on_fault)
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
        """Close the connection and free the port."""
        self._hang_up()
        self._listener.close()
        super().close()

    def _step(self) -> None:
        if self._client is None:
            select.select([self._wake, self._listener], [], [])
            self._clear_wake()
        self._accept()
        if self._client is None:
            return
        try:
            self._exchange(_Connection(self._client))
        except HungUpError:
            self._hang_up()

    def _accept(self) -> None:
        if self._client is not None and not self._client_is_silent():
            return  # what it sent last comes first, then its end; the next client waits meanwhile
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if self._client is not None or clock_us() < self._unplugged_until_us:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._client = client
        self.cable.skip(clock_us())

    def _client_is_silent(self) -> bool:
        """Whether the client is there and has sent nothing new; hangs up if it has left."""
        assert self._client is not None
        try:
            data = self._client.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return not data

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
            self._forget_line()


@contextmanager
def stop_on_signals(server: BoardServer) -> Iterator[None]:
    """Let `STOP_SIGNALS` stop the server instead of the program; main thread only."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.stop()

    # The signal's number is written there even while the program waits in `select`, which on
    # Windows no signal interrupts.
    woken = signal.set_wakeup_fd(server.wake_fd, warn_on_full_buffer=False)
    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)


def _make_link(link: Path, device: str) -> None:
    if link.exists() and not link.is_symlink():
        raise TransportError(f"{link} exists and is not a symbolic link: choose another path")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(device)
        temporary.replace(link)
    except OSError as error:
        raise TransportError(f"cannot create the link {link}: {error.strerror}") from error
