"""``focalloop radio train semcom|ran|jscc``: the analog networks of a radio link, and bundles."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.json_text import parse_json
from focalloop.host.cli.output import activity, console, print_json, print_result
from focalloop.host.cli.shared_options import JsonOption, check_exists, output_option
from focalloop.models.cli.extra import require_extra

if TYPE_CHECKING:
    from focalloop.models.training.run import TrainingLoop

SENSING = "edge-learned-2.5of16"

_MAKE = "make training data with `focalloop data build`"

OutputOption = Annotated[Path, output_option("Folder of this training.", "DIR")]
DataOption = Annotated[
    Path, typer.Option(metavar="FILE", help="Train on what `focalloop data build` wrote.")
]
MinutesOption = Annotated[
    float | None, typer.Option(min=0.01, metavar="N", help="Minutes to train in all.")
]
StepsOption = Annotated[int | None, typer.Option(min=1, metavar="N", help="Steps to train in all.")]
StartOption = Annotated[
    str | None,
    typer.Option(metavar="WEIGHTS", help="Radio bundle or folder of a run to start from."),
]
SnrOption = Annotated[
    tuple[float, float],
    typer.Option(metavar="FROM TO", help="Range of the channels, dB; 0 to 20 for all of them."),
]
SensingOption = Annotated[
    str, typer.Option(metavar="BUNDLE", help="Bundle of the sensor and the reconstruction.")
]
BatchOption = Annotated[int, typer.Option(min=1, metavar="N", help="Windows per step.")]
CropOption = Annotated[
    int, typer.Option(min=16, metavar="N", help="Side of a crop, pixels; a multiple of 16.")
]
RateOption = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Highest learning rate.",
        show_default="0.0015, 0.0006 from weights, 0.005 with --reward, 0.01 with --features, "
        "0.00005 for --network paper",
    ),
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, metavar="N", help="Seed of every random choice.")
]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, metavar="N", help="Processor threads.")]
NetworkOption = Annotated[
    Literal["edge", "paper"],
    typer.Option(
        help="Networks of this project, or the published ones, by the published schedule."
    ),
]


def semcom(
    output: OutputOption,
    data: DataOption,
    minutes: MinutesOption = None,
    steps: StepsOption = None,
    start: StartOption = None,
    snr: SnrOption = (0.0, 20.0),
    reals: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Reals that every location sends, one of the rate table, for a network of one "
            "rate.",
            show_default="all rates",
        ),
    ] = None,
    allocated: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Share of the windows whose rates the allocation network chooses.",
        ),
    ] = 0.3,
    max_papr: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            min=1,
            max=20,
            help="Clip the symbols of each window to this peak-to-average power.",
            show_default="not clipped",
        ),
    ] = None,
    network: NetworkOption = "edge",
    sensing: SensingOption = SENSING,
    batch: BatchOption = 8,
    crop: CropOption = 96,
    learning_rate: RateOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Train encoder, decoder and rate allocation of semantic communication.

    Run the same command again to go on with an interrupted training. Under torchrun, several
    processes share each batch.

    Example: focalloop radio train semcom --data train.npz -o runs/semcom --minutes 60
    """
    if network == "paper":
        refuse_with_paper(
            ("--start", start, None),
            ("--snr", snr, (0.0, 20.0)),
            ("--reals", reals, None),
            ("--allocated", allocated, 0.3),
            ("--max-papr", max_papr, None),
        )
    link = {"snr_db": snr, "allocated": allocated, "max_papr_db": max_papr}
    _train(link, reals, locals())


