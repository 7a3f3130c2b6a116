"""The bundle of a training run, which the host loads: ``focalloop export``.

A bundle is a folder (``docs/file-formats.md``): the ratio map, the network as ONNX, and a manifest
with the hash of each, the recipe, the data with its licences, and scores with the commands that
printed them. Nothing is written unless ONNX Runtime reproduces PyTorch. The weights alone can be
exported too, for other runs to start from.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import folder_written_whole
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps import map_files as ratio_map_files
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models import zoo
from focalloop.models.errors import ExportError
from focalloop.models.export import int8
from focalloop.models.export.noise_cost import noise_cost
from focalloop.models.export.onnx_graph import OPSET, to_onnx
from focalloop.models.networks.aperture import ApertureNetwork
from focalloop.models.networks.edge import NOISE_RANGE
from focalloop.models.networks.interpolation import REACH
from focalloop.models.networks.profiles import Network, build_network, is_told, settings_from
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint, noise_from
from focalloop.models.training.learner import below
from focalloop.models.training.map_source import RATIO_MAP, RandomTiles
from focalloop.models.training.rounding import Ranges, parted
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import SUFFIX, save_weights

SCHEMA_VERSION = 1
NETWORK = "reconstruct.onnx"
MANIFEST = "bundle.json"
LICENCE = "Apache-2.0"

_KEPT = ("reach", "noise_profile", "noise_range", "training", "data", "licence", "export")
"""Keys of a manifest that a bundle keeps when it is written again."""

MAX_INT8_LOSS_DB = 0.2
"""Limit of the PSNR that 8-bit arithmetic may cost."""


@dataclass(frozen=True)
class Score:
    """The score of a bundle on a set of clips.

    Attributes
    ----------
    set : str
        Name of the set.
    command : str
        The command that printed the score.
    evaluation : dict of str to any
        The JSON that ``focalloop evaluate --json`` printed.
    """

    set: str
    command: str
    evaluation: dict[str, Any]

    def entry(self, bundle: str, ratio: float) -> dict[str, Any]:
        """Return the entry of the manifest: the means of the first result.

        Parameters
        ----------
        bundle : str
            Name of the bundle that the score is for.
        ratio : float
            Average ratio of its map.

        Raises
        ------
        ExportError
            If the evaluation is of another bundle or map, or is none.
        """
        try:
            result = self.evaluation["results"][0]
            means = {key: result["mean"][key] for key in ("psnr", "ssim")}
            conditions = {key: result[key] for key in ("profile", "seed", "r_avg")}
        except (KeyError, IndexError, TypeError):
            raise ExportError(
                f"the scores of {self.set!r} are not what `focalloop evaluate --json` prints"
            ) from None
        scored = result.get("bundle", bundle)
        if scored != bundle or not math.isclose(conditions["r_avg"], ratio):
            raise ExportError(
                f"the scores of {self.set!r} are of {scored} at r_avg {conditions['r_avg']:.4g}, "
                f"not of {bundle} at {ratio:.4g}: give those that `{self.command}` prints"
            )
        return {"set": self.set, "command": self.command, **conditions, **means}


def export_run(
    run: Path,
    bundle: Path,
    scores: Sequence[Score] = (),
    calibration: TrainingData | None = None,
    first_map: RatioMap | None = None,
    data: TrainingData | None = None,
) -> dict[str, Any]:
    """Write the averaged network of a training run as a bundle, replacing an older one.

    Parameters
    ----------
    run : Path
        Folder of ``focalloop train``.
    bundle : Path
        Folder to write; its name becomes the name of the bundle.
    scores : sequence of Score, optional
        Evaluations of this network, to be recorded.
    calibration : TrainingData or None, optional
        Windows to calibrate 8-bit arithmetic on (`focalloop.models.export.int8`); float32 by
        default.
    first_map : RatioMap or None, optional
        Map that a board begins with, for a network of any map; other networks have a map of their
        own.
    data : TrainingData or None, optional
        Has the validation windows on which to measure what other noise costs
        (`focalloop.models.export.noise_cost`); not measured by default.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError, TrainError, RatioMapError
        If a file of the run is missing or damaged, ONNX Runtime and PyTorch disagree, or 8-bit
        arithmetic loses more than `MAX_INT8_LOSS_DB`; or `bundle` exists and is not a bundle.
    """
    _refuse_anything_but_a_bundle(bundle)
    metadata, network, ranges = _averaged_network(run)
    ratio_map = _map_of(run, first_map)
    _check_fit(run, network, ratio_map)
    noise = noise_from(metadata["settings"])
    if calibration is not None and _any_aperture(network):
        raise ExportError("only networks of the edge profile have an 8-bit form: export float32")
    graph, difference = to_onnx(network)
    how: dict[str, Any] = {"opset": OPSET, "largest_difference": difference, "int8_loss_db": None}
    told = is_told(network.settings)
    if calibration is not None:
        for_any = None if first_map is None else RandomTiles()
        narrow = int8.calibrated(
            graph, calibration, ratio_map, noise, for_any, told=told, ranges=ranges
        )
        graph, how["int8_loss_db"] = _checked_int8(graph, narrow)
    described = {
        **({} if first_map is None else {"reach": REACH}),
        **({"any_aperture": True} if first_map is not None and _any_aperture(network) else {}),
        "noise_profile": noise.as_dict(),
        **({"noise_range": NOISE_RANGE} if told else noise_cost(graph, ratio_map, data)),
        **_origin(metadata),
        "export": how,
    }
    return _written(bundle, ratio_map, graph, described, scores)


def write_bundle(
    bundle: Path, network: Network, ratio_map: RatioMap, metadata: dict[str, Any]
) -> dict[str, Any]:
    """Write a network that was trained along with something else, replacing an older bundle.

    Parameters
    ----------
    bundle : Path
        Folder to write; its name becomes the name of the bundle.
    network : Network
        With averaged weights.
    ratio_map : RatioMap
        The map that it was trained for.
    metadata : dict of str to any
        Of the checkpoint that they come from.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError
        If ONNX Runtime and PyTorch disagree, or `bundle` exists and is not a bundle.
    """
    _refuse_anything_but_a_bundle(bundle)
    graph, difference = to_onnx(network)
    described = {
        "noise_profile": noise_from(metadata["settings"]).as_dict(),
        **_origin(metadata),
        "export": {"opset": OPSET, "largest_difference": difference, "int8_loss_db": None},
    }
    return _written(bundle, ratio_map, graph, described, ())


def export_bundle(
    source: Path,
    bundle: Path,
    data: TrainingData,
    scores: Sequence[Score] = (),
    *,
    narrow: bool = False,
) -> dict[str, Any]:
    """Write a bundle again, with what other noise costs it measured anew.

    Parameters
    ----------
    source : Path
        Name of a shipped bundle, or folder of any.
    bundle, data, scores
        As for `export_run`; under the name of `source`, its scores are kept.
    narrow : bool, optional
        Write its 8-bit form, calibrated on `data`, of one in float32 and for one map.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError
        `source` is no such bundle, or see `export_run`.
    """
    _refuse_anything_but_a_bundle(bundle)
    folder = zoo.FOLDER / source if str(source) in zoo.BUNDLES else source
    try:
        meta = parse_json((folder / MANIFEST).read_bytes())
        ratio_map = RatioMap.load(folder / meta["ratio_map"])
        noise = NoiseProfile.from_dict(meta["noise_profile"])
        graph = (folder / meta["network"]).read_bytes()
        described = {key: meta[key] for key in _KEPT if key in meta}
        kept_scores = meta["scores"] if meta["name"] == bundle.name else []
    except (OSError, ValueError, KeyError, TypeError, FocalloopError) as error:
        raise ExportError(f"the bundle {source} cannot be read: {error}") from None
    told = "noise_range" in meta
    if narrow:
        if "reach" in meta:
            raise ExportError(f"{source} is for any map: export its run, with --map")
        found = int8.calibrated(graph, data, ratio_map, noise, told=told)
        graph, loss_db = _checked_int8(graph, found)
        described["export"] = described["export"] | {"int8_loss_db": loss_db}
    if not told:
        described |= noise_cost(graph, ratio_map, data)
    return _written(bundle, ratio_map, graph, described, scores, kept_scores)


def _written(
    bundle: Path,
    ratio_map: RatioMap,
    graph: bytes,
    described: dict[str, Any],
    scores: Sequence[Score],
    kept_scores: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Write the files of a bundle and return its manifest."""
    files = {RATIO_MAP: ratio_map_files.encode(ratio_map, ".npz"), NETWORK: graph}
    manifest = {
        "schema": SCHEMA_VERSION,
        "name": bundle.name,
        "slots": ratio_map.slots,
        "level_set": list(ratio_map.level_set),
        "ratio_map": RATIO_MAP,
        "network": NETWORK,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        **described,
        "scores": [*kept_scores, *(score.entry(bundle.name, ratio_map.ratio) for score in scores)],
    }
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    with folder_written_whole(bundle, replace=True) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return manifest


