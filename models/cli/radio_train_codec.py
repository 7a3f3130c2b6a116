"""``focalloop radio train codec``: the compression of sensor data."""

from __future__ import annotations

from typing import Annotated

import typer

from focalloop.host.cli.output import activity
from focalloop.host.cli.shared_options import JsonOption, check_exists
from focalloop.models.cli.extra import require_extra
from focalloop.models.cli.radio_train import (
    SENSING,
    BatchOption,
    CropOption,
    DataOption,
    DeviceOption,
    MinutesOption,
    NetworkOption,
    OutputOption,
    SeedOption,
    SensingOption,
    StartOption,
    StepsOption,
    ThreadsOption,
    refuse_with_paper,
    train_and_tell,
)

PRICES = (1.6e-2, 3e-4)


def codec(
    output: OutputOption,
    data: DataOption,
    minutes: MinutesOption = None,
    steps: StepsOption = None,
    start: StartOption = None,
    prices: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="DEAR CHEAP",
            help="Squared error that one bit per pixel must save at the lowest and the highest "
            "quality, white being 1.",
        ),
    ] = PRICES,
    network: NetworkOption = "edge",
    sensing: SensingOption = SENSING,
    batch: BatchOption = 8,
    crop: CropOption = 96,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="RATE",
            help="Highest learning rate.",
            show_default="0.003, or 0.00005 for --network paper",
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Train the codec: transforms and entropy models, one network for all rates.

    Run the same command again to go on with an interrupted training. Under torchrun, several
    processes share each batch.

    Example: focalloop radio train codec --data train.npz -o runs/codec --minutes 60
    """
    given = locals()
    require_extra()
    if minutes is None and steps is None:
        raise typer.BadParameter("give --minutes or --steps")
    if network == "paper":
        refuse_with_paper(("--start", start, None), ("--prices", prices, PRICES))
    if not 1 > prices[0] > prices[1] > 0:
        raise typer.BadParameter(
            f"--prices {prices[0]:g} {prices[1]:g}: give two that fall, between 1 and 0"
        )
    check_exists(data, "--data", "make training data with `focalloop data build`")
    with activity("loading PyTorch"):
        import torch

        from focalloop.models.radio.codec_pipeline import (
            CodecOptions,
            begin_codec,
            begin_published_codec,
        )
        from focalloop.models.radio.published_run import LEARNING_RATE
        from focalloop.models.training.run import RunSettings
    if threads:
        torch.set_num_threads(threads)
    usual = LEARNING_RATE if network == "paper" else 3e-3
    settings = RunSettings(
        minutes=minutes,
        steps=steps,
        batch=batch,
        crop=crop,
        learning_rate=usual if learning_rate is None else learning_rate,
        warm_up_steps=50,
        average_decay=0.995,
        seed=seed,
    )
    options = CodecOptions(output, data, start, prices, settings, sensing)
    begin = begin_published_codec if network == "paper" else begin_codec
    train_and_tell(lambda device: begin(options, device), given)
