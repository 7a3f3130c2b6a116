"""``focalloop ports``: the serial ports of this machine, and who answers on them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from focalloop.host.cli.output import activity, print_json, print_result, stdout
from focalloop.host.cli.shared_options import BaudOption, JsonOption
from focalloop.host.link.port import DEFAULT_BAUD, serial_devices

if TYPE_CHECKING:
    from rich.table import Table

    from focalloop.firmware_sim.wire import HelloAnswer

PROBE_TIMEOUT_S = 0.6
"""How long a port may take to answer HELLO before it counts as no board."""

SCAMP5_USB_ID = (0x1FC9, 0x008A)


def ports(
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="URL", help="Look here too; may be given several times."),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    json: JsonOption = False,
) -> None:
    """List the serial ports, and the boards that answer on them.

    Example: focalloop ports --port socket://localhost:5000
    """
    from concurrent.futures import ThreadPoolExecutor

    places = _places(port or [])
    with activity("asking every port for a board"), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda place: _probe(place.url, baud), places))
    found = list(zip(places, answers, strict=True))
    if json:
        print_json({"ports": [_facts(place, answer) for place, answer in found]})
    elif found:
        stdout.print(_table(found))
    else:
        print_result(
            "there are no serial ports here: name one with --port, or start `focalloop emulate`"
        )


@dataclass(frozen=True)
class _Place:
    """Where a board may be."""

    url: str
    description: str = ""
    vendor: int | None = None
    product: int | None = None

    @property
    def usb_id(self) -> str | None:
        """USB vendor and product, with the device's name where it is a known one."""
        if self.vendor is None or self.product is None:
            return None
        known = " (SCAMP-5)" if (self.vendor, self.product) == SCAMP5_USB_ID else ""
        return f"{self.vendor:04x}:{self.product:04x}{known}"


def _places(urls: list[str]) -> list[_Place]:
    """Return the serial ports of this machine, then the URLs that are not among them."""
    places = {
        found.device: _Place(found.device, found.description or "", found.vid, found.pid)
        for found in serial_devices()
    }
    return list((places | {url: _Place(url) for url in urls if url not in places}).values())


def _probe(url: str, baud: int) -> HelloAnswer | str:
    """Return who answers at `url`, or why nobody does."""
    from focalloop.firmware_sim.errors import FocalloopError
    from focalloop.host.board.client import Board

    try:
        with Board.open(url, baud=baud, timeout_s=PROBE_TIMEOUT_S) as board:
            return board.info
    except FocalloopError as error:
        return str(error)


def _facts(place: _Place, answer: HelloAnswer | str) -> dict[str, Any]:
    silent = isinstance(answer, str)
    return {
        "url": place.url,
        "description": place.description,
        "usb_id": place.usb_id,
        "board": None if isinstance(answer, str) else _identity(answer),
        "problem": answer if silent else None,
    }


def _identity(board: HelloAnswer) -> dict[str, Any]:
    from focalloop.firmware_sim.wire import Feature

    document = asdict(board)
    document["features"] = [
        feature.name.lower() for feature in Feature if feature in board.features and feature.name
    ]
    return document


def _table(found: list[tuple[_Place, HelloAnswer | str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from focalloop.firmware_sim.wire import Feature

    table = Table("port", "board", "array")
    for place, answer in found:
        if isinstance(answer, str):
            table.add_row(place.url, Text.assemble((place.description, "dim"), f"\n{answer}"))
        else:
            kind = "SIMULATED" if answer.simulated else "REAL"
            kind = "REPLAY" if Feature.REPLAY in answer.features else kind
            array = f"{answer.width}x{answer.height}, T={answer.slots}, {answer.bits} bit"
            table.add_row(place.url, f"{answer.name} ({kind})\n{answer.firmware}", array)
    return table