def export_weights(run: Path, path: Path) -> dict[str, Any]:
    """Write the averaged weights of a training run alone (`focalloop.models.training.weights`).

    Returns
    -------
    dict
        The origin that the file records.

    Raises
    ------
    ExportError, TrainError
        If the checkpoint is missing or damaged.
    """
    metadata, network, _ = _averaged_network(run)
    origin = _origin(metadata)
    save_weights(path, network.settings, network.state_dict(), origin)
    return origin


def _checked_int8(graph: bytes, calibrated: tuple[bytes, float]) -> tuple[bytes, float]:
    """Refuse an 8-bit form that equals the float32 form, or that loses too much."""
    narrow, loss_db = calibrated
    if narrow == graph:
        raise ExportError("only edge networks have an 8-bit form: export float32")
    if not loss_db <= MAX_INT8_LOSS_DB:
        raise ExportError(
            f"8-bit arithmetic loses {loss_db:.2f} dB on the validation windows, more than "
            f"{MAX_INT8_LOSS_DB:g}: export float32"
        )
    return narrow, loss_db


def _averaged_network(run: Path) -> tuple[dict[str, Any], Network, dict[str, Ranges]]:
    """Read a run's checkpoint: its metadata, its averaged network, and what that is rounded over.

    The ranges are empty for a run without rounding, and before its first step.
    """
    if not (run / CHECKPOINT).is_file():
        raise ExportError(f"{run} holds no {CHECKPOINT}: name a folder of `focalloop train`")
    metadata, tensors = load_checkpoint(run / CHECKPOINT)
    network = build_network(settings_from(metadata["settings"]["network"]))
    weights, ranges = parted(below("average.", tensors))
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise ExportError(
            f"{run / CHECKPOINT} does not hold the weights of a network of the "
            f"{network.settings.profile} profile as this version builds it: train it again"
        ) from None
    return metadata, network, ranges if metadata["progress"]["step"] else {}


