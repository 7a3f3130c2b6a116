"""``focalloop radio train joint``: tile, reconstruction and link together."""

from __future__ import annotations

from typing import Annotated, Literal

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
    OutputOption,
    SeedOption,
    SensingOption,
    StartOption,
    StepsOption,
    ThreadsOption,
    train_and_tell,
)


def joint(
    output: OutputOption,
    data: DataOption,
    method: Annotated[
        Literal["semcom", "semcom-noran", "compr"],
        typer.Option(help="What the link is; compr is the codec."),
    ] = "semcom",
    minutes: MinutesOption = None,
    steps: StepsOption = None,
    start: StartOption = None,
    sensing: SensingOption = SENSING,
    batch: BatchOption = 8,
    crop: CropOption = 96,
    learning_rate: Annotated[
        float, typer.Option(min=0, metavar="RATE", help="Highest learning rate.")
    ] = 6e-4,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Train the tile of the map, the reconstruction and the link together.

    It starts from the sensing of --sensing and the shipped link of the method, or --start. Run the
    same command again to go on with an interrupted training. `focalloop radio bundle` then makes
    two bundles, of the link and of its sensing.

    Example: focalloop radio train joint --method compr --data train.npz -o runs/joint --steps 500
    """
    given = locals()
    require_extra()
    if minutes is None and steps is None:
        raise typer.BadParameter("give --minutes or --steps")
    check_exists(data, "--data", "make training data with `focalloop data build`")
    with activity("loading PyTorch"):
        import torch

        from focalloop.models.radio.joint_pipeline import JointOptions, begin_joint
        from focalloop.models.training.run import RunSettings
    if threads:
        torch.set_num_threads(threads)
    settings = RunSettings(
        minutes=minutes,
        steps=steps,
        batch=batch,
        crop=crop,
        learning_rate=learning_rate,
        warm_up_steps=20,
        average_decay=0.99,
        seed=seed,
    )
    options = JointOptions(data, method, start, settings, sensing)
    train_and_tell(lambda device: begin_joint(options, device), given)
