"""``focalloop data nfs``: training windows from the Need for Speed data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from focalloop.host.cli.interruption import all_or_nothing
from focalloop.host.cli.output import print_json, print_result, print_warning, progress_bar
from focalloop.host.cli.shared_options import JsonOption, output_option
from focalloop.models.cli.data_options import ProcessesOption


def nfs(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Folder of the unpacked archives, with VIDEO/240/VIDEO/00001.jpg and so on.",
        ),
    ],
    output: Annotated[Path, output_option("The .npz file to write.")] = Path("nfs.npz"),
    segments: Annotated[
        int, typer.Option(metavar="N", min=1, help="Segments of 16 frames to cut from each video.")
    ] = 80,
    held_out_segments: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Segments from each video that is held out for validation."
        ),
    ] = 5,
    size: Annotated[int, typer.Option(metavar="N", min=16, help="Height and width, pixels.")] = 256,
    fit: Annotated[
        Literal["crop", "resize"],
        typer.Option(help="Cut a square of the frame's height, or squeeze the whole frame to one."),
    ] = "crop",
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Seed of the split and of every segment.")
    ] = 0,
    processes: ProcessesOption = None,
    json: JsonOption = False,
) -> None:
    """Make training windows from the Need for Speed data set.

    The data set has 100 videos at 240 frames per second. Get it from its publishers and unpack the
    archives into one folder. A fifth of the videos is held out. The file takes 1 MB per segment;
    memory use does not grow with it.

    Example: focalloop data nfs NfS -o nfs.npz
    """
    from focalloop.models.data.nfs import NfsSettings, find_videos, write_nfs

    settings = NfsSettings(segments, held_out_segments, size, fit, seed=seed)
    videos = find_videos(folder, settings.slots)
    incomplete = [
        f"{video.name} has {len(video.frames)} frames where {video.annotated} are annotated"
        for video in videos
        if video.incomplete
    ]
    for problem in incomplete:
        print_warning(f"{problem}: unpack its archive again to have them all")
    came = (0, 0)
    with progress_bar() as bar, all_or_nothing(lambda: "{} of {} segments".format(*came)):
        task = bar.add_task("segments", total=None)

        def written(done: int, total: int) -> None:
            nonlocal came
            came = done, total
            bar.update(task, completed=done, total=total)

        digest, counts = write_nfs(
            videos,
            output,
            settings,
            processes=processes,
            progress=written,
        )
    if json:
        print_json(
            {
                "path": str(output),
                "videos": len(videos),
                "windows": sum(counts),
                "validation": counts[1],
                "sha256": digest,
                "incomplete": incomplete,
            }
        )
    else:
        print_result(
            f"{output}: {sum(counts)} segments ({counts[1]} of them for validation) of "
            f"{len(videos)} videos, clips' SHA-256 {digest[:16]}..."
        )
