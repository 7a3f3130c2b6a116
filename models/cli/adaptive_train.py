"""``focalloop adaptive train``: the controller of an adaptive map."""

from __future__ import annotations

import shlex
import sys
from math import exp
from pathlib import Path
from typing import Annotated, Literal

import typer

from focalloop.host.cli.output import print_json, print_result, progress_bar
from focalloop.host.cli.shared_options import (
    JsonOption,
    check_exists,
    check_place,
    output_option,
    refuse_unused,
)
from focalloop.models.cli.extra import require_extra


def train(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Sequences that `focalloop data build --frames 64 --slow` wrote; may be repeated.",
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Learn from samples that --keep-samples wrote."),
    ] = None,
    output: Annotated[Path, output_option("The .npz file to write.")] = Path("controller.npz"),
    keep_samples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the samples: drawing them takes longest."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="WEIGHTS",
            help="Weights for any map that rebuild the windows, as `focalloop live` does.",
        ),
    ] = "edge-adaptive",
    noise: Annotated[
        str, typer.Option(metavar="PROFILE", help="Noise of the reads: a preset or a file.")
    ] = "paper",
    learn: Annotated[
        Literal["errors", "policy", "sampled-policy"],
        typer.Option(
            help="Regress the errors of tiles; or, to compare, train a policy, by all tiles with "
            "their probabilities or by grids that it draws."
        ),
    ] = "errors",
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of each network.")] = 600,
    members: Annotated[
        int, typer.Option(min=1, max=8, metavar="N", help="Networks that are averaged.")
    ] = 3,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, metavar="N", help="Seed of every random choice.")
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Threads of PyTorch.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train the controller of an adaptive map.

    Sequences are read and rebuilt; small networks learn to predict from two windows which error
    each block will have under each tile two windows later.

    Example: focalloop adaptive train --data sequences.npz -o controller.npz
    """
    require_extra()
    if (samples is None) == (not data):
        raise typer.BadParameter("give sequences, or samples of earlier", param_hint="--data")
    for path in data or ():
        check_exists(path, "--data", "make it with `focalloop data build --frames 64 --slow`")
    if samples is not None:
        check_exists(samples, "--samples", "write it with --data and --keep-samples")
        refuse_unused(("keep_samples", "weights", "noise"), "is for --data; samples have theirs")
    check_place(keep_samples, "FILE", "--keep-samples")
    import torch

    from focalloop.firmware_sim.noise import NoiseProfile
    from focalloop.models.adaptive.controller_training import train_controller
    from focalloop.models.adaptive.drawn_samples import DrawnSamples, draw
    from focalloop.models.adaptive.regression import FitSettings

    if threads is not None:
        torch.set_num_threads(threads)
    settings = FitSettings(steps=steps, learn=learn, members=members, seed=seed)
    with progress_bar() as bar:
        if samples is not None:
            drawn = DrawnSamples.load(samples)
        else:
            drawing = bar.add_task("sequences", total=None)
            drawn = draw(
                data or [],
                weights,
                NoiseProfile.load(noise),
                seed,
                lambda done, total: bar.update(drawing, completed=done, total=total),
            )
        if keep_samples is not None:
            drawn.save(keep_samples)
        learning = bar.add_task("steps", total=steps * members)
        trained = train_controller(
            drawn,
            settings,
            command=shlex.join(["focalloop", *sys.argv[1:]]),
            on_step=lambda done: bar.update(learning, completed=done),
        )
    trained.save(output)
    found = trained.fit
    if json:
        print_json({"path": str(output), "deviance": found.deviance, "spread": found.spread})
    else:
        print_result(
            f"{output}: mean Gamma deviance {found.deviance:.3f} on the validation sequences; "
            f"errors of whole windows are as predicted up to a factor of {exp(found.spread):.2f} "
            "(one standard deviation)"
        )
