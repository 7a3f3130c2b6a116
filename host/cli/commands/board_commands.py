"""``focalloop ports``, ``emulate``, ``upload`` and ``capture``: boards, real and emulated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from serial.tools import list_ports

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.faults import Faults, FaultsError
from focalloop.firmware_sim.maps.defaults import DEFAULT_SHAPE
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.wire import (
    DEFAULT_MAX_PAYLOAD,
    LARGE_MAX_PAYLOAD,
    NO_HASH,
    Feature,
    HelloAnswer,
)
from focalloop.host.board.client import DEFAULT_BAUD, Board
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.cli import map_memory
from focalloop.host.cli.arguments import load_map
from focalloop.host.cli.output import JsonFlag, console, emit_json, progress_bar, stdout
from focalloop.host.errors import BoardLostError, UnknownMapError

PROBE_TIMEOUT_S = 0.6
"""How long a port may take to answer HELLO before it counts as no board."""

SCAMP5_USB_ID = (0x1FC9, 0x008A)

PortOption = Annotated[
    str, typer.Option("--port", metavar="URL", help="Device name, or a URL such as socket://H:P.")
]
BaudOption = Annotated[int, typer.Option(min=50, help="Line rate in bit/s, of real serial ports.")]
MapOption = Annotated[
    str | None, typer.Option("--map", metavar="MAP", help="A map file, a named tile, or a bundle.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(emulate)
    app.command()(ports)
    app.command()(upload)
    app.command()(capture)


def emulate(
    scene: Annotated[
        str, typer.Option(help="What the sensor looks at: synthetic, camera:N, or a clip.")
    ] = "synthetic",
    profile: Annotated[
        str, typer.Option(help="Noise: ideal, paper, scamp5, or a JSON file.")
    ] = "paper",
    map_: Annotated[
        str | None,
        typer.Option(
            "--map", metavar="MAP", help="Map active from the start: a file, tile or bundle."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Array size in pixels. Default: 256x256.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    slot_rate: Annotated[
        float, typer.Option(min=0, help="Slots a second in real time; 0 is as fast as can be.")
    ] = 0.0,
    baud: Annotated[
        int, typer.Option(min=0, help="Pace the line like a UART of this rate; 0 does not.")
    ] = 0,
    tcp: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="Serve on this TCP port of loopback."),
    ] = None,
    link: Annotated[
        Path | None, typer.Option(help="Symbolic link to make to the device, for a steady name.")
    ] = None,
    faults: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What goes wrong on the line, as 'flips=1e-5, disconnect=every 30 s'; "
            "docs/link.md lists all.",
        ),
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Serve a virtual board on a pseudo-terminal, or a TCP port, until Ctrl-C.

    With --json, one document with the board's URL is printed as soon as it answers there. With
    --faults, what befalls the line is told as it happens, and its sum at the end.

    Example: focalloop emulate --scene clip.mp4 --profile scamp5 --baud 921600
    """
    if link is not None and tcp is not None:
        raise typer.BadParameter("a TCP port has no device to link to", param_hint="--link")
    bad_line = _faults(faults)
    if bad_line.disconnect is not None and tcp is None and link is None:
        raise typer.BadParameter(
            "a device that is disconnected comes back under another name: give --link PATH, or "
            "--tcp PORT",
            param_hint="--faults",
        )
    # A host for a real board never needs these, nor Numba behind them.
    from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SLOTS
    from focalloop.firmware_sim.scenes.scene import open_scene
    from focalloop.firmware_sim.serving.transport import PtyServer, TcpServer, stop_on_signals
    from focalloop.firmware_sim.virtual_board.board import VirtualBoard
    from focalloop.firmware_sim.virtual_board.settings import BoardSettings

    shape = None if size is None else _shape(size)
    ratio_map = None if map_ is None else load_map(map_, shape)
    height, width = shape or (DEFAULT_SHAPE if ratio_map is None else ratio_map.shape)
    slots = DEFAULT_SLOTS if ratio_map is None else ratio_map.slots
    settings = BoardSettings(
        profile=NoiseProfile.load(profile, slots),
        seed=seed,
        slot_rate_hz=slot_rate,
        ratio_map=ratio_map,
        level_set=DEFAULT_LEVEL_SET if ratio_map is None else ratio_map.level_set,
        # On a slow line a long frame would keep every answer waiting.
        max_payload=DEFAULT_MAX_PAYLOAD if baud else LARGE_MAX_PAYLOAD,
    )
    view = open_scene(scene, height, width, slots, seed=seed)
    try:
        board = VirtualBoard(
            view, settings, open_scene=lambda text: open_scene(text, height, width, slots)
        )
        with console.status("compiling the emulator's kernels (once a machine)"):
            board.warm_up()
        server = (
            PtyServer(board, baud=baud, link=link, faults=bad_line, on_fault=_tell)
            if tcp is None
            else TcpServer(board, port=tcp, baud=baud, faults=bad_line, on_fault=_tell)
        )
        with server, stop_on_signals(server):
            if json:
                emit_json(
                    {
                        "url": server.url,
                        "height": height,
                        "width": width,
                        "slots": slots,
                        "profile": settings.profile.name,
                        "scene": scene,
                        "faults": str(bad_line),
                    }
                )
            else:
                stdout.print(server.url, highlight=False, soft_wrap=True)
                console.print(f"an emulated {width}x{height} board is there; Ctrl-C ends it")
            if bad_line.active:
                _tell(f"its line is bad: {bad_line}")
            server.serve_forever()
            if bad_line.active:
                _tell(f"what went wrong: {server.cable}")
    finally:
        view.close()


