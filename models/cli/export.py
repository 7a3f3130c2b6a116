"""``focalloop export``: a bundle from a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.host.cli.output import activity, print_json, print_result
from focalloop.host.cli.shared_options import JsonOption, check_exists, map_option, output_option
from focalloop.models import zoo
from focalloop.models.cli.extra import require_extra
from focalloop.models.training_options import NETWORK

if TYPE_CHECKING:
    from focalloop.models.export.bundle import Score


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder that `focalloop train` wrote or, with --int8 or --data, a bundle.",
        ),
    ],
    output: Annotated[
        Path,
        output_option(
            "Bundle folder to write; its name becomes the bundle's. A file that ends in "
            ".safetensors gets the weights alone, for other trainings to start from.",
            "DIR|FILE",
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
            help="Compute in 8 bits, calibrated on the windows of a training file: faster, with a "
            "small loss, which is measured.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Training file, on whose validation windows to measure what the noise of other "
            "sensors costs: notices then say it in dB. --int8 measures it too.",
        ),
    ] = None,
    map_: Annotated[
        str | None,
        map_option("Map file or named tile to start with, for a network trained for any map."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn a trained network into a bundle.

    The bundle has the ratio map, the ONNX graph, the recipe, hashes and scores.

    Example: focalloop export runs/edge -o edge-learned-2of16
    """
    require_extra()
    from_bundle = str(run) in zoo.BUNDLES or (run / "bundle.json").is_file()
    if from_bundle and int8 is None and data is None:
        raise typer.BadParameter("a bundle is written again with --int8 or --data: give one")
    if not from_bundle:
        check_exists(run, "RUN")
    if int8 is not None:
        check_exists(int8, "--int8")
    if data is not None:
        check_exists(data, "--data")
        if int8 is not None:
            raise typer.BadParameter("--int8 measures the same on its own file: leave out --data")
    from focalloop.models.export.bundle import export_bundle, export_run, export_weights
    from focalloop.models.training.checkpoint import CHECKPOINT
    from focalloop.models.training.map_source import named_map
    from focalloop.models.training.training_data import TrainingData
    from focalloop.models.training.weights import SUFFIX

    if not (run / CHECKPOINT).exists() and (run / NETWORK / CHECKPOINT).exists():
        run = run / NETWORK  # a map was learned beside it
    if output.suffix == SUFFIX:
        if score or int8 or map_ or data:
            raise typer.BadParameter("weights alone take no --score, --int8, --data or --map")
        origin = export_weights(run, output)
        if json:
            print_json(origin)
        else:
            print_result(f"{output}: weights of {output.stat().st_size / 1e6:.1f} MB")
        return
    scores = [_score(text, output.name) for text in score or []]
    calibration = TrainingData.load(int8) if int8 else None
    windows = calibration if data is None else TrainingData.load(data)
    first_map = None if map_ is None else named_map(map_)
    with activity(f"making the bundle {output}"):
        if from_bundle and windows is not None:
            manifest = export_bundle(run, output, windows, scores, narrow=int8 is not None)
        else:
            manifest = export_run(run, output, scores, calibration, first_map, windows)
    if json:
        print_json(manifest)
    else:
        network = output / manifest["network"]
        print_result(f"{output}: bundle of {network.stat().st_size / 1e6:.1f} MB")


def _score(text: str, bundle: str) -> Score:
    """Read a score that is given as ``SET=FILE``."""
    from focalloop.firmware_sim.json_text import parse_json
    from focalloop.models.export.bundle import Score

    name, _, file = text.partition("=")
    try:
        evaluation = parse_json(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"--score {text}: {error}") from None
    return Score(name, f"focalloop evaluate {name} --bundle {bundle} --json", evaluation)
