"""``focalloop adaptive train``: the controller of an adaptive map."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from focalloop.host.cli.output import print_json, print_result, progress_bar
from focalloop.host.cli.shared_options import JsonOption, check_exists, output_option
from focalloop.models.cli.extra import require_extra


def train(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Sequences that `focalloop data build --frames 64 --slow` wrote."
        ),
    ],
    output: Annotated[Path, output_option("The .npz file to write.")] = Path("controller.npz"),
    weights: Annotated[
        str,
        typer.Option(metavar="WEIGHTS", help="Universal weights of the reconstruction."),
    ] = "edge-universal",
    noise: Annotated[
        str, typer.Option(metavar="PROFILE", help="Noise of the reads: a preset or a file.")
    ] = "paper",
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of the network.")] = 1000,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, metavar="N", help="Seed of every random choice.")
    ] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Threads of PyTorch.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train the controller of an adaptive map.

    Sequences are read under grids drawn at random and reconstructed; a small network learns to
    predict from two windows which error each block will have under each tile two windows later.

    Example: focalloop adaptive train --data sequences.npz -o controller.npz
    """
    require_extra()
    check_exists(data, "--data", "make sequences with `focalloop data build --frames 64 --slow`")
    import torch

    from focalloop.firmware_sim.noise import NoiseProfile
    from focalloop.models.adaptive.controller_training import train_controller
    from focalloop.models.adaptive.regression import FitSettings

    if threads is not None:
        torch.set_num_threads(threads)
    profile = NoiseProfile.load(noise)
    with progress_bar() as bar:
        drawing = bar.add_task("sequences", total=None)
        learning = bar.add_task("steps", total=steps)
        trained = train_controller(
            data,
            weights,
            profile,
            FitSettings(steps=steps, seed=seed),
            command=shlex.join(["focalloop", *sys.argv[1:]]),
            on_sequence=lambda done, total: bar.update(drawing, completed=done, total=total),
            on_step=lambda step, deviance: bar.update(learning, completed=step),
        )
    trained.save(output)
    found = trained.fit
    if json:
        print_json({"path": str(output), "deviance": found.deviance, "spread": found.spread})
    else:
        print_result(
            f"{output}: mean Gamma deviance {found.deviance:.3f} on the validation sequences, "
            f"whole windows within {found.spread:.2f} of the logarithm"
        )
