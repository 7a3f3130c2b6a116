"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from focalloop.firmware_sim.maps.defaults import NAMED_TILES

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]

PortOption = Annotated[
    str,
    typer.Option(
        "--port", metavar="URL", help="Board: a device name, or a URL such as socket://HOST:PORT."
    ),
]


def baud_option(**more: Any) -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--baud``, of a serial port."""
    text = "Line rate of a real serial port, bit/s."
    return typer.Option("--baud", metavar="RATE", min=50, help=text, **more)


BaudOption = Annotated[int, baud_option()]

MapArgument = Annotated[
    str,
    typer.Argument(
        metavar="MAP",
        help=f"Ratio map: an .npz or .png file, a bundle, or a named tile: "
        f"{', '.join(NAMED_TILES)}.",
    ),
]


def map_option(help: str, **more: Any) -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--map``, which takes what `MapArgument` takes."""
    return typer.Option("--map", metavar="MAP", help=help, **more)


def size_option(default: str) -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--size``, of an array; `default` says in words what it is without one."""
    return typer.Option("--size", metavar="WxH", help="Array size in pixels.", show_default=default)


ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NOISE",
        help="Noise of the emulated sensor: ideal, paper, scamp5, or a JSON file.",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Seed of the emulated sensor's noise.")
]

LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, help="Use only the first N windows.", show_default="all"
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", metavar="N", min=1, help="Processor threads of the network.")
]

BundleOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="BUNDLE",
        help="Bundle to reconstruct with: a shipped name, the path of a folder or .zip, or "
        "network-free.",
        show_default="the shipped default bundle",
    ),
]
BundleMapOption = Annotated[
    str | None,
    map_option(
        "Ratio map to upload: a file, a named tile, or a bundle's.", show_default="the bundle's"
    ),
]
HttpPortOption = Annotated[
    int | None,
    typer.Option(
        "--http-port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Port of the page; 0 for any free one.",
        show_default="8000, or the next free one",
    ),
]


def output_option(help: str, metavar: str = "FILE") -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--output``, also ``-o``."""
    return typer.Option("--output", "-o", metavar=metavar, help=help)
