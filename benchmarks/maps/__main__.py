"""The commands: ``python -m benchmarks.maps``."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from benchmarks.maps import plan as plans, scores, table as tables
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.bundle import Bundle

if TYPE_CHECKING:
    from benchmarks.maps.comparison import Comparison
    from focalloop.models.training.network_run import NetworkRun

app = typer.Typer(
    help="Compare ratio maps: train a network for each in the same way, score it, draw figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True, markup=False, emoji=False)

SCORES_FILE = Path("docs/results/maps.json")
LONG_FILE = Path("docs/results/maps_long.json")
SLOWED_CLIPS = "long_clips_240.npz"

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
FigureOption = Annotated[Path, typer.Option("--output", "-o", help="A .png or .svg file.")]
ScoresOption = Annotated[Path, typer.Option("--scores", help="A file of `collect`.")]


class ComparisonError(FocalloopError):
    """Some entries of a plan could not be run."""


@app.command()
def plan(
    budget: Annotated[
        list[float], typer.Option(help="Measurements per pixel; may be given several times.")
    ],
    steps: Annotated[int, typer.Option(min=1, help="Training steps of each network.")],
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    aperture: Annotated[bool, typer.Option("--aperture", help="Use the coded aperture.")] = False,
) -> None:
    """Print a plan of the fixed, hand-made and random maps, to which to add learned ones.

    Example: python -m benchmarks.maps plan --budget 1 --budget 2 --steps 1200 > plan.json
    """
    entries = plans.screening(budget, steps=steps, seed=seed, aperture=aperture)
    typer.echo(json.dumps(plans.as_document(entries), indent=1))


@app.command()
def train(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="A JSON file; see `plan`.")],
    data: Annotated[Path, typer.Option(help="A file of `focalloop data build`.")],
    start: Annotated[
        str, typer.Option(help="Universal network to start from: shipped weights, or a checkpoint.")
    ],
    clips: Annotated[Path, typer.Option(help="Clips to score on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the runs.")],
    threads: Annotated[
        int, typer.Option(min=1, help="Processor threads; two plans can train side by side.")
    ] = 2,
) -> None:
    """Train and score the entries of a plan in order; run again to resume, or after editing it.

    The plan is read again before each entry. Finished entries are skipped, and those whose map file
    does not exist yet are left for later.

    Example: python -m benchmarks.maps train plan.json --data train.npz
    --start edge-universal --clips test_set.npz -o runs/maps
    """
    from benchmarks.maps import comparison
    from focalloop.models.training.training_data import TrainingData

    plans.load(plan_file)  # reports mistakes before the data is loaded
    shared = comparison.Comparison(
        TrainingData.load(data), start, load_clips(clips), clips.name, threads
    )
    with _interruption() as interrupted:
        _follow(plan_file, output, shared, interrupted)


def _follow(
    plan_file: Path, output: Path, shared: Comparison, interrupted: Callable[[], bool]
) -> None:
    from benchmarks.maps import comparison

    def show(run: NetworkRun) -> None:
        done = run.progress
        if done.step % 100 == 0:
            text = f"  step {done.step}, {done.minutes:.1f} min, train {done.train_psnr:.2f} dB"
            console.print(text, highlight=False)
        run.stop_wanted = interrupted()

    failed: set[str] = set()
    while entry := comparison.next_entry(plan_file, output, failed):
        console.print(f"{entry.folder}: {entry.steps} steps", highlight=False)
        try:
            scored = shared.run(entry, output / entry.folder, show)
        except FocalloopError as error:  # continue with the others
            console.print(Text.assemble(("error:", "bold red"), f" {error}"))
            failed.add(entry.folder)
            continue
        if scored is None:
            console.print("stopped: run again to continue from here")
            raise typer.Exit(130)
        text = f"  r_avg {scored.r_avg:.4f}: {scored.psnr:.2f} dB, SSIM {scored.ssim:.4f}"
        console.print(text, highlight=False)
    waiting = [entry.map for entry in plans.load(plan_file) if not entry.ready]
    if failed or waiting:
        reasons = [f"{name} failed" for name in sorted(failed)]
        reasons += [f"{path} does not exist" for path in waiting]
        raise ComparisonError(f"not all was run: {'; '.join(reasons)}. Run again to continue")


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Let the current step end on Ctrl-C; gives a function that tells whether it was pressed."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


@app.command()
def collect(
    runs: Annotated[Path, typer.Option(help="Folder of the runs of `train`.")],
    output: OutputOption = SCORES_FILE,
) -> None:
    """Gather the scores of all finished runs, with maps and settings, in one file.

    Example: python -m benchmarks.maps collect --runs runs/maps -o docs/results/maps.json
    """
    document = scores.collect(runs)
    scores.save(document, output)
    typer.echo(f"{output}: {len(document['rows'])} runs")


@app.command()
def rebuild(
    way: Annotated[str, typer.Argument(help="gap-tv, or a bundle for any coded aperture.")],
    clips: Annotated[Path, typer.Option(help="The clips of the comparison.")],
    collected: ScoresOption = SCORES_FILE,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
) -> None:
    """Add fixed level 1, and a bundle's own map, with an aperture and without.

    Example: python -m benchmarks.maps rebuild gap-tv --clips public_test.npz
    """
    from benchmarks.maps import rebuilt

    document = scores.read(collected)
    loaded = load_clips(clips)
    if scores.digest(loaded.clips) != document["tested_on"]["sha256"]:
        raise scores.ScoresError(f"{clips} are not the clips that {collected} was scored on")
    added = rebuilt.rows(way, loaded, document["tested_on"], threads)
    scores.save(scores.with_rows(document, added), collected)
    for row in added:
        typer.echo(f"{row['name']}: {sum(row['psnr']) / len(row['psnr']):.2f} dB")


@app.command("long")
def long_clips(
    clips: Annotated[Path, typer.Argument(help="A file of `focalloop data test-set --long`.")],
    compared: Annotated[
        Path | None, typer.Option(help="Also score the tiles of this file of `collect`.")
    ] = None,
    output: OutputOption = LONG_FILE,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
) -> None:
    """Score the shipped maps on long clips, add them to a file of scores and print them.

    Example: python -m benchmarks.maps long long_clips_240.npz --compared docs/results/maps.json
    """
    from benchmarks.maps import long_clips as measured

    found = measured.rows(
        clips, compared, threads, lambda row: console.print(f"{row['map']}", highlight=False)
    )
    document = scores.read(output) if output.exists() else None
    scores.save(measured.with_rows(document, clips, found), output)
    typer.echo(measured.table(output))


@app.command()
def table(
    collected: ScoresOption = SCORES_FILE,
    on_long_clips: Annotated[
        Path, typer.Option("--long", help="A file of `long`; left out if it does not exist.")
    ] = LONG_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the quality of every map, the gain of the learned ones, and shipped maps on long clips.

    Intervals are of 95 %.

    Example: python -m benchmarks.maps table
    """
    from benchmarks.maps import long_clips as measured

    loaded, slowed = scores.load(collected), measured.by_map(on_long_clips, SLOWED_CLIPS)
    if as_json:
        typer.echo(json.dumps(tables.as_document(loaded, slowed), indent=1))
    else:
        typer.echo(tables.markdown(loaded, slowed))
        if on_long_clips.exists():
            typer.echo("\n" + measured.table(on_long_clips))


