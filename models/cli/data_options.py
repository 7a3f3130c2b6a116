"""Options that several ``focalloop data`` commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SourcesOption = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Take the packages' files from anywhere below this folder, by name, and download "
        "nothing.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Folder to keep downloads in.",
        show_default="the user's cache folder",
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes", metavar="N", min=1, help="Processes to use.", show_default="all processors"
    ),
]
