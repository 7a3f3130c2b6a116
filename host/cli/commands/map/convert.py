"""``focalloop map convert``: ratio maps from one file format to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from focalloop.host.cli import completion
from focalloop.host.cli.shared_options import JsonOption


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="An .npz or .png map, a bundle, or a named tile.",
            autocompletion=completion.maps,
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="TO", help="File to write: .npz or .png.")],
    json: JsonOption = False,
) -> None:
    """Convert an .npz map to a PNG that paint programs edit, or back.

    Example: focalloop map convert learned.npz learned.png
    """
    from focalloop.host.cli.arguments import load_map
    from focalloop.host.cli.views.map_report import save_map

    save_map(load_map(source, option="FROM"), target, json)
