"""Serving a virtual board where a host can open it: on a pseudo-terminal or a TCP port.

A pseudo-terminal is a real serial device name, but it knows no baud rate and refuses modem lines;
`baud` therefore paces the bytes here, ten bits a byte each way, as a UART with one start and one
stop bit does. One loop serves one board, and sleeps while there is nothing to do. Between board and
host lies a cable, which `faults` can make bad.

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
from pathlib import Path
from types import FrameType

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.faults import Faults
from focalloop.firmware_sim.serving.server import NO_FAULTS, BoardServer, HungUpError, clock_us
from focalloop.firmware_sim.virtual_board.board import VirtualBoard


class TransportError(FocalloopError):
    """A pseudo-terminal or port cannot be had; the message says which and what to do."""


class PtyServer(BoardServer):
    """A board on a pseudo-terminal, which a host opens like any serial port.

    The host may close and open it as often as it likes. A pseudo-terminal does not tell this end
    when the other closes, so a board streams on as far as its credit goes; HELLO ends that.

    Parameters
    ----------
    board, baud : VirtualBoard or int
        As for :class:`BoardServer`.
    link : Path, optional
        Symbolic link to make to the device, which has another name each time; a link that is
        there already is replaced.
    faults, on_fault : Faults or callable, optional
        As for :class:`BoardServer`.

    Raises
    ------
    TransportError
        If there are no pseudo-terminals here, or the link cannot be made.
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
                "a pseudo-terminal that is disconnected comes back under another name: give it a "
                "link with a steady one, or serve the board over TCP"
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
        """Make the device and the link to it."""
        try:
            import tty

            # Our own hold on the device's end keeps the line up while no host has it open.
            self._line, self._device = os.openpty()
            self._plugged = True
            tty.setraw(self._device)
        except (ImportError, OSError) as error:
            raise TransportError(
                f"no pseudo-terminal can be had here ({error}): serve the board over TCP"
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
            self._exchange(self._line)
        except HungUpError:
            self._unplug()
            self._forget_line()
            self._pause(self._gone_until_us)
            if not self._stopping:
                self._plug()


class TcpServer(BoardServer):
    """A board on a TCP port, for one host at a time; a second one is hung up on.

    When the host leaves, the session ends; the map, unfinished uploads and the held windows stay
    for the next.

    Parameters
    ----------
    board, baud, faults, on_fault : VirtualBoard or int or Faults or callable
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
        """Hang up and free the port."""
        self._hang_up()
        self._listener.close()
        super().close()

    def _step(self) -> None:
        if self._client is None:
            select.select([self._wake, self._listener], [], [])
            self._heed()
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
        if self._client is not None or clock_us() < self._gone_until_us:
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


def _make_link(link: Path, device: str) -> None:
    if link.exists() and not link.is_symlink():
        raise TransportError(f"{link} exists and is no symbolic link: choose another path")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(device)
        temporary.replace(link)
    except OSError as error:
        raise TransportError(f"cannot make the link {link}: {error.strerror}") from error
