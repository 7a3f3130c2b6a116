"""The commands of `models` that need PyTorch: ``focalloop train`` and ``focalloop export``.

They reach the command line through the entry-point group ``focalloop.commands``. PyTorch is only
imported inside them, so that listing and helping work in a base install.
"""

from __future__ import annotations

import json
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from firmware_sim.errors import FocalloopError
from firmware_sim.ratio_map import NAMED_TILES, RatioMap

ARRAY_SHAPE = (256, 256)
"""Of a named tile's map; being periodic, it fits arrays of any size."""

MapOption = Annotated[
    str, typer.Option("--map", help=f"A map file, or one of {', '.join(NAMED_TILES)}.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]


class MissingExtraError(FocalloopError):
    """PyTorch or one of its companions is not installed."""


def register(app: typer.Typer) -> None:
    """Add ``train`` and ``export`` to the command line."""
    app.command(rich_help_panel="Training")(train)
    app.command(rich_help_panel="Training")(export)


def _need_extra() -> None:
    missing = [name for name in ("torch", "safetensors", "onnxscript") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{' and '.join(missing)} not installed: run  pip install 'focalloop[train]'"
        )


def load_map(name_or_path: str) -> RatioMap:
    """Load a map file, or repeat a named tile over the usual array."""
    if name_or_path in NAMED_TILES:
        return RatioMap.from_tile(NAMED_TILES[name_or_path], shape=ARRAY_SHAPE)
    return RatioMap.load(name_or_path)


def train(
    data: Annotated[Path, typer.Option(help="What `focalloop data build` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of this run.")],
    map_: MapOption = "tile-2of16",
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stop, annealed, after this long.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Stop, annealed, after this many.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Windows a step.")] = 16,
    crop: Annotated[
        int, typer.Option(min=8, help="Side of the square cut from each, pixels.")
    ] = 96,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a reconstruction network for a ratio map.

    Run again with the same options to resume an interrupted run.

    Example: focalloop train --map tile-2of16 --data train.npz -o runs/edge --minutes 90
    """
    _need_extra()
    import torch

    from models.map_source import OneMap
    from models.run import CHECKPOINT, Run, RunSettings
    from models.train import NetworkRun
    from models.training_data import TrainingData

    if minutes is None and steps is None:
        raise typer.BadParameter("give --minutes or --steps")
    if threads:
        torch.set_num_threads(threads)
    settings = RunSettings(minutes=minutes, steps=steps, batch=batch, crop=crop, seed=seed)
    run = NetworkRun(OneMap(load_map(map_)), TrainingData.load(data), settings)
    run.command = shlex.join(["focalloop", *sys.argv[1:]])
    if (output / CHECKPOINT).exists():
        run.resume(output / CHECKPOINT)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=1.0)

        def show(run: Run) -> None:
            progress = run.progress
            text = f"step {progress.step}  train {progress.train_psnr:.2f} dB"
            text += f"  validation {progress.validation_psnr:.2f} dB"
            bar.update(task, completed=run.spent, description=text)

        run.train(output, on_step=show)
    progress = run.progress
    if as_json:
        typer.echo(json.dumps({"run": str(output), **vars(progress)}))
    else:
        typer.echo(
            f"{output / CHECKPOINT}: {progress.step} steps in {progress.minutes:.1f} minutes, "
            f"validation {progress.validation_psnr:.2f} dB"
        )


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Bundle folder to write; its name is the name. A file that ends in .safetensors "
            "gets the weights alone, for other runs to start from.",
        ),
    ],
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SET=FILE",
            help="Record what `focalloop evaluate SET --bundle ... --json` printed to FILE.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a trained network into a bundle: ratio map, ONNX graph, recipe, hashes, scores.

    Example: focalloop export runs/edge -o edge-tile-2of16
    """
    _need_extra()
    from models.export import Score, export_run, export_weights
    from models.weights import SUFFIX

    if output.suffix == SUFFIX:
        if score:
            raise typer.BadParameter("weights alone have no scores: leave --score out")
        origin = export_weights(run, output)
        size = f"{output}: weights of {output.stat().st_size / 1e6:.1f} MB"
        typer.echo(json.dumps(origin, indent=2) if as_json else size)
        return
    scores = []
    for text in score or []:
        name, _, file = text.partition("=")
        try:
            evaluation = json.loads(Path(file).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"--score {text}: {error}") from None
        command = f"focalloop evaluate {name} --bundle {output.name} --json"
        scores.append(Score(name, command, evaluation))
    manifest = export_run(run, output, scores)
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        network = output / manifest["network"]
        typer.echo(f"{output}: bundle of {network.stat().st_size / 1e6:.1f} MB")
