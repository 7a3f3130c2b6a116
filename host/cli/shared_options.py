"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import can_be_file
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.host.cli import completion
from focalloop.host.cli.command_tree import given_options

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]


def port_option() -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--port``, of a board."""
    text = "Board: a device name, or a URL such as socket://HOST:PORT."
    return typer.Option("--port", metavar="URL", help=text)


PortOption = Annotated[str, port_option()]


def baud_option(**more: Any) -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--baud``, of a serial port."""
    text = "Line rate of a real serial port, bit/s."
    return typer.Option("--baud", metavar="RATE", min=50, help=text, **more)


BaudOption = Annotated[int, baud_option()]

DEFAULT_WAIT_S = 120.0
"""Longer than an emulator takes to start once its kernels are compiled."""


def wait_option(**more: Any) -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--wait``, for the port of a board."""
    text = "How long the port may be missing, as that of an emulator that starts; 0 does not wait."
    return typer.Option("--wait", metavar="SECONDS", min=0, help=text, **more)


WaitOption = Annotated[float, wait_option()]

MapArgument = Annotated[
    str,
    typer.Argument(
        metavar="MAP",
        help=f"Ratio map: an .npz or .png file, a bundle, or a named tile: "
        f"{', '.join(NAMED_TILES)}.",
        autocompletion=completion.maps,
    ),
]


def map_option(help: str, **more: Any) -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--map``, which takes what `MapArgument` takes."""
    more.setdefault("autocompletion", completion.maps)
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
        autocompletion=completion.profiles,
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Seed of the emulated sensor's noise.")
]

PatternOption = Annotated[
    Path | None,
    typer.Option(
        "--pattern",
        metavar="FILE",
        help="Fixed pattern of the emulated sensor, .npz.",
        show_default="drawn by the seed, from the noise",
    ),
]
CorrectionOption = Annotated[
    Path | None,
    typer.Option(
        "--correction",
        metavar="FILE",
        help="Correct the reads by this fixed pattern, .npz, as `focalloop calibrate` writes it.",
    ),
]
UncorrectedOption = Annotated[
    bool,
    typer.Option(
        "--uncorrected",
        help="Leave off the correction that `calibrate --remember` kept for the board.",
    ),
]

ReplayOption = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Play this recording, bit for bit, instead of emulating a sensor.",
    ),
]

WindowsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="CAPTURE|CLIPS",
        help="A capture folder, a recording, or clips to emulate the capture of.",
    ),
]
RecordingArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A recording, NAME.mcap, or one that was cut off, NAME.mcap.unfinished.",
        exists=True,
        dir_okay=False,
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, help="Use only the first N windows.", show_default="all"
    ),
]
WhiteOption = Annotated[
    float | None,
    typer.Option(
        "--white",
        metavar="VALUE",
        min=1,
        help="Value of white in clips whose files leave it open: 4095 for frames of 12 bits.",
        show_default="what the files say",
    ),
]
SceneRateOption = Annotated[
    str | None,
    typer.Option(
        "--scene-rate",
        metavar="HZ",
        help="Frames of the clip per second, or `own` for the rate at which a video was filmed.",
        show_default="a frame per slot",
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", metavar="N", min=1, help="Processor threads of the network.")
]

RayOption = Annotated[
    bool,
    typer.Option(
        "--ray", help="Use the processors of a Ray cluster, by default one that starts here."
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Head node of the Ray cluster of which this machine is a part, or auto.",
        show_default="a cluster of this machine alone",
    ),
]

BundleOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="BUNDLE",
        help="Bundle to reconstruct with: a shipped name, the path of a folder or .zip, or "
        "network-free.",
        show_default="the shipped default bundle",
        autocompletion=completion.bundles_or_none,
    ),
]
BundleMapOption = Annotated[
    str | None,
    map_option(
        "Map to upload: a file, a named tile, or a bundle's; adaptive follows the scene.",
        show_default="the bundle's",
        autocompletion=completion.maps_or_adaptive,
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="R",
        help="Most reads in a window under an adaptive map, relative to a full readout.",
        show_default="what the map reads at rest",
    ),
]
HttpHostOption = Annotated[
    str, typer.Option("--http-host", metavar="ADDRESS", help="Address to serve on.")
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
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TEXT",
        envvar="FOCALLOOP_TOKEN",
        help="Bearer token that the service asks for; required where other machines can reach it.",
        show_default="none, or with --public-url a new one",
    ),
]
PublicUrlOption = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        metavar="URL",
        help="Address under which a proxy or a tunnel offers the page to browsers.",
    ),
]
RecordingsOption = Annotated[
    Path | None,
    typer.Option(
        "--recordings",
        metavar="DIR",
        file_okay=False,
        help="Folder for what the page records.",
        show_default="recordings in your data folder",
    ),
]
QuotaOption = Annotated[
    float | None,
    typer.Option(
        "--recordings-quota",
        metavar="GB",
        min=0.001,
        help="Most that recordings may take: the oldest that are not pinned are removed for it.",
        show_default="no limit",
    ),
]


def output_option(help: str, metavar: str = "FILE") -> Any:  # noqa: ANN401 - as typer.Option
    """Return ``--output``, also ``-o``, of a file or a folder, as `metavar` says."""

    def checked(path: Path | None) -> Path | None:
        return check_place(path, metavar)

    return typer.Option("--output", "-o", metavar=metavar, help=help, callback=checked)


@contextmanager
def setting(option: str) -> Iterator[None]:
    """Make what is wrong with the value of `option` wrong usage of the command, exit code 2."""
    try:
        yield
    except FocalloopError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def refuse_unused(names: Collection[str], reason: str) -> None:
    """Refuse options that were given although they have no effect beside the others.

    Parameters
    ----------
    names : collection of str
        Parameters of the command that is running.
    reason : str
        Why, after the name of the option.

    Raises
    ------
    typer.BadParameter
        One was given, whatever its value.
    """
    for name, option in given_options.get().items():
        if name in names:
            raise typer.BadParameter(f"{option} {reason}")


def check_exists(path: Path, option: str, remedy: str = "check the path") -> None:
    """Check before any work that there is something at a path to read.

    Raises
    ------
    typer.BadParameter
        There is nothing.
    """
    if not path.exists():
        raise typer.BadParameter(f"there is nothing at {path}: {remedy}", param_hint=option)


def check_new(path: Path | None, option: str) -> None:
    """Find out before any work whether the new folder `path` can be made.

    Raises
    ------
    typer.BadParameter
        It exists, or cannot be made.
    """
    if check_place(path, "DIR", option) is not None and os.path.lexists(str(path)):
        raise typer.BadParameter(
            f"{path} exists already: choose another folder or remove it", param_hint=option
        )


def check_place(path: Path | None, kind: str, option: str | None = None) -> Path | None:
    """Find out before any work whether a ``FILE`` or ``DIR`` can be written at `path`; return it.

    Raises
    ------
    typer.BadParameter
        It cannot; a folder is made with its parents, a file is not.
    """
    if path is None:
        return None
    parent = path.parent
    if kind == "DIR":
        parent = next(above for above in path.absolute().parents if above.exists())
    if kind == "FILE" and path.is_dir():
        why = "it is a folder"
    elif kind == "FILE" and not can_be_file(path):
        why = "it is a device or a pipe"
    elif kind == "DIR" and path.is_file():
        why = "it is a file"
    elif not parent.is_dir():
        why = f"it is in no folder: make {parent} first"
    elif not os.access(parent, os.W_OK):
        why = f"the folder {parent} cannot be written to"
    else:
        return path
    raise typer.BadParameter(f"cannot write {path}: {why}", param_hint=option)
