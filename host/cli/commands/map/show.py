"""``focalloop map show``: a ratio map in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from focalloop.host.cli.output import print_json, stdout
from focalloop.host.cli.shared_options import JsonOption, MapArgument, check_place


def show(
    ratio_map: MapArgument,
    png: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also draw the map to this PNG, one image pixel per pixel."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draw a ratio map, with its average ratio, histogram, reads and hash.

    Example: focalloop map show tile-2of16
    """
    from focalloop.host.cli.arguments import load_map
    from focalloop.host.cli.views.map_report import drawing, map_facts, map_table

    check_place(png, "FILE", "--png")
    loaded = load_map(ratio_map, option="MAP")
    if png is not None:
        loaded.with_aperture(None).save(png.with_suffix(".png"))
    facts = map_facts(loaded)
    if json:
        print_json(facts)
    else:
        stdout.print(drawing(loaded))
        stdout.print(map_table(facts))
