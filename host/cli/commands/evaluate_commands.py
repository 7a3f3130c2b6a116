"""`focalloop evaluate` and `focalloop reconstruct`: scores and video from clips and captures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.table import Table

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import Clips, load_clips
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.capture import MANIFEST, Capture
from focalloop.host.cli.arguments import load_map
from focalloop.host.cli.output import JsonFlag, console, emit_json, progress_bar, stdout
from focalloop.host.errors import CaptureError
from focalloop.host.reconstruction.bundle import DEFAULT_BUNDLE, UNIVERSAL_BUNDLE, Bundle
from focalloop.host.reconstruction.evaluate import Evaluation, capture_clips, evaluate, initial
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    NetworkFree,
    Reconstructor,
)
from focalloop.host.reconstruction.video import check_output, write_video

SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the emulated sensor's noise.")]
ProfileOption = Annotated[
    str, typer.Option(help="Noise of the emulated sensor: ideal, paper, scamp5 or a JSON file.")
]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        metavar="MAP",
        help="Capture under this map, named tile or bundle's map, and reconstruct without a "
        "network, and with bundles for any map.",
    ),
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="Threads inside one run of the network.")]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Use only the first clips.", show_default="all")
]


@dataclass(frozen=True)
class _Way:
    """A map, and what reconstructs what is captured under it."""

    name: str
    ratio_map: RatioMap
    reconstruct: Reconstructor


def register(app: typer.Typer) -> None:
    """Add ``focalloop evaluate`` and ``focalloop reconstruct``."""
    app.command("evaluate")(evaluate_command)
    app.command("reconstruct")(reconstruct_command)


def evaluate_command(
    clips: Annotated[
        Path, typer.Argument(metavar="CLIPS", help="An .npz of clips, a video, or a folder.")
    ],
    bundle: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BUNDLE",
            help="A shipped bundle or the path of one; may be given several times.",
            show_default=DEFAULT_BUNDLE,
        ),
    ] = None,
    ratio_map: MapOption = None,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Also score the initial reconstruction alone.")
    ] = False,
    limit: LimitOption = None,
    threads: ThreadsOption = 2,
    json: JsonFlag = False,
) -> None:
    """Score reconstructions on clips, captured by the emulated sensor.

    PSNR and SSIM are taken on the video clipped to [0, 1], peak 1; the mean of the clips' PSNRs
    and the PSNR of their mean squared error are both given.

    Example: focalloop evaluate clips.npz --bundle edge-learned-2of16 --baseline
    """
    ways = _ways(bundle or [], ratio_map, threads)
    if baseline:
        ways = [w for way in ways for w in (way, _Way("initial", way.ratio_map, initial))]
    loaded = _load(clips, ways, limit)
    noise = NoiseProfile.load(profile, ways[0].ratio_map.slots)
    results = []
    with progress_bar() as bar:
        for way in ways:
            task = bar.add_task(way.name, total=len(loaded))
            result = evaluate(
                loaded,
                way.ratio_map,
                way.reconstruct,
                noise,
                name=way.name,
                seed=seed,
                progress=partial(bar.advance, task),
            )
            results.append(result)
    if json:
        emit_json({"results": [result.as_dict() for result in results]})
    else:
        stdout.print(_table(results))


def reconstruct_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTURE|CLIPS", help="A capture folder, or clips to emulate the capture of."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="An .mp4, .mkv or .npz file.")
    ],
    bundle: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help=f"A bundle's name or path, or {NETWORK_FREE}.",
            show_default=f"{DEFAULT_BUNDLE}, or what suits a capture's map",
        ),
    ] = None,
    ratio_map: MapOption = None,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    fps: Annotated[float, typer.Option(min=1, help="Frames a second of the video.")] = 30.0,
    limit: LimitOption = None,
    threads: ThreadsOption = 2,
    json: JsonFlag = False,
) -> None:
    """Reconstruct a capture, or clips through the emulated sensor, to a video.

    Example: focalloop reconstruct clips.npz --bundle edge-learned-2of16 -o video.mp4
    """
    check_output(output)
    if (source / MANIFEST).is_file():
        if ratio_map is not None:
            raise typer.BadParameter("a capture has its own map: leave --map out")
        way, names, windows = _captured(source, bundle, threads, limit)
    else:
        way = _way(bundle or DEFAULT_BUNDLE, ratio_map, threads)
        names, windows = _emulated(source, way, profile, seed, limit)
    started_s = perf_counter()
    with progress_bar() as bar:
        video = [
            way.reconstruct(reads, fitted)
            for reads, fitted in bar.track(windows, len(names), description=way.name)
        ]
    write_video(output, video, names, frames_per_s=fps)
    slots, height, width = video[0].shape
    if json:
        emit_json(
            {
                "output": str(output),
                "bundle": way.name,
                "windows": len(video),
                "slots": slots,
                "height": height,
                "width": width,
                "seconds": perf_counter() - started_s,
            }
        )
    else:
        stdout.print(
            f"wrote {output}: {len(video)} windows of {slots} frames, {height}x{width}, "
            f"reconstructed by {way.name}",
            highlight=False,
            soft_wrap=True,
        )


def _ways(bundles: list[str], ratio_map: str | None, threads: int) -> list[_Way]:
    """Everything to score: the bundles named, then the network-free way; else the default."""
    given = None if ratio_map is None else load_map(ratio_map)
    ways = [_with_bundle(Bundle.load(bundle), given, threads) for bundle in bundles]
    if given is not None:
        ways.append(_Way(NETWORK_FREE, given, NetworkFree()))
    ways = ways or [_with_bundle(Bundle.load(), None, threads)]
    different = sorted({way.ratio_map.slots for way in ways})
    if len(different) > 1:
        raise SceneError(
            f"the maps have windows of {' and '.join(map(str, different))} slots, and a clip has "
            "one length: evaluate them one by one"
        )
    return ways


def _with_bundle(bundle: Bundle, given: RatioMap | None, threads: int) -> _Way:
    """Reconstruct with a bundle, under its own map, or under the one given if it is for any."""
    ratio_map = bundle.ratio_map
    if given is not None and bundle.reach is not None:
        if not bundle.suits(given):
            raise typer.BadParameter(
                f"{bundle.name} is for maps of {ratio_map.slots} slots that measure something "
                f"within {bundle.reach} pixels of each pixel, "
                f"{'without a' if ratio_map.aperture is None else 'through its'} coded aperture"
            )
        ratio_map = given
    return _Way(bundle.name, ratio_map, bundle.reconstructor(threads))


def _way(bundle: str, ratio_map: str | None, threads: int) -> _Way:
    """Choose what reconstructs clips: a bundle, or nothing but `ratio_map`."""
    if ratio_map is not None:
        given = load_map(ratio_map)
        if bundle != NETWORK_FREE and (loaded := Bundle.load(bundle)).reach is not None:
            return _with_bundle(loaded, given, threads)
        return _Way(NETWORK_FREE, given, NetworkFree())
    if bundle == NETWORK_FREE:
        raise typer.BadParameter(f"--bundle {NETWORK_FREE} needs --map: what to capture under")
    return _with_bundle(Bundle.load(bundle), None, threads)


def _load(clips: Path, ways: list[_Way], limit: int | None) -> Clips:
    with console.status(f"reading {clips}"):
        return load_clips(clips, ways[0].ratio_map.slots, max_clips=limit)


def _captured(
    folder: Path, bundle: str | None, threads: int, limit: int | None
) -> tuple[_Way, tuple[str, ...], Iterator[tuple[Float32, RatioMap]]]:
    """Find what reconstructs a capture, and its windows of the scene: names, measurements."""
    capture = Capture.load(folder)
    taken = [window for window in capture.windows() if window.kind is WindowKind.SCENE][:limit]
    if not taken:
        raise CaptureError(f"{folder} holds no window of a scene to reconstruct")
    own_map = taken[0].ratio_map
    shipped = map(Bundle.load, (DEFAULT_BUNDLE, UNIVERSAL_BUNDLE))
    if bundle is None:
        chosen = next((each for each in shipped if each.suits(own_map)), None)
    else:
        chosen = None if bundle == NETWORK_FREE else Bundle.load(bundle)
    if chosen is None:
        way = _Way(NETWORK_FREE, own_map, NetworkFree())
    else:
        way = _with_bundle(chosen, None, threads)
        if not chosen.suits(own_map):
            console.print(
                f"note: {way.name} was trained for another ratio map than this capture's",
                highlight=False,
                soft_wrap=True,
            )
    names = tuple(f"{folder.name}[{window.number}]" for window in taken)
    # `reads` of a window stays in memory as long as the window does.
    windows = (taken.pop(0) for _ in names)
    return way, names, ((window.reads, window.ratio_map) for window in windows)


def _emulated(
    clips: Path, way: _Way, profile: str, seed: int, limit: int | None
) -> tuple[tuple[str, ...], Iterator[tuple[Float32, RatioMap]]]:
    """Names and measurements of clips that the emulated sensor captures."""
    loaded = _load(clips, [way], limit)
    fitted = way.ratio_map.tiled_to(*loaded.clips.shape[2:])
    reads = capture_clips(loaded.clips, fitted, NoiseProfile.load(profile, fitted.slots), seed=seed)
    return loaded.names, ((measured, fitted) for measured in reads)


def _table(results: list[Evaluation]) -> Table:
    table = Table(caption="PSNR (dB) and SSIM; r_avg under each name")
    table.add_column("clip")
    for result in results:
        table.add_column(f"{result.bundle}\n{result.r_avg:.4f}", justify="right")
    for row in zip(*(result.clips for result in results), strict=True):
        table.add_row(row[0].name, *(f"{clip.psnr:.2f}  {clip.ssim:.4f}" for clip in row))
    table.add_section()
    means = (f"{result.psnr:.2f}  {result.ssim:.4f}" for result in results)
    table.add_row("mean", *means, style="bold")
    table.add_row("PSNR of the mean MSE", *(f"{r.psnr_of_mean:.2f}        " for r in results))
    return table
