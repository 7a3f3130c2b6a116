"""A board found by its serial number, at whatever port it is."""

from types import SimpleNamespace

import pytest

from focalloop.host.errors import PortMissingError
from focalloop.host.lab import board_by_serial
from focalloop.host.lab.board_by_serial import BoardBySerial
from tests.support.served import make_board, on_pty


@pytest.fixture
def plugged_in(monkeypatch):
    """Two boards on ports of which only one has a serial number of USB."""
    with on_pty(make_board(serial="FL-1")) as one, on_pty(make_board(serial="FL-2")) as two:
        devices = [
            SimpleNamespace(device=one.url, serial_number="USB-1"),
            SimpleNamespace(device=two.url, serial_number=None),
        ]
        monkeypatch.setattr(board_by_serial, "serial_devices", lambda: devices)
        yield one.url, two.url


@pytest.mark.parametrize(("serial", "place"), [("USB-1", 0), ("FL-1", 0), ("FL-2", 1)])
def test_it_is_found_by_usb_or_by_hello(serial, place, plugged_in):
    assert BoardBySerial(serial).start() == plugged_in[place]


def test_one_that_is_not_there_is_named(plugged_in):
    with pytest.raises(PortMissingError, match="no board with the serial number FL-3"):
        BoardBySerial("FL-3").start()
