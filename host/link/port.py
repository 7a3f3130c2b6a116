"""Opening, reading and writing a serial port; what goes wrong is told in one sentence.

The reader of `focalloop.host.link.io_threads` reads, its writer writes, at the same time. The
connection opens and closes ports, in the user's thread at first and then in its keeper.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import select
from pathlib import Path
from types import ModuleType
from typing import Any

from focalloop.host.errors import PortError

DEFAULT_BAUD = 921600
"""Line rate in bit/s of devices that have one."""

READ_WAIT_S = 0.05
"""Longest time that a read waits for a byte: how soon a reader notices that it should stop."""

WRITE_TIMEOUT_S = 2.0
"""Longest time that a write waits for a peer to take bytes before the peer counts as gone."""

_READ_BYTES = 64 * 1024


class Port:
    """An open port: a serial device, a pty, or anything pyserial has a URL for.

    Parameters
    ----------
    url : str
        Device name or URL, as for `serial.serial_for_url` (``/dev/ttyACM0``,
        ``socket://localhost:5000``).
    baud : int
        Line rate in bit/s, of devices that have one.

    Raises
    ------
    PortError
        The port is missing, busy, not permitted or not a port, or pyserial is hidden by a file of
        the same name; the text says what to do.
    """

    def __init__(self, url: str, baud: int) -> None:
        pyserial = _pyserial()
        try:
            self._serial = pyserial.serial_for_url(
                url,
                baudrate=baud,
                timeout=0,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,  # a second program would steal bytes from this one
            )
        except (OSError, ValueError) as error:
            raise PortError(_reason(url, error)) from error
        self._timeout_error: type[Exception] = pyserial.SerialTimeoutException
        # A write returns when the device has taken it all: each slice must take far less than
        # the timeout.
        self._slice_bytes = max(64, baud // 40)
        try:
            self._descriptor: int | None = self._serial.fileno()
        except (AttributeError, OSError):  # Windows, rfc2217:// and loop:// have none
            self._descriptor = None
            self._serial.timeout = READ_WAIT_S

    def read(self) -> bytes:
        """Return what has come in, waiting up to `READ_WAIT_S` for the first byte.

        Raises
        ------
        OSError
            The port is gone.
        """
        if self._descriptor is None:
            data: bytes = self._serial.read(max(1, self._serial.in_waiting))
            return data
        # Not through pyserial, which waits a second time, and which says of a socket only whether
        # any bytes are there.
        ready, _, _ = select.select([self._descriptor], [], [], READ_WAIT_S)
        if not ready:
            return b""
        data = os.read(self._descriptor, _READ_BYTES)
        if not data:
            raise OSError("the other end hung up")
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises
        ------
        TimeoutError
            The peer took nothing for `WRITE_TIMEOUT_S`.
        OSError
            The port is gone.
        """
        try:
            for start in range(0, len(data), self._slice_bytes):
                self._serial.write(data[start : start + self._slice_bytes])
        except self._timeout_error as error:
            raise TimeoutError(str(error)) from error

    def close(self) -> None:
        """Close the port; not while another thread reads."""
        self._serial.close()


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
    return importlib.import_module("serial")


def _reason(url: str, error: Exception) -> str:
    """Say why `url` could not be opened, and what to do."""
    numbers = {getattr(error, "errno", None), getattr(error.__context__, "errno", None)}
    text = str(error)
    if errno.ENOENT in numbers or errno.ENXIO in numbers or errno.EIO in numbers:
        return (
            f"there is no port {url}: check the cable and the name; "
            "`focalloop ports` lists the ports that exist"
        )
    if errno.EACCES in numbers or errno.EPERM in numbers:
        return (
            f"no permission to open {url}: join the group that owns it (usually `dialout`: "
            "`sudo usermod -aG dialout $USER`), then log in again"
        )
    if errno.EBUSY in numbers or errno.EWOULDBLOCK in numbers:
        return f"the port {url} is in use by another program: close that program, then try again"
    if errno.ECONNREFUSED in numbers:
        return f"nothing listens at {url}: start the board there, or check host and port number"
    if errno.ENOTTY in numbers or "Could not configure port" in text:
        return f"{url} is not a serial port: give a device such as /dev/ttyACM0 or a socket:// URL"
    if isinstance(error, ValueError):
        return f"{url} is not a port that can be opened: {text}"
    return f"the port {url} could not be opened: {error.__context__ or text}"
