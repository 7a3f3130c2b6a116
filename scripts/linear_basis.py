"""Make the transform of the linear link from training windows.

    python -m scripts.linear_basis --data train.npz

writes ``models/zoo/linear-2.5of16.npz``, which `focalloop.host.radio.linear` describes: the
Karhunen-Loeve transform of noisy reads under the map that all radio methods share. The windows for
validation are not used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from focalloop.firmware_sim.files import written_whole
from focalloop.host.radio.linear import BASIS
from focalloop.host.radio.methods import SENSING_BUNDLE
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models.radio.klt import block_transform
from focalloop.models.radio.reads import CellReads
from focalloop.models.training.training_data import TrainingData

COEFFICIENTS = 192
"""Coefficients of a block that can be sent."""


def main() -> None:
    """Compute and write the transform."""
    parser = argparse.ArgumentParser(description="Make the transform of the linear link.")
    parser.add_argument("--data", type=Path, required=True, help="a file of `focalloop data build`")
    data = TrainingData.load(parser.parse_args().data)
    torch.set_num_threads(1)
    bundle = Bundle.load(SENSING_BUNDLE)
    tile = bundle.ratio_map.tile
    reads = CellReads(tile, bundle.noise_profile)
    transform = block_transform(data, reads).first(COEFFICIENTS)
    weight = reads.gain.rsqrt()  # of brightness; the analysis rows include it
    with written_whole(BASIS) as partial:
        np.savez_compressed(
            partial,
            tile=tile,
            mean=(transform.mean * weight.flatten()).numpy(),
            basis=(transform.analysis / weight).numpy().astype(np.float16),
            variance=transform.variance.numpy(),
        )


if __name__ == "__main__":
    main()