def _map_of(run: Path, first_map: RatioMap | None) -> RatioMap:
    """Return the map of the bundle: that of the run or, for a network of any map, `first_map`."""
    if (run / RATIO_MAP).is_file():
        if first_map is not None:
            raise ExportError(
                f"{run} trained its network for one map, which it holds: omit the map"
            )
        return RatioMap.load(run / RATIO_MAP)
    if first_map is None:
        raise ExportError(
            f"{run} holds no {RATIO_MAP}, because its network is for any map: give a map to begin "
            f"with, or a name that ends in {SUFFIX} to export its weights alone"
        )
    return first_map


def _check_fit(run: Path, network: Network, ratio_map: RatioMap) -> None:
    settings = network.settings
    if settings.slots != ratio_map.slots:
        raise ExportError(
            f"{run}: its network is for windows of {settings.slots} frames, its map for "
            f"{ratio_map.slots}"
        )
    if not _any_aperture(network) and settings.aperture != (ratio_map.aperture is not None):
        raise ExportError(
            f"{run}: its network needs a coded aperture, and its map has none"
            if settings.aperture
            else f"{run}: its map has a coded aperture, which its network was not made for"
        )


def _any_aperture(network: Network) -> bool:
    return isinstance(network, ApertureNetwork)


def _origin(metadata: dict[str, Any]) -> dict[str, Any]:
    """Describe how a run went, as a bundle and a file of weights record it."""
    progress = metadata["progress"].items()
    return {
        "training": {
            "recipe": metadata.get("command")
            or "focalloop.models.training.run in Python (docs/training.md)",
            "settings": metadata["settings"],
            # JSON has no NaN, which stands for a PSNR that was never measured.
            "result": {key: None if math.isnan(value) else value for key, value in progress},
            "data_settings": metadata["data"]["settings"],
        },
        "data": data_summary(metadata["data"]["sources"]),
        "licence": LICENCE,
    }


def data_summary(sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry per package or file of one's own: name, licence, number of files."""
    counts = Counter((source["name"].split("/")[0], source["licence"]) for source in sources)
    return [
        {"name": name, "licence": licence, "files": count}
        for (name, licence), count in sorted(counts.items())
    ]


def _refuse_anything_but_a_bundle(path: Path) -> None:
    """Refuse to replace a file, or a folder that is not a bundle."""
    if path.exists() and not (path / MANIFEST).is_file():
        raise ExportError(f"{path} exists and is not a bundle: give the bundle another name")
