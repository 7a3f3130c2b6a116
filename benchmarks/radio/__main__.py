"""The commands: ``python -m benchmarks.radio``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from benchmarks.radio import scores as score_files
from focalloop.firmware_sim.errors import FocalloopError

app = typer.Typer(
    help="Measure what sends sensor data over a radio channel, all in the same way; draw figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True, markup=False, emoji=False)

FIGURES = {
    "fig11": ("semcom", "compr-cap", "compr-ldpc", "semcom-noran"),
    "fig12": (
        *("semcom-joint", "compr-cap-joint", "compr-ldpc-joint", "semcom-noran-joint"),
        *("semcom", "compr-cap", "compr-ldpc", "semcom-noran"),
    ),
    "fig13": ("semcom", "h264-ldpc", "jscc", "linear"),
    "snr": ("semcom", "semcom-noran", "compr-ldpc", "h264-ldpc", "jscc", "linear"),
}
"""Methods of each figure; the first is compared with the others."""

ClipsOption = Annotated[
    Path | None, typer.Option(help="Measure on these clips now, instead of reading stored scores.")
]
ScoresOption = Annotated[Path, typer.Option("--scores", help="Folder of the files of `measure`.")]
FigureOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="A .png or .svg file to draw.")
]
JointOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the bundles joint-semcom, joint-semcom-noran and joint-compr, and of their "
        "sensing, which `focalloop radio bundle` made.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def measure(
    clips: Annotated[Path, typer.Option(help="Clips to send.")],
    method: Annotated[
        list[str] | None,
        typer.Argument(help="Methods; all of them if left out, joint ones only with --joint."),
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(help="symbols, snr or snr-best; all if left out.")
    ] = None,
    joint: JointOption = None,
    output: ScoresOption = score_files.FOLDER,
) -> None:
    """Send every clip by every method at every setting and SNR, and store the scores.

    Scores of other sweeps that are stored already, on the same clips, stay.

    Example: python -m benchmarks.radio measure linear h264-ldpc --clips public_test.npz
    """
    from benchmarks.radio.rivals import RIVALS

    names = method or [name for name, one in RIVALS.items() if joint or not one.joint]
    _measure(names, clips, output, sweep or score_files.SWEEPS, joint)


@app.command()
def fig11(
    clips: ClipsOption = None,
    stored: ScoresOption = score_files.FOLDER,
    output: FigureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare semantic communication with compression, sensing fixed (Fig. 11 of the paper).

    Example: python -m benchmarks.radio fig11 -o docs/images/fig11.png
    """
    _figure("fig11", clips, stored, output, as_json)


