"""Files of weights that a training cannot start from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.networks.paper import PaperSettings
from focalloop.models.networks.profiles import build_network
from focalloop.models.training.weights import load_weights, save_weights

EDGE = EdgeSettings(width=16, context=8, blocks=1)
PAPER = PaperSettings(stages=1)


def test_weights_of_another_profile_or_window_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, PAPER, build_network(PAPER).state_dict(), {})
    for wanted, message in (
        (EDGE, "paper network, not of the edge network"),
        (replace(PAPER, slots=8), "windows of 16 frames, not of 8"),
        (replace(PAPER, aperture=True), "without a coded aperture, not with one"),
        (replace(PAPER, stages=2), "another size"),
    ):
        with pytest.raises(TrainError, match=message):
            load_weights(path, wanted)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"no weights 'edge-none'.*shipped name"):
        load_weights("edge-none")
    path = tmp_path / "w.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(TrainError, match="does not hold weights to start from"):
        load_weights(path)
    save_weights(path, EDGE, {"x": torch.zeros(1)}, {})
    with pytest.raises(TrainError, match="is damaged"):
        load_weights(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(TrainError, match="cannot be read"):
        load_weights(path)