def ran(
    output: OutputOption,
    data: DataOption,
    start: Annotated[
        str,
        typer.Option(metavar="WEIGHTS", help="Radio bundle or run whose ends stay as they are."),
    ],
    minutes: MinutesOption = None,
    steps: StepsOption = None,
    snr: SnrOption = (0.0, 20.0),
    reward: Annotated[
        Literal["published", "psnr"] | None,
        typer.Option(
            help="Learn a policy by sampling at 10 dB: with the published reward, or with what "
            "PSNR asks for, a location's share of the error of its window.",
            show_default="predict errors",
        ),
    ] = None,
    expected: Annotated[
        bool,
        typer.Option(
            "--expected",
            help="With --reward: weigh every rate by its probability instead of sampling.",
        ),
    ] = False,
    features: Annotated[
        Literal["reals", "codec"] | None,
        typer.Option(
            help="Learn the last part alone, anew: from the reals, or from the bits that the "
            "shipped codec would spend on each location as well.",
            show_default="learn all of it",
        ),
    ] = None,
    sensing: SensingOption = SENSING,
    batch: BatchOption = 8,
    crop: CropOption = 96,
    learning_rate: RateOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Train the rate allocation alone, for ends that stay as they are.

    By default it learns to predict the error of each location at every rate.

    Example: focalloop radio train ran --start runs/semcom --data train.npz -o runs/ran --minutes 15
    """
    if reward is not None and snr != (0.0, 20.0):
        raise typer.BadParameter("--snr has no effect with --reward: leave it out")
    if reward is not None and features is not None:
        raise typer.BadParameter("--features has no effect with --reward: leave one out")
    if expected and reward is None:
        raise typer.BadParameter("--expected has no effect without --reward: leave it out")
    _train({"snr_db": snr, "learns": "allocation"}, None, locals())


def jscc(
    output: OutputOption,
    data: DataOption,
    minutes: MinutesOption = None,
    steps: StepsOption = None,
    start: StartOption = None,
    snr: SnrOption = (0.0, 20.0),
    sensing: SensingOption = SENSING,
    batch: BatchOption = 8,
    crop: CropOption = 96,
    learning_rate: RateOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Train the baseline whose loss is the error of the sensor data, not of the video.

    Example: focalloop radio train jscc --data train.npz -o runs/jscc --minutes 60
    """
    _train({"snr_db": snr, "loss": "reads"}, None, locals())


def _train(link: dict[str, Any], reals: int | None, given: dict[str, Any]) -> None:
    """Check what was given, train, and say what came of it."""
    require_extra()
    if given["minutes"] is None and given["steps"] is None:
        raise typer.BadParameter("give --minutes or --steps")
    low, high = link["snr_db"]
    if not -10 <= low <= high <= 40:
        raise typer.BadParameter(f"--snr {low:g} {high:g}: give two of -10 to 40 dB, ascending")
    check_exists(given["data"], "--data", _MAKE)
    with activity("loading PyTorch"):
        import torch

        from focalloop.models.radio.pipeline import RadioOptions, begin
        from focalloop.models.radio.roads import begin_road
        from focalloop.models.radio.semcom import RATES
        from focalloop.models.radio.semcom_run import LinkTraining
        from focalloop.models.training.run import RunSettings
    if reals is not None and reals not in RATES:
        table = ", ".join(str(rate) for rate in RATES)
        raise typer.BadParameter(f"--reals {reals} is not in the rate table: give one of {table}")
    if given["threads"]:
        torch.set_num_threads(given["threads"])
    rate = None if reals is None else RATES.index(reals)
    settings = {key: given[key] for key in ("minutes", "steps", "batch", "crop", "seed")}
    options = RadioOptions(
        given["output"],
        given["data"],
        LinkTraining(**link, rate=rate),
        given.get("start"),
        RunSettings(**settings, warm_up_steps=50),
        given["learning_rate"],
        given["sensing"],
        given.get("network", "edge"),
    )
    road = {key: given[key] for key in ("reward", "expected", "features") if given.get(key)}
    if road:
        train_and_tell(lambda device: begin_road(options, device, **road), given)
    else:
        train_and_tell(lambda device: begin(options, device), given)


def refuse_with_paper(*options: tuple[str, object, object]) -> None:
    """Refuse options, each a name, a value and a default, that published networks do not have."""
    for name, value, default in options:
        if value != default:
            raise typer.BadParameter(f"{name} has no effect with --network paper: leave it out")


def train_and_tell(begin: Callable[[str], TrainingLoop], given: Mapping[str, Any]) -> None:
    """Train the run that `begin` makes for a device, and say what came of it."""
    from focalloop.models.cli.train_display import Display
    from focalloop.models.training import distributed

    folder: Path = given["output"]
    with distributed.joined(given["device"]) as device:
        first = distributed.rank() == 0
        console.quiet = not first
        try:
            run = begin(device)
            Display(shlex.join(["focalloop", *sys.argv[1:]])).train(run, folder, "radio")
        except FocalloopError:
            if first:
                raise
            sys.exit(1)  # the first process says why
    if not first:
        return
    progress, figures = run.progress, run.log_entry()
    document = {
        "run": str(folder),
        "step": progress.step,
        "minutes": progress.minutes,
        "validation_psnr": progress.validation_psnr,
        **figures,
    }
    if given["json"]:
        print_json(document)
    else:
        print_result(
            f"{folder}: step {progress.step}, {progress.minutes:.1f} min, validation "
            f"{progress.validation_psnr:.2f} dB"
        )


def bundle(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder that `focalloop radio train` wrote or, with --int8, a radio bundle in "
            "float32.",
        ),
    ],
    output: Annotated[
        Path, output_option("Folder to write; its name becomes the bundle's.", "DIR")
    ],
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Make the 8-bit form of a radio bundle of semcom, calibrated on the windows of a "
            "training file: faster, with a small loss, which is measured.",
        ),
    ] = None,
    method: Annotated[
        Literal["semcom", "semcom-noran", "jscc"],
        typer.Option(help="Method of `focalloop radio send` that it is for, unless a codec."),
    ] = "semcom",
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARGUMENTS=FILE",
            help="Record what `focalloop radio send ARGUMENTS --json` printed to FILE.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn a trained radio network into a bundle.

    Example: focalloop radio bundle runs/semcom -o radio-semcom
    """
    require_extra()
    if int8 is None:
        check_exists(run, "RUN")
    else:
        check_exists(int8, "--int8", _MAKE)
    from focalloop.models.radio.codec_pipeline import export_codec_run, holds_codec
    from focalloop.models.radio.export import score_entry
    from focalloop.models.radio.int8 import export_int8
    from focalloop.models.radio.joint_pipeline import export_joint, holds_joint
    from focalloop.models.radio.pipeline import export_radio
    from focalloop.models.training.training_data import TrainingData

    scores = []
    for text in score or []:
        arguments, _, file = text.rpartition("=")
        try:
            scores.append(score_entry(arguments, parse_json(Path(file).read_bytes())))
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"--score {text}: {error}") from None
    with activity(f"making the bundle {output}"):
        if int8 is not None:
            manifest = export_int8(run, output, TrainingData.load(int8), scores)
        elif holds_joint(run):
            manifest = export_joint(run, output, scores)
        elif holds_codec(run):
            manifest = export_codec_run(run, output, scores)
        else:
            manifest = export_radio(run, output, method, scores)
    if json:
        print_json(manifest)
    else:
        size = sum((output / name).stat().st_size for name in manifest["sha256"])
        print_result(f"{output}: radio bundle of {size / 1e6:.1f} MB")
