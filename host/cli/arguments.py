"""What the words on a command line stand for: maps by name or file, array sizes, boards."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.board.client import Board
from focalloop.host.cli.output import print_notice
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models import zoo


def load_map(spec: str, shape: tuple[int, int] | None = None) -> RatioMap:
    """Load the ratio map that `spec` stands for: a named tile, a file, or a bundle's.

    Parameters
    ----------
    spec : str
        A name in `NAMED_TILES`, the path of a ``.npz`` or ``.png`` map, or a bundle by its shipped
        name or the path of its folder or ``.zip``.
    shape : tuple of int, optional
        Array size ``(H, W)`` to fit it to; by default a file's own, `DEFAULT_SHAPE` for a tile.

    Raises
    ------
    RatioMapError, BundleError
        If there is no such map, or it does not fit `shape`.
    """
    path = Path(spec)
    if spec in NAMED_TILES or (path.is_file() and path.suffix != ".zip"):
        return RatioMap.load(spec, shape=shape)
    if spec in zoo.BUNDLES or path.exists():
        ratio_map = Bundle.load(spec).ratio_map
        return ratio_map if shape is None else ratio_map.tiled_to(*shape)
    raise RatioMapError(
        f"there is no ratio map {spec!r}: give a .npz or .png file, a bundle, or a named tile "
        f"({', '.join(NAMED_TILES)})"
    )


def array_shape(size: str) -> tuple[int, int]:
    """Return the array size ``(H, W)`` that ``WIDTHxHEIGHT`` stands for.

    Raises
    ------
    typer.BadParameter
        `size` is written otherwise.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if match is None:
        raise typer.BadParameter(
            f"{size!r} is not an array size: write WIDTHxHEIGHT, such as 256x256",
            param_hint="--size",
        )
    return int(match[2]), int(match[1])


def open_board(url: str, baud: int) -> Board:
    """Open the board at a device name or URL; what happens on its line is printed as notices."""
    return Board.open(url, baud=baud, on_event=print_notice)
