"""A board that is known by its serial number, wherever it is plugged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.board.client import Board
from focalloop.host.errors import PortMissingError
from focalloop.host.link.port import serial_devices

_PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class BoardBySerial:
    """The board with a serial number: a `BoardSource`.

    Attributes
    ----------
    serial : str
        Of the USB port or, if no port has it, what a board gives in HELLO; ports that are in use
        are not asked.
    """

    serial: str
    wait_s: float = 0.0
    on_wait: Callable[[str], None] = lambda text: None
    open_clip = None

    @property
    def activity(self) -> str:
        """What `start` does."""
        return f"looking for the board with the serial number {self.serial}"

    def start(self) -> str:
        """Return the port of the board.

        Raises
        ------
        PortMissingError
            No port has it.
        """
        devices = serial_devices()
        for device in devices:
            if device.serial_number == self.serial:
                return str(device.device)
        for device in devices:
            if self._answers_at(device.device):
                return str(device.device)
        raise PortMissingError(
            f"no board with the serial number {self.serial} is plugged in: `focalloop ports` lists "
            "those that are"
        )

    def stop(self) -> None:
        """Leave the board running."""

    def _answers_at(self, url: str) -> bool:
        try:
            with Board.open(url, timeout_s=_PROBE_TIMEOUT_S) as board:
                return board.info.serial == self.serial
        except FocalloopError:
            return False
