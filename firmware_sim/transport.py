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
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

from firmware_sim.errors import FocalloopError
from firmware_sim.faults import Event, Faults, FaultyLine
from firmware_sim.pacer import BITS_PER_BYTE, Pacer
from firmware_sim.virtual_board import VirtualBoard
from firmware_sim.wire import DEFAULT_MAX_PAYLOAD

READ_BYTES = 64 * 1024
"""Bytes taken off the line at once."""

AHEAD_BYTES = 16 * 1024
"""Bytes that the board hands over at once where the line sets no pace: answers wait behind them."""

FIFO_US = 20_000
"""Time on a paced line that buffers bridge while the program is late with the next bytes."""


NO_FAULTS = Faults()
"""A line that does what it should."""


class TransportError(FocalloopError):
    """A pseudo-terminal or port cannot be had; the message says which and what to do."""


class HungUpError(Exception):
    """The other end of the line went away."""


class BoardServer(ABC):
    """Moves bytes between a board and a line until it is told to stop.

    Parameters
    ----------
    board : VirtualBoard
        What is served; nobody else may use it meanwhile.
    baud : int
        Rate of the line in bits a second, both ways; 0 is as fast as the machine goes. On a paced
        line the board offers bodies of `DEFAULT_MAX_PAYLOAD` bytes at most.
    faults : Faults
        What goes wrong on the line.
    on_fault : callable, optional
        Takes a sentence when something befalls the whole line.

    Attributes
    ----------
    url : str
        What a host opens, as pyserial's ``serial_for_url`` takes it.
    cable : FaultyLine
        Between the board and the line; counts what went wrong.
    """

    url: str

    def __init__(
        self,
        board: VirtualBoard,
        baud: int = 0,
        faults: Faults = NO_FAULTS,
        on_fault: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.cable = FaultyLine(faults)
        self._board = board
        self._on_fault = on_fault
        self._asked_for: deque[tuple[Event, float]] = deque()
        self._stalled_until_us = self._gone_until_us = 0
        self._stopping = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        out_baud = _slower(baud, faults.to_host.slow_bytes_per_s)
        self._in, self._out = (
            Pacer(_slower(baud, faults.to_board.slow_bytes_per_s)),
            Pacer(out_baud),
        )
        self._quiet = True
        if baud:  # an answer should not wait behind more than one short frame
            board.limit_payload(DEFAULT_MAX_PAYLOAD)
        self._room = 1 if out_baud else AHEAD_BYTES
        self._unsent = memoryview(b"")
        self._arrived = memoryview(b"")
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

    def befall(self, event: Event, seconds: float = 1.0) -> None:
        """Have this happen now, for so long; may be called from another thread.

        Parameters
        ----------
        event : {'disconnect', 'stall', 'reset'}
            As in :class:`firmware_sim.faults.Faults`.
        seconds : float
            Length of a disconnection or stall.
        """
        self._asked_for.append((event, seconds))
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
        self._suffer(now_us)
        if now_us < self._stalled_until_us:
            self._pause(self._stalled_until_us)
            return
        self._receive(line, now_us)
        if self._unsent or self._arrived:
            self._board.poll(now_us, room=0)
            self._drained = False  # what came in meanwhile wants an answer
        else:
            # Data followed without a pause: make up for a late wake-up, but not for the board's
            # own time beyond what a FIFO would bridge.
            bridged_us = 0 if self._drained else FIFO_US
            self._unsent = memoryview(self._board.poll(now_us, self._room))
            self._drained = len(self._unsent) < self._room
            self._out.idle_until(_now_us() - bridged_us)
        self._send(line, now_us)
        self._sleep(line, now_us)

    def _suffer(self, now_us: int) -> None:
        """Do to the board and the line what is due to befall them, and what was asked for."""
        faults = self.cable.faults
        lengths = {"disconnect": faults.disconnect_s, "stall": faults.stall_s}
        happening = [(event, lengths.get(event, 0.0)) for event in self.cable.events(now_us)]
        while self._asked_for:
            happening.append(self._asked_for.popleft())
        for event, seconds in happening:
            until_us = now_us + int(seconds * 1e6)
            match event:
                case "reset":
                    self._unsent = memoryview(b"")  # also the rest of a frame half sent
                    self._board.reset()
                    self._on_fault("the board restarts by itself")
                case "stall":
                    self._stalled_until_us = until_us
                    self._on_fault(f"the board stops for {seconds:g} s")
                case "disconnect":
                    self._gone_until_us = until_us
                    self._on_fault(f"the cable is pulled for {seconds:g} s")
                    raise HungUpError

    def _pause(self, until_us: int) -> None:
        """Do nothing until then, or until `stop`."""
        while not self._stopping and (left_us := until_us - _now_us()) > 0:
            select.select([self._wake], [], [], left_us / 1e6)
            self._heed()

    def _heed(self) -> None:
        """Take note of a call from another thread: what it asks for is done in the next step."""
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(64)

    def _receive(self, line: int, now_us: int) -> None:
        if self._quiet:  # what is there now came after the last look: its time starts here
            self._in.idle_until(now_us)
        allowed = min(self._in.allowance(now_us), READ_BYTES)
        self._quiet = False
        if allowed:
            self._read(line, allowed, now_us)
        self._board.receive(bytes(self.cable.to_board.take(now_us)))

    def _read(self, line: int, allowed: int, now_us: int) -> None:
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
        self.cable.to_board.put(data, now_us)

    def _send(self, line: int, now_us: int) -> None:
        if not self._arrived:
            allowed = min(self._out.allowance(now_us), len(self._unsent), self.cable.to_host.room)
            self._out.spend(allowed)
            self.cable.to_host.put(self._unsent[:allowed], now_us)
            self._unsent = self._unsent[allowed:]
            self._arrived = memoryview(self.cable.to_host.take(now_us))
        if not self._arrived:
            return
        try:
            sent = os.write(line, self._arrived)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise HungUpError from error
        self._arrived = self._arrived[sent:]

    def _sleep(self, line: int, now_us: int) -> None:
        wake_us = [] if self._board.next_due_us is None else [float(self._board.next_due_us)]
        readers: list[int | socket.socket] = [self._wake, *self._listening]
        if self._quiet or self._in.allowance(now_us):
            readers.append(line)
        else:
            wake_us.append(self._in.due_us(READ_BYTES))
        if self.cable.next_us is not None:
            wake_us.append(self.cable.next_us)
        writers = []
        if self._arrived:
            writers.append(line)
        elif self._unsent:
            wake_us.append(self._out.due_us(len(self._unsent)))
        elif not self._drained:
            wake_us.append(now_us)
        timeout_s = max(0.0, (min(wake_us) - now_us) / 1e6) if wake_us else None
        ready, _, _ = select.select(readers, writers, [], timeout_s)
        if self._wake in ready:
            self._heed()

    def _forget_line(self) -> None:
        self._unsent = self._arrived = memoryview(b"")
        self.cable.clear()
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
    faults, on_fault
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
    board, baud, faults, on_fault
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
        if self._client is not None or _now_us() < self._gone_until_us:
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


def _slower(baud: int, bytes_per_s: float) -> int:
    """Line rate at which the slower of line and receiver takes bytes; 0 is no limit."""
    rates = [rate for rate in (baud, int(BITS_PER_BYTE * bytes_per_s)) if rate]
    return min(rates, default=0)


def _make_link(link: Path, device: str) -> None:
    if link.exists() and not link.is_symlink():
        raise TransportError(f"{link} exists and is no symbolic link: choose another path")
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(device)
        temporary.replace(link)
    except OSError as error:
        raise TransportError(f"cannot make the link {link}: {error.strerror}") from error
