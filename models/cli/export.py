"""The commands of `models` that need PyTorch: ``focalloop train`` and ``focalloop export``.

They reach the command line through the entry-point group ``focalloop.commands``. PyTorch is only
imported inside them, so that listing and helping work in a base install.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from focalloop.models.cli.extra import JsonOption, need_extra
from focalloop.models.cli.train import train
from focalloop.models.order import NETWORK


def register(app: typer.Typer) -> None:
    """Add ``train`` and ``export`` to the command line."""
    app.command(rich_help_panel="Training")(train)
    app.command(rich_help_panel="Training")(export)


def export(
    run: Annotated[Path, typer.Argument(help="Folder of `focalloop train`.")],
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
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Compute in 8 bits, calibrated on the windows of a training file: faster, at a "
            "small loss, which is measured.",
        ),
    ] = None,
    map_: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="MAP",
            help="Map file or named tile to begin with, for a network that was trained for any "
            "map.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a trained network into a bundle: ratio map, ONNX graph, recipe, hashes, scores.

    Example: focalloop export runs/edge -o edge-learned-2of16
    """
    need_extra()
    from focalloop.models.export.bundle import Score, export_run, export_weights
    from focalloop.models.recipes import one_map
    from focalloop.models.training.run import CHECKPOINT
    from focalloop.models.training.training_data import TrainingData
    from focalloop.models.training.weights import SUFFIX

    if not (run / CHECKPOINT).exists() and (run / NETWORK / CHECKPOINT).exists():
        run = run / NETWORK  # a map was learned beside it
    if output.suffix == SUFFIX:
        if score or int8 or map_:
            raise typer.BadParameter("weights alone take no --score, --int8 or --map")
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
    calibration = TrainingData.load(int8) if int8 else None
    first_map = None if map_ is None else one_map(map_)
    manifest = export_run(run, output, scores, calibration, first_map)
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    else:
        network = output / manifest["network"]
        typer.echo(f"{output}: bundle of {network.stat().st_size / 1e6:.1f} MB")
