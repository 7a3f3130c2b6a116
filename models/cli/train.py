"""``focalloop train``: learn a ratio map, train its network, or both, on any footage.

PyTorch is only imported inside the command, so that its help works in a base install.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.host.cli import completion
from focalloop.host.cli.output import print_json
from focalloop.host.cli.shared_options import (
    AddressOption,
    JsonOption,
    RayOption,
    check_exists,
    map_option,
    output_option,
    refuse_unused,
    setting,
)
from focalloop.models.cli.extra import require_extra
from focalloop.models.cli.train_run import export, print_summary, run, run_sweep, show_sweep
from focalloop.models.errors import OptionsError
from focalloop.models.sweep import TRIED, read_sweep, swept
from focalloop.models.training_options import (
    ADAPTIVE_GRIDS,
    DEFAULT_MAP,
    DEFAULT_NOISE,
    MANY_MAPS,
    MAP_SHARE,
    MAX_BUDGET,
    QUICK_BUDGET,
    QUICK_MINUTES,
    RANDOM_TILES,
    TrainingOptions,
)
from focalloop.models.zoo import WEIGHTS

QUICK_RUN = ".run"
"""Ending of the folder beside the bundle in which a quick training works."""

WHAT, DATA, LENGTH, HOW = "What to train", "On what", "How long", "How"


def train(
    output: Annotated[
        Path, output_option("Folder of this training; with --quick, the bundle to write.", "DIR")
    ],
    map_: Annotated[
        str | None,
        map_option(
            f"Train a network for a map file, for one of {', '.join(NAMED_TILES)}, for the map of "
            f"a shipped bundle, for {RANDOM_TILES}, which makes a universal network, or for "
            f"{ADAPTIVE_GRIDS}, which makes one that remembers the last frame.",
            show_default=DEFAULT_MAP,
            rich_help_panel=WHAT,
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="RATIO",
            help=f"Learn a map of this average ratio, up to {MAX_BUDGET:g}, then its network.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    price: Annotated[
        list[float] | None,
        typer.Option(
            "--price",
            "--lambda",
            metavar="PRICE",
            help="Learn a map at this fixed price per measurement; may be given several times, for "
            "a sweep.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Learn a map and its network for your own footage, as a bundle, in "
            f"{QUICK_MINUTES:g} minutes, preparation not included.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    network: Annotated[
        Literal["edge", "paper", "aperture"],
        typer.Option(help="Kind and size of the network.", rich_help_panel=WHAT),
    ] = "edge",
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            help="Train for the noise of a sensor: a preset, or what `focalloop calibrate` wrote.",
            show_default=f"{DEFAULT_NOISE}; a universal network is told the noise",
            autocompletion=completion.profiles,
            rich_help_panel=WHAT,
        ),
    ] = None,
    corrected: Annotated[
        bool,
        typer.Option(
            "--corrected",
            help="The fixed pattern of --noise is corrected before anything is reconstructed.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    aperture: Annotated[
        bool,
        typer.Option(
            "--aperture", help="Measure through the coded aperture.", rich_help_panel=WHAT
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Train on what `focalloop data build` wrote.", rich_help_panel=DATA
        ),
    ] = None,
    footage: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Train on your own videos and pictures, a file or a folder.",
            rich_help_panel=DATA,
        ),
    ] = None,
    white: Annotated[
        float | None,
        typer.Option(
            metavar="VALUE",
            min=1,
            help="Value of white in footage whose files leave it open: 4095 for frames of 12 bits.",
            show_default="what the files say",
            rich_help_panel=DATA,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="N",
            help="Minutes to train in all, annealing included.",
            rich_help_panel=LENGTH,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Steps to train in all, annealing included.",
            rich_help_panel=LENGTH,
        ),
    ] = None,
    map_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of that for the map, where one is learned with its network.",
            show_default="a third",
            rich_help_panel=LENGTH,
        ),
    ] = MAP_SHARE,
    credit: Annotated[
        Literal["tile", "neighbourhood", "own-pixel"],
        typer.Option(
            help="Whose error decides the reward of a cell of the map.", rich_help_panel=HOW
        ),
    ] = "tile",
    period: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            metavar="N",
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
            help="For a budget, search for tiles that the policy starts from.",
            rich_help_panel=HOW,
        ),
    ] = True,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS",
            autocompletion=completion.weights,
            help="Weights to start from: a shipped name, a file, or none.",
            show_default="the universal ones of the network",
            rich_help_panel=HOW,
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Windows per step.", rich_help_panel=HOW)
    ] = 16,
    crop: Annotated[
        int,
        typer.Option(
            min=8,
            metavar="N",
            help="Side of the square cut from each window, pixels.",
            rich_help_panel=HOW,
        ),
    ] = 96,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Highest learning rate of the convolutions.",
            show_default="0.004, or 0.0015 from weights",
            rich_help_panel=HOW,
        ),
    ] = None,
    schedule: Annotated[
        Literal["cosine", "flat"],
        typer.Option(
            help="Whether the learning rate falls over the training or stays, for one of days.",
            rich_help_panel=HOW,
        ),
    ] = "cosine",
    rounded: Annotated[
        bool,
        typer.Option(
            "--rounded",
            help="Learn with the rounding of an 8-bit bundle, so that `focalloop export --int8` "
            "loses less; the last minutes of a training suffice.",
            rich_help_panel=HOW,
        ),
    ] = False,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**31 - 1,
            metavar="N",
            help="Seed of every random choice.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where to compute.", rich_help_panel=HOW),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processor threads.", rich_help_panel=HOW)
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Train once for every combination of the values in this TOML file.",
            rich_help_panel=HOW,
        ),
    ] = None,
    ray: RayOption = False,
    address: AddressOption = None,
    json: JsonOption = False,
) -> None:
    """Train a network for a ratio map, or learn the map first.

    Run the same command again to go on with an interrupted training. Under torchrun, several
    processes share each batch. With --sweep and --ray, several runs go on at the same time
    (docs/scaling.md).

    Example: focalloop train --budget 0.125 --data train.npz -o runs/mine --minutes 90

    Example: focalloop train --quick --footage my_videos -o my_bundle
    """
    require_extra()
    if not ray:
        refuse_unused(["address"], "goes with --ray")
    tried = _tried(sweep)
    map_, budget = tried.get("map", [map_])[0], tried.get("budget", [budget])[0]
    if not (map_ or price or budget is not None):
        budget, map_ = (QUICK_BUDGET, None) if quick else (None, DEFAULT_MAP)
    if quick and price:
        raise typer.BadParameter("--quick makes one bundle: give --budget or --map, not --price")
    if quick and map_ in MANY_MAPS:
        raise typer.BadParameter(f"--quick makes a bundle, which needs one map, not {map_}")
    if quick and minutes is None and steps is None:
        minutes = QUICK_MINUTES
    if budget is None:
        refuse_unused(("map_share", "search"), "is for --budget, which learns a map and a network")
        if not price:
            refuse_unused(("credit", "period"), "is for a map that is learned, not for --map")
    elif search and credit == "own-pixel":
        refuse_unused(["search"], "goes without --credit own-pixel, which begins anywhere")
    if noise is None:
        refuse_unused(
            ["corrected"], "is for a profile with a fixed pattern, and there is no --noise"
        )
    try:
        options = TrainingOptions(
            folder=output.with_name(output.name + QUICK_RUN) if quick else output,
            data=data,
            footage=footage,
            white=white,
            ratio_map=map_,
            budget=budget,
            prices=tuple(price or ()),
            minutes=minutes,
            steps=steps,
            map_share=map_share,
            periods=tuple(period or ()),
            search=search,
            credit=credit,
            network=network,
            noise=noise,
            corrected=corrected,
            aperture=aperture,
            start=start,
            learning_rate=learning_rate,
            batch=batch,
            crop=crop,
            seed=seed,
            schedule=schedule,
            rounded=rounded,
        )
    except OptionsError as error:
        raise typer.BadParameter(str(error)) from None
    _check_inputs(options)
    if quick and output.exists() and not options.folder.exists():
        raise FocalloopError(f"{output} exists already: give the bundle another name")
    if sweep is not None:
        with setting("--sweep"):
            runs = swept(options, tried)
        for one in runs:
            _check_inputs(one)
        show_sweep(run_sweep(runs, device, threads, ray, address), json)
        return
    document = run(options, device, threads)
    if document is None:
        return
    if quick:
        document |= export(options, output)
    if json:
        print_json(document)
    else:
        print_summary(document, ending=".safetensors" if map_ in MANY_MAPS else "")


def _tried(sweep: Path | None) -> dict[str, list[Any]]:
    """Read what a sweep tries, and refuse options that contradict it."""
    if sweep is None:
        refuse_unused(["ray"], "goes with --sweep")
        return {}
    refuse_unused(("quick", "price", "footage"), "goes without --sweep")
    with setting("--sweep"):
        tried = read_sweep(sweep)
    fields = {TRIED[name][0].replace("ratio_map", "map_") for name in tried}
    refuse_unused(fields, "is tried by --sweep")
    return tried


def _check_inputs(options: TrainingOptions) -> None:
    """Find out before PyTorch is loaded what is missing.

    Raises
    ------
    typer.BadParameter
        A file that an option names, or a map of that name.
    """
    if options.data is not None:
        make = "make training data with `focalloop data build`"
        check_exists(options.data, "--data", make)
    if options.footage is not None:
        check_exists(options.footage, "--footage")
    if options.ratio_map not in (None, *MANY_MAPS):
        from focalloop.models.training.map_source import named_map

        with setting("--map"):
            named_map(str(options.ratio_map)).check_measures()
    if options.noise is not None:
        from focalloop.firmware_sim.noise import NoiseProfile

        with setting("--noise"):
            NoiseProfile.load(options.noise)
    if options.start not in (None, "none", *WEIGHTS):
        shipped = f"give a file, none, or a shipped name ({', '.join(WEIGHTS)})"
        check_exists(Path(str(options.start)), "--start", shipped)
