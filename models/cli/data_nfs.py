"""``focalloop data nfs``: make training windows from the Need for Speed data set."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from focalloop.models.cli.data_build import progress_bar


class FitOption(StrEnum):
    """How a frame comes to a square."""

    CROP = "crop"
    RESIZE = "resize"


def nfs(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="Folder with VIDEO/240/VIDEO/00001.jpg ..."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")] = Path(
        "nfs.npz"
    ),
    segments: Annotated[int, typer.Option(min=1, help="Of 16 frames, of each video.")] = 80,
    held_out_segments: Annotated[
        int, typer.Option(min=1, help="Of each video that is held out for validation.")
    ] = 5,
    size: Annotated[int, typer.Option(min=16, help="Height and width, pixels.")] = 256,
    fit: Annotated[
        FitOption,
        typer.Option(help="A square of the frame's height, or the whole frame squeezed to one."),
    ] = FitOption.CROP,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and of every segment.")] = 0,
    processes: Annotated[
        int | None, typer.Option(min=1, show_default="all processors", help="To cut with.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document on standard output, nothing else."),
    ] = False,
) -> None:
    """Make training windows from Need for Speed, 100 videos at 240 frames a second.

    Get it from its publishers and unpack the archives into one folder. A fifth of the videos is
    held out. The file takes 1 MB a segment, and memory does not grow with it.

    Example: focalloop data nfs NfS -o nfs.npz
    """
    from focalloop.models.data.nfs import NfsSettings, find_videos, write_nfs

    settings = NfsSettings(segments, held_out_segments, size, fit.value, seed=seed)
    videos = find_videos(folder, settings.slots)
    incomplete = [
        f"{video.name} has {len(video.frames)} frames where {video.annotated} are annotated"
        for video in videos
        if video.incomplete
    ]
    for warning in incomplete:
        typer.echo(f"warning: {warning}: unpack it again to have it whole", err=True)
    with progress_bar() as bar:
        task = bar.add_task("segments", total=None)
        digest, counts = write_nfs(
            videos,
            output,
            settings,
            processes=processes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    document = {
        "path": str(output),
        "videos": len(videos),
        "windows": sum(counts),
        "validation": counts[1],
        "sha256": digest,
        "incomplete": incomplete,
    }
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(
            f"{output}: {sum(counts)} segments ({counts[1]} of them for validation) of "
            f"{len(videos)} videos, clips' SHA-256 {digest[:16]}..."
        )
