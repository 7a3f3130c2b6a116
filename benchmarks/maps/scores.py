"""The scores of a comparison, gathered in one file, and their statistics.

The file (``docs/results/maps.json``) holds the score of every clip for every run, the maps and the
settings, so that tables and figures need no training. The quality of a map is the mean over its
seeds, clip by clip; intervals are bootstrapped over clips, because users will have other clips.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import written_whole

SCHEMA = 1
CONFIDENCE = 0.95
RESAMPLES = 10_000

SCORES = "scores.json"
"""File in the folder of a run that is finished."""


class ScoresError(FocalloopError):
    """Scores that are missing or cannot be compared."""


@dataclass(frozen=True, eq=False)
class MapScore:
    """The scores of one map.

    Attributes
    ----------
    name, method, budget, aperture, profile : str or float or bool
        As in `benchmarks.maps.plan.Entry`.
    measurements : float
        Mean level, measurements per pixel and window: ``r_avg * T``.
    seeds : int
        Number of trainings that were averaged.
    psnr, ssim : ndarray of float64, shape (clips,)
        Mean over the seeds, dB and 0 to 1.
    validation_psnr : float
        PSNR on the validation windows, mean over the seeds; a map may be chosen by it. NaN where
        nothing was trained.
    tile : list of list of int or None
        Rows of levels; None for a random map.
    """

    name: str
    method: str
    budget: float
    aperture: bool
    profile: str
    measurements: float
    seeds: int
    psnr: NDArray[np.float64]
    ssim: NDArray[np.float64]
    validation_psnr: float
    tile: list[list[int]] | None


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Interval:
        """Bootstrap the mean of `values` (clips,): percentiles of resampled means, seeded."""
        mean = float(np.mean(values))
        if len(values) < 2:
            return cls(mean, mean, mean)
        found = bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            random_state=np.random.default_rng(0),
        ).confidence_interval
        return cls(mean, float(found.low), float(found.high))

    def text(self, digits: int, sign: str = "") -> str:
        """Return ``mean [low, high]``."""
        mean, low, high = (f"{v:{sign}.{digits}f}" for v in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def collect(runs: Path) -> dict[str, Any]:
    """Gather the finished runs of a folder.

    Raises
    ------
    ScoresError
        If there are none, or they were not trained and scored in the same way.
    """
    found = [(path.parent.name, read(path)) for path in sorted(runs.glob(f"*/{SCORES}"))]
    if not found:
        raise ScoresError(
            f"no run in {runs} is finished: start with `python -m benchmarks.maps train`"
        )
    first_name, first = found[0]
    training: dict[str, Any] = {}
    rows = []
    for name, run in found:
        entry = run["entry"]
        if run["tested_on"] != first["tested_on"]:
            raise ScoresError(f"{name} was scored on other clips than {first_name}: remove one")
        kind = f"{entry['profile']}, {'with' if entry['aperture'] else 'without'} aperture"
        settings = {key: value for key, value in run["training"].items() if key != "seed"}
        known = training.setdefault(kind, settings)
        if settings != known:
            other = sorted(key for key in settings if settings[key] != known.get(key))
            raise ScoresError(
                f"{name} was trained with other settings ({', '.join(other)}) than the runs "
                f"{kind} before it: move it out of {runs}, or train it like them"
            )
        clips = run["evaluation"]["clips"]
        rows.append(
            {key: entry[key] for key in ("name", "method", "budget", "aperture", "profile", "seed")}
            | {"r_avg": run["r_avg"], "measurements": run["r_avg"] * known["network"]["slots"]}
            | {"validation_psnr": round(run["result"]["validation_psnr"], 4)}
            | {"minutes": round(run["result"]["minutes"], 2)}
            | {key: [round(clip[key], 4) for clip in clips] for key in ("psnr", "ssim")}
            | {"map": run["map"]}
        )
    clips_once, schema = first["tested_on"], {"schema": SCHEMA}
    return schema | {"tested_on": clips_once, "training": training, "rows": rows}


def with_rows(document: dict[str, Any], added: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a collected document with rows that replace those of the same names."""
    names = {row["name"] for row in added}
    kept = [row for row in document["rows"] if row["name"] not in names]
    return document | {"rows": kept + added}


def digest(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of arrays, by which a document names its clips and first weights."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def save(document: dict[str, Any], path: Path) -> None:
    """Write what `collect` returned, one row per line."""
    rows = ",\n  ".join(json.dumps(row) for row in document["rows"])
    head = json.dumps(document | {"rows": []}, indent=1)
    text = head.replace('"rows": []', f'"rows": [\n  {rows}\n ]')
    write_whole(path, text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text(text, "utf-8")


def load(path: Path) -> list[MapScore]:
    """Read the maps of a collected file, the seeds of each averaged.

    Raises
    ------
    ScoresError
        If the file is missing or of another kind.
    """
    document = read(path)
    try:
        if document["schema"] != SCHEMA:
            raise ScoresError(f"{path} has schema {document['schema']}, not {SCHEMA}")
        by_map: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
        for row in document["rows"]:
            key = (row["name"], row["profile"], row["aperture"])
            by_map.setdefault(key, []).append(row)
        return [_averaged(rows) for rows in by_map.values()]
    except (KeyError, TypeError) as error:
        raise ScoresError(
            f"{path} is not a collected comparison ({error}): "
            "make one with `python -m benchmarks.maps collect`"
        ) from None


def budgets(scores: Sequence[MapScore]) -> list[float]:
    """Return the budgets that occur, ascending."""
    return sorted({score.budget for score in scores})


def of(scores: Sequence[MapScore], *, aperture: bool, profile: str = "edge") -> list[MapScore]:
    """Return the maps of one comparison."""
    return [one for one in scores if (one.aperture, one.profile) == (aperture, profile)]


def best(scores: Sequence[MapScore], budget: float, *methods: str) -> MapScore | None:
    """Return the best map of `methods` within a budget, or None.

    Learned maps are ranked on the validation windows, so that the choice uses no test clip; the
    maps that they are compared with are ranked on the test clips, which favours those.
    """
    found = [one for one in scores if one.budget == budget and one.method in methods]
    if methods == ("learned",):
        return max(found, key=lambda one: one.validation_psnr, default=None)
    return max(found, key=lambda one: one.psnr.mean(), default=None)


def _averaged(rows: list[dict[str, Any]]) -> MapScore:
    first = rows[0]
    if any(row["map"] != first["map"] for row in rows):
        raise ScoresError(
            f"the seeds of {first['name']} have different maps: give them different names"
        )
    return MapScore(
        **{key: first[key] for key in ("name", "method", "budget", "aperture", "profile")},
        measurements=first["measurements"],
        seeds=len(rows),
        psnr=np.mean([row["psnr"] for row in rows], axis=0),
        ssim=np.mean([row["ssim"] for row in rows], axis=0),
        validation_psnr=float(np.mean([row.get("validation_psnr", np.nan) for row in rows])),
        tile=first["map"].get("tile"),
    )


def read(path: Path) -> dict[str, Any]:
    """Read a file of scores; raise `ScoresError` if that is not possible."""
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ScoresError(
            f"{path} cannot be read ({error}): make it with `python -m benchmarks.maps`"
        ) from None
    return document
