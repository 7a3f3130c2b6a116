"""The loop that moves bytes between a virtual board and a line of any kind.

On their way they pass a cable, which `faults` can make bad.
`focalloop.firmware_sim.serving.transport` has the lines: a pseudo-terminal and a TCP port.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self

from focalloop.firmware_sim.faults import Event, Faults, FaultyLine
from focalloop.firmware_sim.serving.pacer import BITS_PER_BYTE, Pacer
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.wire import DEFAULT_MAX_PAYLOAD

READ_BYTES = 64 * 1024
"""Largest number of bytes taken off the line at once."""

AHEAD_BYTES = 16 * 1024
"""Bytes that the board hands over at once on a line without pace; answers wait behind them."""

FIFO_US = 20_000
"""How late the next bytes may be on a paced line before the line counts as idle."""

NO_FAULTS = Faults()
"""A perfect line."""


class Line(Protocol):
    """An open line: a descriptor of a terminal, or a connection."""

    def fileno(self) -> int:
        """Return what `select` waits for; on Windows, that takes sockets only."""

    def read(self, most: int) -> bytes:
        """Return up to `most` bytes; b"" at the end of the line.

        Raises
        ------
        BlockingIOError
            Nothing is there.
        OSError
            The line is gone.
        """

    def write(self, data: memoryview) -> int:
        """Send what the line takes at once and return how many bytes; errors as for `read`."""


class HungUpError(Exception):
    """The other end of the line closed it."""


class BoardServer(ABC):
    """Moves bytes between a board and a line until it is told to stop.

    Parameters
    ----------
    board : VirtualBoard
        The board; nothing else may use it meanwhile.
    baud : int
        Rate of the line in bits per second and direction; 0 is as fast as possible. On a paced
        line the board offers bodies of at most `DEFAULT_MAX_PAYLOAD` bytes.
    faults : Faults
        What goes wrong on the line.
    on_fault : callable, optional
        Called with a sentence about each fault of the whole line.

    Attributes
    ----------
    url : str
        URL for a host to open, as pyserial's ``serial_for_url`` takes it.
    cable : FaultyLine
        Between the board and the line; counts the faults.
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
        self._injected: deque[tuple[Event, float]] = deque()
        self._stalled_until_us = self._unplugged_until_us = 0
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
        if baud:  # an answer should wait for at most one short frame
            board.limit_payload(DEFAULT_MAX_PAYLOAD)
        self._room = 1 if out_baud else AHEAD_BYTES
        self._unsent = memoryview(b"")
        self._arrived = memoryview(b"")
        self._drained = True
        self._listening: list[socket.socket] = []

    def serve_forever(self) -> None:
        """Serve until `stop`, sleeping while there is nothing to do."""
        while not self._stopping:
            self._step()

    def stop(self) -> None:
        """End `serve_forever`; may be called from another thread or a signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    @property
    def wake_fd(self) -> int:
        """Descriptor of a socket that wakes the loop when anything is written to it."""
        return self._waker.fileno()

    def inject(self, event: Event, seconds: float = 1.0) -> None:
        """Make a fault of the whole line happen now; may be called from another thread.

        Parameters
        ----------
        event : {'disconnect', 'stall', 'reset'}
            The fault, as in `focalloop.firmware_sim.faults.Faults`.
        seconds : float
            Length of a disconnection or stall.
        """
        self._injected.append((event, seconds))
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def close(self) -> None:
        """Release the line; call it after `serve_forever` has returned."""
        self._wake.close()
        self._waker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _step(self) -> None:
        """Wait until there is something to do, and do it."""

    def _exchange(self, line: Line) -> None:
        """Move what can be moved on an open line, then sleep until more can be."""
        now_us = clock_us()
        self._apply_faults(now_us)
        if now_us < self._stalled_until_us:
            self._pause(self._stalled_until_us)
            return
        self._receive(line, now_us)
        if self._unsent or self._arrived:
            self._board.poll(now_us, room=0)
            self._drained = False  # what came in meanwhile needs an answer
        else:
            # Without a pause in the data, make up for a late wake-up, but only for as much of the
            # board's own time as a FIFO would bridge.
            bridged_us = 0 if self._drained else FIFO_US
            self._unsent = memoryview(self._board.poll(now_us, self._room))
            self._drained = len(self._unsent) < self._room
            self._out.idle_until(clock_us() - bridged_us)
        self._send(line, now_us)
        self._sleep(line, now_us)

    def _apply_faults(self, now_us: int) -> None:
        """Apply the faults of the whole line that are due, and those that were injected."""
        faults = self.cable.faults
        lengths = {"disconnect": faults.disconnect_s, "stall": faults.stall_s}
        happening = [(event, lengths.get(event, 0.0)) for event in self.cable.events(now_us)]
        while self._injected:
            happening.append(self._injected.popleft())
        for event, seconds in happening:
            until_us = now_us + int(seconds * 1e6)
            match event:
                case "reset":
                    self._unsent = memoryview(b"")  # including the rest of a frame half sent
                    self._board.reset()
                    self._on_fault("the board resets itself")
                case "stall":
                    self._stalled_until_us = until_us
                    self._on_fault(f"the board stops for {seconds:g} s")
                case "disconnect":
                    self._unplugged_until_us = until_us
                    self._on_fault(f"the cable is pulled for {seconds:g} s")
                    raise HungUpError

    def _pause(self, until_us: int) -> None:
        """Sleep until `until_us`, or until `stop`."""
        while not self._stopping and (left_us := until_us - clock_us()) > 0:
            select.select([self._wake], [], [], left_us / 1e6)
            self._clear_wake()

    def _clear_wake(self) -> None:
        """Clear the wake-up of another thread; the next step does what it asked for."""
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(64)

    def _receive(self, line: Line, now_us: int) -> None:
        if self._quiet:  # what is there now arrived after the last read: its time starts here
            self._in.idle_until(now_us)
        allowed = min(self._in.allowance(now_us), READ_BYTES)
        self._quiet = False
        if allowed:
            self._read(line, allowed, now_us)
        self._board.receive(bytes(self.cable.to_board.take(now_us)))

    def _read(self, line: Line, allowed: int, now_us: int) -> None:
        try:
            data = line.read(allowed)
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

    def _send(self, line: Line, now_us: int) -> None:
        if not self._arrived:
            allowed = min(self._out.allowance(now_us), len(self._unsent), self.cable.to_host.room)
            self._out.spend(allowed)
            self.cable.to_host.put(self._unsent[:allowed], now_us)
            self._unsent = self._unsent[allowed:]
            self._arrived = memoryview(self.cable.to_host.take(now_us))
        if not self._arrived:
            return
        try:
            sent = line.write(self._arrived)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise HungUpError from error
        self._arrived = self._arrived[sent:]

    def _sleep(self, line: Line, now_us: int) -> None:
        wake_us = [] if self._board.next_due_us is None else [float(self._board.next_due_us)]
        readers: list[Line | socket.socket] = [self._wake, *self._listening]
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
            self._clear_wake()

    def _forget_line(self) -> None:
        self._unsent = self._arrived = memoryview(b"")
        self.cable.clear()
        self._board.disconnect()


def clock_us() -> int:
    """Return the time of a monotonic clock in microseconds."""
    return time.monotonic_ns() // 1000


def _slower(baud: int, bytes_per_s: float) -> int:
    """Return the baud rate of the slower of line and receiver; 0 is no limit."""
    rates = [rate for rate in (baud, int(BITS_PER_BYTE * bytes_per_s)) if rate]
    return min(rates, default=0)
