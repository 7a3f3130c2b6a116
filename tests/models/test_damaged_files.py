"""Damaged training data, weights and checkpoints: what was saved, or one sentence."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.networks.profiles import build_network
from focalloop.models.training.checkpoint import load_checkpoint, save_checkpoint
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights, save_weights
from tests.system.test_damaged_files import Loader, damages, load, other_values

EDGE = EdgeSettings(width=16, context=8, blocks=1)


def training_data(path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (4, 16, 8, 8), np.uint8)
    recipe = json.dumps({"sources": [], "settings": {}})
    np.savez(path, clips=clips, validation=np.arange(4) > 2, recipe=recipe)


def weights(path: Path) -> None:
    save_weights(path, EDGE, build_network(EDGE).state_dict(), {})


def checkpoint(path: Path) -> None:
    metadata = {"settings": {"network": asdict(EDGE)}, "progress": {}, "data": {}, "identity": {}}
    save_checkpoint(path, metadata, {"a": torch.zeros(3)})


LOADERS = {
    "train.npz": Loader(training_data, TrainingData.load),
    "weights.safetensors": Loader(weights, load_weights),
    "checkpoint.safetensors": Loader(checkpoint, load_checkpoint),
}


@pytest.mark.parametrize("name", LOADERS)
def test_a_damaged_file_loads_or_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    loader, path = LOADERS[name], tmp_path / name
    loader.make(path)
    whole = path.read_bytes()
    for what, content in [*damages(whole), *damaged_header(whole)]:
        path.write_bytes(content)
        load(loader, path, what)


def damaged_header(whole: bytes) -> list[tuple[str, bytes]]:
    """Change the values in the metadata of a safetensors file, which are JSON texts."""
    size = int.from_bytes(whole[:8], "little")
    if size > len(whole):
        return []
    found = []
    header, tensors = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    for name, text in header["__metadata__"].items():
        for what, changed in [
            ("[]", b"[]"),
            ("{", b"{"),
            *other_values(json.loads(text) or {"a": 1}),
        ]:
            inner = header["__metadata__"] | {name: changed.decode()}
            content = json.dumps(header | {"__metadata__": inner}).encode()
            found.append(
                (f"{name}: {what}", len(content).to_bytes(8, "little") + content + tensors)
            )
    return found