def ports(
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="URL", help="Look here too; may be given several times."),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    json: JsonFlag = False,
) -> None:
    """List serial ports, and the boards that answer there.

    Example: focalloop ports --port socket://localhost:5000
    """
    places = {
        found.device: _Place(found.device, found.description or "", found.vid, found.pid)
        for found in list_ports.comports()
    }
    places |= {url: _Place(url) for url in port or [] if url not in places}
    with console.status("asking who is there"), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda place: _probe(place.url, baud), places.values()))
    if json:
        emit_json(
            {
                "ports": [
                    {
                        "url": place.url,
                        "description": place.description,
                        "usb_id": place.usb_id,
                        "board": _identity(answer) if isinstance(answer, HelloAnswer) else None,
                        "problem": None if isinstance(answer, HelloAnswer) else answer,
                    }
                    for place, answer in zip(places.values(), answers, strict=True)
                ]
            }
        )
        return
    if not places:
        stdout.print("no serial ports here; name one with --port, or start `focalloop emulate`")
        return
    table = Table("port", "board", "array")
    for place, answer in zip(places.values(), answers, strict=True):
        if isinstance(answer, HelloAnswer):
            kind = "SIMULATED" if answer.simulated else "REAL"
            array = f"{answer.width}x{answer.height}, T={answer.slots}, {answer.bits} bit"
            table.add_row(place.url, f"{answer.name} ({kind})\n{answer.firmware}", array)
        else:
            table.add_row(place.url, f"[dim]{place.description}[/]\n{answer}")
    stdout.print(table)


def upload(
    ratio_map: Annotated[
        str, typer.Argument(metavar="MAP", help="A map file, a named tile, or a bundle.")
    ],
    port: PortOption,
    baud: BaudOption = DEFAULT_BAUD,
    json: JsonFlag = False,
) -> None:
    """Have a board run a ratio map.

    A periodic map is repeated to the board's size. The old map stays if anything goes wrong.

    Example: focalloop upload tile-2of16 --port /dev/ttyACM0
    """
    wanted = load_map(ratio_map)
    with _open(port, baud) as board, progress_bar() as bar:
        task = bar.add_task("uploading", total=None)
        before = board.status().map_hash
        active = board.upload(
            wanted, lambda done, total: bar.update(task, completed=done, total=total)
        )
    map_memory.remember(active)
    sent = active.hash() != before
    height, width = active.shape
    if json:
        emit_json(
            {
                "port": port,
                "map_hash": active.hash_hex,
                "height": height,
                "width": width,
                "r_avg": active.ratio,
                "mean_level": active.mean_level,
                "sent": sent,
            }
        )
    else:
        what = "runs now" if sent else "ran already"
        stdout.print(
            f"{ratio_map} {what} on {width}x{height} pixels: {active.mean_level:.2f} measurements "
            f"a pixel, {active.hash_hex[:16]}",
            highlight=False,
            soft_wrap=True,
        )