@app.command()
def fig12(
    clips: ClipsOption = None,
    joint: JointOption = None,
    stored: ScoresOption = score_files.FOLDER,
    output: FigureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the same where map, reconstruction and link were trained together (Fig. 12).

    Example: python -m benchmarks.radio fig12 -o docs/images/fig12.png
    """
    _figure("fig12", clips, stored, output, as_json, joint)


@app.command()
def fig13(
    clips: ClipsOption = None,
    stored: ScoresOption = score_files.FOLDER,
    output: FigureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare semantic communication with conventional systems (Fig. 13 of the paper).

    Example: python -m benchmarks.radio fig13 -o docs/images/fig13.png
    """
    _figure("fig13", clips, stored, output, as_json)


@app.command()
def snr(
    clips: ClipsOption = None,
    stored: ScoresOption = score_files.FOLDER,
    output: FigureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the methods over SNR, at about the same number of symbols.

    Example: python -m benchmarks.radio snr -o docs/images/radio_snr.png
    """
    _figure("snr", clips, stored, output, as_json)


@app.command()
def table(
    first: Annotated[str, typer.Argument(help="Method that is compared with the others.")],
    rival: Annotated[list[str] | None, typer.Argument(help="The others; all by default.")] = None,
    stored: ScoresOption = score_files.FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Print points, differences with 95 % intervals, and crossings, clip by clip.

    Example: python -m benchmarks.radio table h264-ldpc linear
    """
    from benchmarks.radio import table as tables
    from benchmarks.radio.rivals import RIVALS

    others = rival or [name for name in RIVALS if name != first]
    _print(tables.document(score_files.load(stored, [first, *others])), as_json)


@app.command()
def mcs(
    blocks: Annotated[int, typer.Option(min=1, help="Most blocks per scheme and SNR.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of bits, noise and fades.")] = 0,
    output: FigureOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the block errors of constellations and code rates over SNR, and write the table.

    Example: python -m benchmarks.radio mcs -o host/radio/block_errors.json
    """
    from benchmarks.maps.scores import write_whole
    from benchmarks.radio import block_errors

    def show(row: dict[str, object]) -> None:
        console.print(json.dumps(row), highlight=False)

    document = block_errors.measure(blocks, seed, show)
    if output is not None:
        write_whole(output, block_errors.text(document))
    typer.echo(json.dumps(document) if as_json else block_errors.markdown(document))


@app.command()
def latency(as_json: JsonOption = False) -> None:
    """Measure milliseconds and megabytes of the transmitters and stages, for 256x256 pixels.

    Example: python -m benchmarks.radio latency
    """
    from benchmarks.radio import latency as latencies

    rows, stages = latencies.measure(), latencies.stages()
    document = {"transmitters": rows, "stages": stages}
    typer.echo(json.dumps(document, indent=1) if as_json else latencies.markdown(rows, stages))


@app.command()
def extras(
    clips: Annotated[
        Path | None, typer.Option(help="Measure on these clips now, and store the scores.")
    ] = None,
    networks: Annotated[
        Path | None, typer.Option(help="Folder of the radio bundles that are not shipped.")
    ] = None,
    row: Annotated[list[str] | None, typer.Option(help="Measure these rows alone.")] = None,
    stored: ScoresOption = score_files.FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Print rows beyond the paper: fading, clipping, rounding, networks of one purpose.

    Example: python -m benchmarks.radio extras
    """
    from benchmarks.radio import extras as rows, table as tables
    from benchmarks.radio.rivals import Bench

    if unknown := [key for key in row or [] if key not in rows.EXTRAS]:
        raise score_files.RadioScoresError(
            f"there is no row {unknown[0]!r}: choose {', '.join(rows.EXTRAS)}"
        )
    if clips is not None:
        bench = Bench.of(clips)
        scores = rows.ExtraScores(bench.tested_on)
        if (stored / rows.FILE).exists() and rows.load(stored).tested_on == bench.tested_on:
            scores = rows.load(stored)
        for score in rows.measured(bench, networks, row or list(rows.EXTRAS)):
            scores.rows[score.key] = score
            scores.save(stored)
            console.print(f"{score.key}: {score.psnr.mean():.2f} dB", highlight=False)
    found = rows.document(rows.load(stored))
    text = json.dumps(tables.as_json(found), indent=1) if as_json else rows.markdown(found)
    typer.echo(text)


def _measure(
    names: Sequence[str],
    clips: Path,
    folder: Path,
    sweeps: Sequence[str] = score_files.SWEEPS,
    joint: Path | None = None,
) -> None:
    from benchmarks.radio import rivals

    for kind, given, known in (
        ("method", names, list(rivals.RIVALS)),
        ("sweep", sweeps, score_files.SWEEPS),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise score_files.RadioScoresError(
                f"there is no {kind} {unknown[0]!r}: choose {', '.join(known)}"
            )
    benches: dict[str | None, rivals.Bench] = {}
    for name in names:
        bundle = rivals.RIVALS[name].joint
        if bundle is not None and joint is None:
            raise score_files.RadioScoresError(
                f"{name} needs networks that are not shipped: train them with `focalloop radio "
                "train joint` and give --joint"
            )
        if bundle not in benches:
            path = None if bundle is None or joint is None else joint / bundle
            benches[bundle] = rivals.Bench.of(clips, joint=path)
        bench = benches[bundle]
        points = score_files.stored_points(folder, name, bench.tested_on)
        for sweep in sweeps:
            points = [point for point in points if point.sweep != sweep]
            curve = [point for point in points if point.sweep == "symbols"]
            for point in bench.measured(name, sweep, curve):
                points.append(point)
                # After each point, as a method takes minutes.
                score_files.MethodScores(name, bench.tested_on, tuple(points)).save(folder)
                console.print(
                    f"{name} {sweep} {point.setting:g} at {point.channel.snr_db:g} dB: "
                    f"{point.symbols.mean():,.0f} symbols, {point.psnr.mean():.2f} dB, "
                    f"{point.lost.sum():.3g} lost",
                    highlight=False,
                )
        typer.echo(f"{folder / name}.json: {len(points)} points")


def _figure(
    name: str,
    clips: Path | None,
    folder: Path,
    output: Path | None,
    as_json: bool,
    joint: Path | None = None,
) -> None:
    from benchmarks.maps.figures import save
    from benchmarks.radio import figures, rivals, table as tables

    if clips is None:
        scores = score_files.load(folder, FIGURES[name])
    else:
        with tempfile.TemporaryDirectory() as scratch:
            _measure(FIGURES[name], clips, Path(scratch), joint=joint)
            scores = score_files.load(Path(scratch), FIGURES[name])
    if output is not None:
        draw = figures.over_snr if name == "snr" else figures.over_symbols
        save(draw(scores), output)
    found = tables.over_snr(scores) if name == "snr" else tables.document(scores)
    _print(found, as_json)
    for one in scores:
        if "joint" in one.tested_on and not as_json:
            typer.echo(f"{rivals.RIVALS[one.name].label}: {one.trained}")


def _print(found: dict[str, object], as_json: bool) -> None:
    from benchmarks.radio import table as tables

    text = json.dumps(tables.as_json(found), indent=1) if as_json else tables.markdown(found)
    typer.echo(text)


def main() -> None:
    """Run the command line; print expected errors in one sentence and exit with code 1."""
    try:
        app(prog_name="python -m benchmarks.radio")
    except FocalloopError as error:
        console.print(Text.assemble(("error:", "bold red"), f" {error}"), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
