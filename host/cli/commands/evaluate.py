"""``focalloop evaluate``: scores of reconstructions on clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.host.cli import completion
from focalloop.host.cli.output import print_json, progress_bar, stdout
from focalloop.host.cli.shared_options import (
    AddressOption,
    CorrectionOption,
    JsonOption,
    LimitOption,
    PatternOption,
    ProfileOption,
    RayOption,
    SeedOption,
    ThreadsOption,
    WhiteOption,
    check_exists,
    map_option,
    refuse_unused,
)

if TYPE_CHECKING:
    from rich.table import Table

    from focalloop.host.reconstruction.evaluate import Evaluation


def evaluate(
    clips: Annotated[
        Path,
        typer.Argument(metavar="CLIPS", help="An .npz or .npy of clips, a video, or a folder."),
    ],
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BUNDLE",
            help="Shipped name or path of a bundle, network-free, or gap-tv; may be given several "
            "times.",
            show_default="the shipped default bundle",
            autocompletion=completion.bundles_or_without,
        ),
    ] = None,
    map_: Annotated[
        str | None,
        map_option(
            "Also reconstruct without a network what is captured under this file, named tile or "
            "bundle's map. Bundles for any map use it too."
        ),
    ] = None,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    pattern: PatternOption = None,
    correction: CorrectionOption = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Also score the initial reconstruction alone.")
    ] = False,
    limit: LimitOption = None,
    white: WhiteOption = None,
    threads: ThreadsOption = 2,
    ray: RayOption = False,
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Score reconstructions of clips by PSNR and SSIM.

    The emulated sensor captures the clips under each bundle's map. Its response, if --profile has
    one, is undone before anything is reconstructed, and with --correction its fixed pattern too.

    PSNR and SSIM are computed on the video clipped to the range 0 to 1, with peak 1. Both the mean
    of the clips' PSNRs and the PSNR of their mean squared error are printed.

    With --ray, other processors score clips too, with the same results (docs/scaling.md).

    Example: focalloop evaluate clips.npz --bundle edge-learned-2of16 --baseline
    """
    if not ray:
        refuse_unused(["address"], "goes with --ray")
    from focalloop.firmware_sim.errors import SceneError
    from focalloop.host.cli.arguments import (
        check_corrects,
        load_correction,
        load_pattern,
        load_profile,
    )
    from focalloop.host.cli.interruption import Interruption, StoppedError
    from focalloop.host.cli.methods import Method, all_methods, noise_of_reads, read_clips
    from focalloop.host.cli.processors import cluster_for
    from focalloop.host.cluster import ClusterLostError
    from focalloop.host.reconstruction.evaluate import evaluate as score, initial
    from focalloop.host.recording.loading import holds_windows

    # Says now what would be found after the clips have been read.
    own, corrected_by = load_pattern(pattern), load_correction(correction, profile)
    check_corrects(corrected_by, own)
    check_exists(clips, "CLIPS")
    if holds_windows(clips):
        raise SceneError(
            f"{clips} holds what a sensor read, without the scenes that scores are against: give "
            "clips, or see its windows by `focalloop reconstruct`"
        )
    reads_noise = noise_of_reads(profile, corrected_by)
    methods = all_methods(bundle or [], map_, threads, reads_noise)
    if baseline:
        pairs = [(method, Method("initial", method.ratio_map, initial)) for method in methods]
        methods = [method for pair in pairs for method in pair]
    loaded = read_clips(clips, methods[0].ratio_map, limit, white)
    noise = load_profile(profile, methods[0].ratio_map.slots)
    results: list[Evaluation] = []
    lost: ClusterLostError | None = None
    try:
        with (
            cluster_for(ray, address) as cluster,
            progress_bar() as bar,
            Interruption() as interruption,
        ):
            each = map if cluster is None else partial(cluster.map, processors=threads)
            for method in methods:
                task = bar.add_task(method.name, total=len(loaded))
                with interruption.step():
                    result = score(
                        loaded,
                        method.ratio_map,
                        method.reconstruct,
                        noise,
                        name=method.name,
                        seed=seed,
                        pattern=own,
                        correction=corrected_by,
                        progress=partial(bar.advance, task),
                        stop=lambda: interruption.wanted,
                        each=each,
                    )
                    # Means over other clips than those of the rest would invite a wrong comparison.
                    if not results or len(result.clips) == len(loaded):
                        results.append(result)
    except ClusterLostError as error:
        if not results:
            raise
        lost = error
    if not results:
        raise StoppedError("stopped before the first clip was scored")
    if json:
        print_json({"results": [result.as_dict() for result in results]})
    else:
        stdout.print(_table(results))
    if lost is not None:
        raise lost
    if interruption.wanted:
        raise StoppedError(
            f"stopped: {len(results)} of {len(methods)} reconstructions are scored, on "
            f"{len(results[0].clips)} of {len(loaded)} clips"
        )


def _table(results: list[Evaluation]) -> Table:
    from rich.table import Table

    corrected = "; reads corrected" if results[0].corrected else ""
    table = Table(caption=f"PSNR (dB) and SSIM; r_avg under each name{corrected}")
    table.add_column("clip", overflow="fold")
    for result in results:
        table.add_column(f"{result.bundle}\n{result.r_avg:.4f}", justify="right")
    for row in zip(*(result.clips for result in results), strict=True):
        table.add_row(row[0].name, *(f"{clip.psnr:.2f}  {clip.ssim:.4f}" for clip in row))
    table.add_section()
    means = (f"{result.psnr:.2f}  {result.ssim:.4f}" for result in results)
    table.add_row("mean", *means, style="bold")
    table.add_row("PSNR of the mean MSE", *(f"{r.psnr_of_mean:.2f}        " for r in results))
    return table
