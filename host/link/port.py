"""Opening, reading and writing a port; what goes wrong is told in one sentence.

A TCP port is a socket here, and anything else is pyserial's: a socket works the same on every
system, also where pyserial does not.

The reader of `focalloop.host.link.io_threads` reads, its writer writes, at the same time. The
connection opens and closes ports, in the user's thread at first and then in its keeper.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit

from focalloop.host.errors import PortError, PortMissingError

DEFAULT_BAUD = 921600
"""Line rate in bit/s of devices that have one."""

READ_WAIT_S = 0.05
"""Longest time that a read waits for a byte: how soon a reader notices that it should stop."""

WRITE_TIMEOUT_S = 2.0
"""Longest time that a write waits for a peer to take bytes before the peer counts as gone."""

_READ_BYTES = 64 * 1024


CONNECT_TIMEOUT_S = 5.0
"""Longest time that a TCP connection may take to open."""


class Port(Protocol):
    """An open port."""

    def read(self) -> bytes:
        """Return what has come in, waiting up to `READ_WAIT_S` for the first byte.

        Raises
        ------
        OSError
            The port is gone.
        """

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises
        ------
        TimeoutError
            The peer took nothing for `WRITE_TIMEOUT_S`.
        OSError
            The port is gone.
        """

    def close(self) -> None:
        """Close the port; not while another thread reads."""


def open_port(url: str, baud: int) -> Port:
    """Open a serial device, a pty, a TCP port, or anything else that pyserial has a URL for.

    Parameters
    ----------
    url : str
        Device name (``/dev/ttyACM0``, ``COM3``) or URL (``socket://localhost:5000``).
    baud : int
        Line rate in bit/s, of devices that have one.

    Raises
    ------
    PortError
        The port is missing, busy, not permitted or not a port, or pyserial is hidden by a file of
        the same name; the text says what to do.
    """
    if url.lower().startswith("socket://"):
        return TcpPort(url)
    return SerialPort(url, baud)


class TcpPort:
    """A TCP connection, of a ``socket://HOST:PORT`` URL."""

    def __init__(self, url: str) -> None:
        address = _address(url)
        try:
            self._socket = socket.create_connection(address, CONNECT_TIMEOUT_S)
        except (OSError, UnicodeError) as error:  # UnicodeError: a host with an empty label
            raise _refusal(url, error) from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> bytes:  # noqa: D102 - see Port
        ready, _, _ = select.select([self._socket], [], [], READ_WAIT_S)
        if not ready:
            return b""
        return _received(self._socket.recv(_READ_BYTES))

    def write(self, data: bytes) -> None:  # noqa: D102 - see Port
        unsent = memoryview(data)
        while unsent:
            _, ready, _ = select.select([], [self._socket], [], WRITE_TIMEOUT_S)
            if not ready:
                raise TimeoutError("the peer takes nothing")
            unsent = unsent[self._socket.send(unsent) :]

    def close(self) -> None:  # noqa: D102 - see Port
        self._socket.close()