def capture(
    port: PortOption,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Windows to take.")] = 1,
    map_: MapOption = None,
    baud: BaudOption = DEFAULT_BAUD,
    json: JsonFlag = False,
) -> None:
    """Take windows under the board's map, or another, and keep them in a folder.

    Example: focalloop capture --port /dev/ttyACM0 -o night -n 100
    """
    wanted = None if map_ is None else load_map(map_)
    with (
        _open(port, baud) as board,
        CaptureWriter(output, board.info) as writer,
        progress_bar() as bar,
    ):
        active = board.upload(wanted or _running_map(board))
        map_memory.remember(active)
        task = bar.add_task("capturing", total=count)
        try:
            for window in board.stream(count=count):
                writer.add(window)
                bar.advance(task)
        except BoardLostError as error:
            came = f"{board.stats.windows} of {count} windows had come, and none is kept"
            raise BoardLostError(f"{error}; {came}") from error
        stats = board.stats
    if json:
        emit_json(
            {
                "output": str(output),
                "windows": count,
                "lost": stats.lost,
                "lost_windows": list(stats.lost_windows),
                "reconnects": stats.reconnects,
                "map_hash": active.hash_hex,
                "reads_per_window": window.plan.count,
                "bits": window.bits,
                "bad_frames": stats.frames_bad,
                "goodput_bytes_per_s": stats.goodput_bytes_per_s,
            }
        )
    else:
        lost = f", {stats.lost} lost on the line" if stats.lost else ""
        stdout.print(
            f"wrote {output}: {count} windows of {window.plan.count} reads{lost}",
            highlight=False,
            soft_wrap=True,
        )


@dataclass(frozen=True)
class _Place:
    """Somewhere a board may be."""

    url: str
    description: str = ""
    vendor: int | None = None
    product: int | None = None

    @property
    def usb_id(self) -> str | None:
        """USB vendor and product, with a name where it is one we know."""
        if self.vendor is None or self.product is None:
            return None
        known = " (SCAMP-5)" if (self.vendor, self.product) == SCAMP5_USB_ID else ""
        return f"{self.vendor:04x}:{self.product:04x}{known}"


def _probe(url: str, baud: int) -> HelloAnswer | str:
    """Who answers at `url`, or why nobody does."""
    try:
        with Board.open(url, baud=baud, timeout_s=PROBE_TIMEOUT_S) as board:
            return board.info
    except FocalloopError as error:
        return str(error)


def _identity(board: HelloAnswer) -> dict[str, Any]:
    document = asdict(board)
    document["features"] = [
        feature.name.lower() for feature in Feature if feature in board.features and feature.name
    ]
    return document


def _open(port: str, baud: int) -> Board:
    return Board.open(port, baud=baud, on_event=_tell)


def _tell(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _faults(text: str) -> Faults:
    try:
        return Faults.parse(text)
    except FaultsError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from None


def _running_map(board: Board) -> RatioMap:
    active = board.status().map_hash
    if active == NO_HASH:
        raise UnknownMapError(
            "the board has no ratio map yet: upload one (`focalloop upload`), or give --map"
        )
    known = map_memory.recall(active, board.info)
    if known is None:
        raise UnknownMapError(
            f"the board runs a ratio map that is not known here ({active.hex()[:16]}...): give it "
            "with --map; nothing is sent if it is this one"
        )
    return known


def _shape(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(
            f"{size!r} is no size: write WIDTHxHEIGHT, as 256x256", param_hint="--size"
        )
    return int(height), int(width)
