"""Maps on the long clips, where scenes are slower, or faster, than those of the comparison.

A map is a bet on the speed of the scene. The networks of the comparison are not shipped, so every
map of it is scored with the shipped network for any map, and the shipped bundles with their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.maps import scores
from benchmarks.maps.scores import Interval
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.reconstruction.quality import psnr
from focalloop.host.reconstruction.suggestion import candidates
from focalloop.models.zoo import UNIVERSAL_BUNDLE

NOISE, SEED = "paper", 0
WINDOWS = 6
EVERY = 3
"""A sequence has six windows, of which the first and the fourth are scored."""

Row = dict[str, Any]


def rows(
    path: Path, compared: Path | None, threads: int, on_row: Callable[[Row], None]
) -> list[Row]:
    """Score the shipped maps on a file of long clips, and those of a comparison.

    Parameters
    ----------
    path : Path
        A file of ``focalloop data test-set --long``.
    compared : Path or None
        A file of `benchmarks.maps collect`, whose tiles are scored too.
    threads : int
        Processor threads of a network.
    on_row : callable
        Called with each row.

    Returns
    -------
    list of dict
        ``clips``, ``map``, ``bundle``, ``measurements``, and the mean ``psnr`` of each sequence.
    """
    windows = load_clips(path).clips[::EVERY]
    found: list[Row] = []
    for name, bundle, ratio_map in _maps(compared):
        quality = score(windows, ratio_map, Bundle.load(bundle), threads)
        row: Row = {"clips": path.name, "map": name, "bundle": bundle}
        row |= {"measurements": ratio_map.mean_level, "psnr": np.round(quality, 3).tolist()}
        on_row(row)
        found.append(row)
    return found


def score(
    windows: NDArray[np.uint8], ratio_map: RatioMap, bundle: Bundle, threads: int
) -> NDArray[np.float64]:
    """Return the mean PSNR of each sequence, dB, of the windows that are scored of it."""
    noise = preset(NOISE)
    fitted = ratio_map.tiled_to(*windows.shape[2:])
    reconstruct = bundle.reconstructor(threads, noise.shot_and_read())
    captured = capture_clips(windows, fitted, noise, seed=SEED)
    values = [
        psnr(reconstruct(reads, fitted), truth)
        for truth, reads in zip(windows, captured, strict=True)
    ]
    of_sequence: NDArray[np.float64] = np.reshape(values, (-1, WINDOWS // EVERY)).mean(axis=1)
    return of_sequence


def _maps(compared: Path | None) -> Iterator[tuple[str, str, RatioMap]]:
    for each in candidates(1):
        own = None if each.tile else Bundle.load(each.bundle).ratio_map
        yield each.name, each.bundle, own or RatioMap.load(each.name)
    for score in scores.of(scores.load(compared), aperture=False) if compared else []:
        if score.tile is not None:
            yield score.name, UNIVERSAL_BUNDLE, RatioMap.from_tile(score.tile, (256, 256))


def with_rows(document: dict[str, Any] | None, path: Path, added: list[Row]) -> dict[str, Any]:
    """Return the document with the rows of a file of clips, in place of what it had of them."""
    loaded = load_clips(path)
    names = [name.rpartition("[")[0] for name in loaded.names[::WINDOWS]]
    tested_on = {
        "sha256": scores.digest(loaded.clips),
        "names": names,
        "noise": NOISE,
        "seed": SEED,
    }
    document = document or {"schema": 1, "tested_on": {}, "rows": []}
    kept = [row for row in document["rows"] if row["clips"] != path.name]
    return document | {
        "tested_on": document["tested_on"] | {path.name: tested_on},
        "rows": kept + added,
    }


def by_map(path: Path, clips: str) -> dict[str, NDArray[np.float64]]:
    """Return the PSNRs of each map on the clips of one file; none if there is no file of scores."""
    stored = scores.read(path)["rows"] if path.exists() else []
    return {row["map"]: _psnr(row) for row in stored if row["clips"] == clips}


def table(path: Path) -> str:
    """Return the maps that were scored on every file of clips, as Markdown.

    Beside each score is how far it is from the best one of as many measurements, in dB.
    """
    files = list(scores.read(path)["tested_on"])
    of_file = {clips: by_map(path, clips) for clips in files}
    found = {row["map"]: row for row in scores.read(path)["rows"]}
    shown = [row for name, row in found.items() if all(name in of for of in of_file.values())]
    lines = [
        f"| map | network | measurements per pixel | {' | '.join(files)} |",
        "|---|---|---|" + "---|" * len(files),
    ]
    for row in sorted(shown, key=lambda row: (row["measurements"], row["map"])):
        rivals = [each["map"] for each in shown if each["measurements"] == row["measurements"]]
        cells = [_beside_the_best(row["map"], rivals, of) for of in of_file.values()]
        lines.append(
            f"| {row['map']} | {row['bundle']} | {row['measurements']:g} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def _beside_the_best(name: str, rivals: list[str], psnr_of: dict[str, NDArray[np.float64]]) -> str:
    best = max(rivals, key=lambda rival: float(psnr_of[rival].mean()))
    mean = f"{psnr_of[name].mean():.2f}"
    if name == best:
        return f"**{mean}**"
    return f"{mean}, {Interval.of(psnr_of[name] - psnr_of[best]).text(2, '+')}"


def _psnr(row: Row) -> NDArray[np.float64]:
    return np.array(row["psnr"])
