"""``focalloop map suggest``: the shipped map that suits somebody's scenes."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from focalloop.host.cli.output import print_json, print_result, progress_bar, stdout
from focalloop.host.cli.shared_options import (
    JsonOption,
    ProfileOption,
    SeedOption,
    ThreadsOption,
    WhiteOption,
    check_exists,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from focalloop.host.reconstruction.suggestion import Candidate, Margin

    Ranked = list[tuple[Candidate, NDArray[np.float64], Margin]]


def suggest(
    clips: Annotated[
        Path,
        typer.Argument(metavar="CLIPS", help="An .npz or .npy of clips, a video, or a folder."),
    ],
    budget: Annotated[
        float,
        typer.Option(
            metavar="R", min=0, max=1, help="Greatest average ratio; 0.125 is two of 16 reads."
        ),
    ] = 0.125,
    windows: Annotated[
        int, typer.Option(metavar="N", min=2, help="Windows to try, evenly spread over CLIPS.")
    ] = 12,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    white: WhiteOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Name the shipped map that suits the scenes of some clips.

    Each shipped map within the budget captures the same windows through the emulated sensor, and
    its network rebuilds them. The table shows how far each is below the best one, with the 95 %
    interval of that difference over the windows. Maps whose interval includes zero are equal as far
    as these windows can tell; try more, and of different scenes.

    A frame is taken as one slot of the sensor: what was filmed at 30 frames per second moves eight
    times as far from slot to slot as before a sensor of 240 slots per second.

    Example: focalloop map suggest my_clips.npz --budget 0.0625
    """
    import numpy as np

    from focalloop.firmware_sim.errors import SceneError
    from focalloop.host.cli.arguments import load_profile
    from focalloop.host.cli.interruption import all_or_nothing
    from focalloop.host.cli.methods import method_for_clips, read_clips
    from focalloop.host.reconstruction.evaluate import evaluate
    from focalloop.host.reconstruction.suggestion import MIN_WINDOWS, Margin, candidates, sample

    check_exists(clips, "CLIPS")
    noise = load_profile(profile)
    tried = candidates(budget, noise)
    if not tried:
        raise typer.BadParameter(f"--budget {budget:g}: no shipped map reads so little")
    methods = (method_for_clips(each.bundle, each.tile, threads, noise) for each in tried)
    first = next(methods)
    found = read_clips(clips, first.ratio_map, None, white)
    if len(found) < MIN_WINDOWS:
        raise SceneError(
            f"{clips} holds one window of {first.ratio_map.slots} frames: give at least "
            f"{MIN_WINDOWS}, from several scenes if you can"
        )
    taken = sample(found, windows)
    scores: list[NDArray[np.float64]] = []
    with progress_bar() as bar, all_or_nothing(lambda: f"{len(scores)} of {len(tried)} maps"):
        for candidate, method in zip(tried, chain([first], methods), strict=True):
            task = bar.add_task(candidate.name, total=len(taken))
            score = evaluate(
                taken,
                method.ratio_map,
                method.reconstruct,
                noise,
                name=candidate.name,
                seed=seed,
                progress=partial(bar.advance, task),
            )
            scores.append(np.array([clip.psnr for clip in score.clips]))
    best = max(scores, key=lambda psnr: float(psnr.mean()))
    ranked = [
        (one, psnr, Margin.between(best, psnr)) for one, psnr in zip(tried, scores, strict=True)
    ]
    ranked.sort(key=lambda row: -float(row[1].mean()))
    if json:
        print_json(_document(ranked, taken.names, budget, profile))
    else:
        stdout.print(_table(ranked, len(taken)))
        print_result(_advice(ranked))


def _document(
    ranked: Ranked, names: tuple[str, ...], budget: float, profile: str
) -> dict[str, Any]:
    return {
        "budget": budget,
        "profile": profile,
        "windows": list(names),
        "best": ranked[0][0].name,
        "equal": [candidate.name for candidate, _, margin in ranked[1:] if margin.equal],
        "candidates": [
            asdict(candidate)
            | {"name": candidate.name, "psnr": float(psnr.mean()), "below_best": asdict(margin)}
            for candidate, psnr, margin in ranked
        ],
    }


def _table(ranked: Ranked, windows: int) -> Table:
    from rich.table import Table

    table = Table(caption=f"PSNR on {windows} windows, dB; intervals of 95 % over these")
    table.add_column("map", no_wrap=True)
    table.add_column("network")
    table.add_column("r_avg", justify="right")
    table.add_column("PSNR", justify="right")
    table.add_column("below the best", justify="right", no_wrap=True)
    for candidate, psnr, margin in ranked:
        below = f"{margin.mean:.2f} [{margin.low:.2f}, {margin.high:.2f}]"
        table.add_row(
            candidate.name,
            "its own" if candidate.tile is None else "for any map",
            f"{candidate.r_avg:.4f}",
            f"{psnr.mean():.2f}",
            "" if candidate is ranked[0][0] else below,
        )
    return table


def _advice(ranked: Ranked) -> str:
    best = ranked[0][0]
    option = "--bundle" if best.tile is None else "--map"
    equal = [candidate.name for candidate, _, margin in ranked[1:] if margin.equal]
    text = f"best: {best.name} (focalloop live {option} {best.name})"
    if equal:
        text += f"; not told apart from it by these windows: {', '.join(equal)}"
    return text
