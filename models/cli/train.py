"""``focalloop train``: learn a ratio map, train its network, or both, on any footage.

PyTorch is only imported inside the command, so that its help works in a base install.
"""

from __future__ import annotations

import json
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.models.cli.extra import JsonOption, need_extra
from focalloop.models.order import (
    DEFAULT_MAP,
    LARGEST_BUDGET,
    MAP_SHARE,
    QUICK_BUDGET,
    QUICK_MINUTES,
    RANDOM_TILES,
    Order,
    OrderError,
)

QUICK_RUN = ".run"
"""Ending of the folder beside the bundle in which a quick training works."""


class Credit(StrEnum):
    """What a cell of the map is paid for, as in `focalloop.models.map_learning.policy`."""

    tile = "tile"
    neighbourhood = "neighbourhood"
    own_pixel = "own-pixel"


class Profile(StrEnum):
    """Size of the network."""

    edge = "edge"
    paper = "paper"


class Device(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


WHAT, DATA, LENGTH, HOW = "What to train", "On what", "How long", "How"


def train(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder of this training; with --quick, the bundle to write."
        ),
    ],
    map_: Annotated[
        str | None,
        typer.Option(
            "--map",
            help=f"Train a network for a map file, for one of {', '.join(NAMED_TILES)}, or for "
            f"{RANDOM_TILES}: a universal network.",
            show_default=DEFAULT_MAP,
            rich_help_panel=WHAT,
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help=f"Learn a map of this average ratio, up to {LARGEST_BUDGET:g}, then its network.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    price: Annotated[
        list[float] | None,
        typer.Option(
            "--price",
            "--lambda",
            help="Learn a map at this fixed price of a measurement; several for a sweep.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help=f"Map and network for your own footage in {QUICK_MINUTES:g} minutes beside "
            "preparation, as a bundle.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    profile: Annotated[
        Profile, typer.Option(help="Size of the network.", rich_help_panel=WHAT)
    ] = Profile.edge,
    aperture: Annotated[
        bool,
        typer.Option(
            "--aperture", help="Measure through the coded aperture.", rich_help_panel=WHAT
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="What `focalloop data build` wrote.", rich_help_panel=DATA),
    ] = None,
    footage: Annotated[
        Path | None,
        typer.Option(
            help="Instead: your own videos and pictures, a file or a folder.", rich_help_panel=DATA
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Stop, annealed, after this long in all.", rich_help_panel=LENGTH
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Stop, annealed, after this many.", rich_help_panel=LENGTH),
    ] = None,
    map_share: Annotated[
        float,
        typer.Option(
            help="Part of it for the map, where one is learned with its network.",
            show_default="a third",
            rich_help_panel=LENGTH,
        ),
    ] = MAP_SHARE,
    credit: Annotated[
        Credit, typer.Option(help="What a cell of the map is paid for.", rich_help_panel=HOW)
    ] = Credit.tile,
    period: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Side of the learned tile, pixels; several, each a multiple of the one before, "
            "are learned in turn.",
            show_default="8 after a search, else 4 and then 8",
            rich_help_panel=HOW,
        ),
    ] = None,
    search: Annotated[
        bool,
        typer.Option(
            "--search/--no-search",
            help="Let the policy begin at tiles that a search found, for a budget.",
            rich_help_panel=HOW,
        ),
    ] = True,
    start: Annotated[
        str | None,
        typer.Option(
            help="Weights to start from: a shipped name, a file, or none.",
            show_default="the universal ones of the profile",
            rich_help_panel=HOW,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Windows a step.", rich_help_panel=HOW)] = 16,
    crop: Annotated[
        int,
        typer.Option(min=8, help="Side of the square cut from each, pixels.", rich_help_panel=HOW),
    ] = 96,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Of the convolutions at its highest.",
            show_default="0.004, or 0.0015 from weights",
            rich_help_panel=HOW,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of every random choice.", rich_help_panel=HOW)
    ] = 0,
    device: Annotated[
        Device, typer.Option(help="Where to compute.", rich_help_panel=HOW)
    ] = Device.auto,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads.", rich_help_panel=HOW)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a reconstruction network for a ratio map, or learn the map first.

    Run again with the same options to go on with an interrupted training. Under torchrun, several
    processes share each batch.

    Example: focalloop train --budget 0.125 --data train.npz -o runs/mine --minutes 90

    Example: focalloop train --quick --footage my_videos -o my_bundle
    """
    need_extra()
    if not (map_ or price or budget is not None):
        budget, map_ = (QUICK_BUDGET, None) if quick else (None, DEFAULT_MAP)
    if quick and price:
        raise typer.BadParameter("--quick makes one bundle: give --budget or --map, not --price")
    if quick and map_ == RANDOM_TILES:
        raise typer.BadParameter(f"--quick makes a bundle, which needs one map, not {RANDOM_TILES}")
    if quick and minutes is None and steps is None:
        minutes = QUICK_MINUTES
    try:
        order = Order(
            folder=output.with_name(output.name + QUICK_RUN) if quick else output,
            data=data,
            footage=footage,
            ratio_map=map_,
            budget=budget,
            prices=tuple(price or ()),
            minutes=minutes,
            steps=steps,
            map_share=map_share,
            periods=tuple(period or ()),
            search=search,
            credit=credit.value,
            profile=profile.value,
            aperture=aperture,
            start=start,
            learning_rate=learning_rate,
            batch=batch,
            crop=crop,
            seed=seed,
        )
    except OrderError as error:
        raise typer.BadParameter(str(error)) from None
    if quick and output.exists() and not order.folder.exists():
        raise FocalloopError(f"{output} is there already: give the bundle another name")

    import torch

    from focalloop.models.cli.train_display import Display
    from focalloop.models.recipes import carry_out, final_run
    from focalloop.models.training import processes

    if threads:
        torch.set_num_threads(threads)
    with processes.joined(device.value) as own_device:
        first = processes.rank() == 0
        try:
            display = Display(shlex.join(["focalloop", *sys.argv[1:]]))
            document = carry_out(order, display, own_device)
        except FocalloopError:
            if first:
                raise
            sys.exit(1)  # the first process says why
    if not first:
        return
    if quick:
        document |= _export(final_run(order), output, footage)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        _print_summary(document, ending=".safetensors" if map_ == RANDOM_TILES else "")


def _export(run: Path, bundle: Path, footage: Path | None) -> dict[str, Any]:
    """Make the bundle of a quick training, and say how to see it at work."""
    from focalloop.models.export.bundle import export_run

    export_run(run, bundle)
    # A bare name could be that of a shipped bundle.
    place = str(bundle) if len(bundle.parts) > 1 else f"./{bundle}"
    scene = [] if footage is None else ["--scene", str(footage)]
    command = shlex.join(["focalloop", "live", "--bundle", place, *scene])
    return {"bundle": str(bundle), "show": command}


def _print_summary(document: dict[str, Any], ending: str) -> None:
    """Print a line for every run, and what to do next; weights for any map export to `ending`."""
    runs = document.get("maps") or [document.get("map"), document.get("network")]
    for run in [run for run in runs if run] or [document]:
        validation = run["validation_psnr"]
        quality = "" if validation is None else f", validation {validation:.2f} dB"
        costs = f", r_avg {run['r_avg']:.4f}" if "r_avg" in run else ""
        typer.echo(f"{run['run']}: step {run['step']}, {run['minutes']:.1f} min{costs}{quality}")
    if "budget" in document:
        typer.echo(f"average ratio {document['r_avg']:.4f}, asked for {document['budget']:g}")
    if "bundle" in document:
        typer.echo(f"{document['bundle']}: ready. See it at work:  {document['show']}")
    elif "maps" not in document:
        run = (document.get("network") or document)["run"]
        typer.echo(f"make use of it:  focalloop export {shlex.quote(run)} -o NAME{ending}")