class SerialPort:
    """A serial device, a pty, or anything pyserial has a URL for."""

    def __init__(self, url: str, baud: int) -> None:
        pyserial = _pyserial()
        if url.lower().startswith("rfc2217:"):
            _address(url)  # pyserial speaks of its own code where it is incomplete
        try:
            self._serial = pyserial.serial_for_url(
                url,
                do_not_open=True,
                baudrate=baud,
                timeout=READ_WAIT_S,
                # Its handler refuses one, and after it a server for one client refuses the next.
                write_timeout=None if url.lower().startswith("rfc2217:") else WRITE_TIMEOUT_S,
                exclusive=True,  # a second program would steal bytes from this one
            )
            _open(self._serial)
        except Exception as error:  # a handler raises whatever its author did not think of
            raise _refusal(url, error) from error
        self._timeout_error: type[Exception] = pyserial.SerialTimeoutException
        # A write returns when the device has taken it all: each slice must take far less than
        # the timeout.
        self._slice_bytes = max(64, baud // 40)
        self._descriptor = self._own_descriptor(pyserial)

    def _own_descriptor(self, pyserial: ModuleType) -> int | None:
        """Return a descriptor to read from, of a plain device.

        What wraps another port, as spy:// does, must see the bytes itself; Windows, rfc2217:// and
        loop:// have none.
        """
        if type(self._serial) is not pyserial.Serial:
            return None
        try:
            descriptor: int = self._serial.fileno()
        except (AttributeError, OSError):
            return None
        return descriptor

    def read(self) -> bytes:  # noqa: D102 - see Port
        if self._descriptor is None:
            with _failures_of_the_handler():
                data: bytes = self._serial.read(max(1, self._serial.in_waiting))
                return data
        # Not through pyserial, which waits a second time.
        ready, _, _ = select.select([self._descriptor], [], [], READ_WAIT_S)
        if not ready:
            return b""
        return _received(os.read(self._descriptor, _READ_BYTES))

    def write(self, data: bytes) -> None:  # noqa: D102 - see Port
        try:
            with _failures_of_the_handler():
                for start in range(0, len(data), self._slice_bytes):
                    self._serial.write(data[start : start + self._slice_bytes])
        except self._timeout_error as error:
            raise TimeoutError(str(error)) from error

    def close(self) -> None:  # noqa: D102 - see Port
        with suppress(OSError), _failures_of_the_handler():  # a port that is gone is closed
            self._serial.close()


def _received(data: bytes) -> bytes:
    """Return what a readable descriptor or socket gave: nothing is its end."""
    if not data:
        raise OSError("the other end hung up")
    return data


def serial_devices() -> list[Any]:
    """Return the serial devices of this machine, as `serial.tools.list_ports.comports` does.

    Raises
    ------
    PortError
        A file of the user's own hides pyserial.
    """
    _pyserial()
    found: list[Any] = importlib.import_module("serial.tools.list_ports").comports()
    return found


def _pyserial() -> ModuleType:
    """Return pyserial, unless a file of the user's own has its name.

    Such a file is found without running it, as it may well open a port itself.
    """
    found = importlib.util.find_spec("serial")
    file = Path(found.origin) if found is not None and found.origin else None
    if file is not None and not file.with_name("serialutil.py").is_file():
        raise PortError(
            f"{file} hides the library pyserial, which has the same name and which ports need: "
            "rename that file, or start the program in another folder"
        )
    try:
        return importlib.import_module("serial")
    except ImportError as error:
        raise PortError(
            f"serial ports do not work on this system ({error}): use a board at socket://HOST:PORT"
        ) from error


def _address(url: str) -> tuple[str, int]:
    """Return host and port of a network address.

    Raises
    ------
    PortError
        One of them is missing, or the port is not 1 to 65535.
    """
    scheme, _, rest = url.partition("://")
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise PortError(
            f"{url} is not an address: write {scheme}://HOST:PORT with a port number from 1 to "
            "65535"
        )
    return host, port


def _open(port: Any) -> None:  # noqa: ANN401 - any of pyserial's classes
    """Open a port; without a timeout of writes where its handler has none."""
    try:
        port.open()
    except NotImplementedError:
        port.close()
        port.write_timeout = None
        port.open()


@contextmanager
def _failures_of_the_handler() -> Iterator[None]:
    """Turn whatever a handler of pyserial's raises into OSError: the port is gone."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"the driver of the port failed: {error}") from error


def _refusal(url: str, error: Exception) -> PortError:
    """Return the error that says why `url` could not be opened, and what to do."""
    text = _reason(url, error)
    missing = text.startswith(("there is no port ", "nothing listens at "))
    return PortMissingError(text) if missing else PortError(text)


def _reason(url: str, error: Exception) -> str:
    cause = error if error.__context__ is None else error.__context__
    if isinstance(cause, socket.gaierror):
        return f"there is no host of the name in {url}: check its spelling and the network"
    if isinstance(cause, TimeoutError):
        return f"nothing answers at {url}: check host, port number and network"
    numbers = {getattr(error, "errno", None), getattr(error.__context__, "errno", None)}
    text = str(error)
    # On Windows, pyserial only quotes the error of the system.
    if numbers & {errno.ENOENT, errno.ENXIO, errno.EIO} or "FileNotFoundError(" in text:
        return (
            f"there is no port {url}: check the cable and the name; "
            "`focalloop ports` lists the ports that exist"
        )
    if errno.EACCES in numbers or errno.EPERM in numbers:
        return (
            f"no permission to open {url}: join the group that owns it (usually `dialout`: "
            "`sudo usermod -aG dialout $USER`), then log in again"
        )
    if numbers & {errno.EBUSY, errno.EWOULDBLOCK} or "PermissionError(" in text:
        return f"the port {url} is in use by another program: close that program, then try again"
    if errno.ECONNREFUSED in numbers:
        return f"nothing listens at {url}: start the board there, or check host and port number"
    if errno.ENOTTY in numbers or "Could not configure port" in text:
        return (
            f"{url} is not a serial port: give a device such as /dev/ttyACM0 or COM3, or a "
            "socket:// URL"
        )
    if text.startswith("Remote does not"):
        return f"what answers at {url} does not speak RFC 2217: for a plain TCP line use socket://"
    if "option 'control'" in text:
        return (
            f"the port behind {url} does not set its control lines (DTR, RTS), as one that has "
            "none: append ?ign_set_control to its URL"
        )
    if isinstance(cause, OSError):
        return f"the port {url} could not be opened: {cause.strerror or cause}"
    if isinstance(error, ValueError) and text.isprintable() and isinstance(cause, ImportError):
        return f"{url} is not a port that can be opened: {text}"
    return (
        f"{url} is not a port that can be opened: give a device such as /dev/ttyACM0, or a URL "
        "such as socket://HOST:PORT"
    )