@app.command()
def fig7(output: FigureOption, collected: ScoresOption = SCORES_FILE) -> None:
    """Draw quality over the budget, without aperture.

    Example: python -m benchmarks.maps fig7 -o docs/images/fig7.png
    """
    from benchmarks.maps import figures

    figures.save(figures.quality(scores.load(collected), aperture=False), output)


@app.command()
def fig8(output: FigureOption, collected: ScoresOption = SCORES_FILE) -> None:
    """Draw quality under the coded aperture.

    Example: python -m benchmarks.maps fig8 -o docs/images/fig8.png
    """
    from benchmarks.maps import figures

    figures.save(figures.quality(scores.load(collected), aperture=True), output)


@app.command()
def fig9(output: FigureOption, collected: ScoresOption = SCORES_FILE) -> None:
    """Draw the learned maps above the best hand-made ones.

    Example: python -m benchmarks.maps fig9 -o docs/images/fig9.png
    """
    from benchmarks.maps import figures

    figures.save(figures.maps(scores.load(collected)), output)


@app.command()
def fig10(
    output: FigureOption,
    clips: Annotated[Path, typer.Option(help="A file of `focalloop data test-set`.")],
    bundle: Annotated[
        list[str],
        typer.Option(metavar="LABEL=BUNDLE", help="Name or path of a bundle; repeat it."),
    ],
    clip: Annotated[str, typer.Option(help="Name of the clip.")] = "box_hand",
    frame: Annotated[int, typer.Option(min=0, help="Frame to show.")] = 8,
) -> None:
    """Draw a frame restored under several maps, side by side.

    Example: python -m benchmarks.maps fig10 --clips test_set.npz -o docs/images/fig10.png
    --bundle fixed=edge-fixed-1of16 --bundle learned=edge-learned-1of16
    """
    from benchmarks.maps import figures
    from benchmarks.maps.restored import restore

    bundles = []
    for text in bundle:
        label, equals, name = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--bundle {text}: write LABEL=BUNDLE")
        bundles.append((label, Bundle.load(name)))
    shown = restore(load_clips(clips), clip, bundles, slot=frame)
    figures.save(figures.restored(shown), output)


def main() -> None:
    """Run the command line; print expected errors in one sentence and exit with code 1."""
    try:
        app(prog_name="python -m benchmarks.maps")
    except FocalloopError as error:
        console.print(Text.assemble(("error:", "bold red"), f" {error}"), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
