"""Small models of latents, in integers, with weights drawn at random."""

import numpy as np

from focalloop.firmware_sim.radio.entropy import SymbolTable
from focalloop.firmware_sim.radio.integer_network import IntegerNetwork, Layer
from focalloop.firmware_sim.radio.latents import LatentModel, Step

STEPS = ((0, 2, 0), (0, 2, 1), (2, 12, 2))
"""First channel, channel after the last, and parity of each step."""

CHANNELS = 12
SIDE_CHANNELS = 3
QUALITIES = 4


def drawn_model(seed=0, steps=STEPS):
    """Return a model whose means and scales depend on everything that is known."""
    rng = np.random.default_rng(seed)
    cumulative = np.linspace(0, 1 << 20, 8).astype(int).tolist()
    tables = tuple(
        SymbolTable.from_cumulative(-3 - channel, cumulative, 1 << 20)
        for channel in range(SIDE_CHANNELS)
    )
    features = 5
    hyper = IntegerNetwork(
        (_layer(rng, 16, SIDE_CHANNELS, 3), _layer(rng, 4 * features, 16, 1)),
    )
    coded = tuple(
        Step(
            first,
            last,
            parity,
            IntegerNetwork(
                (
                    _layer(rng, 16, features + last, 3, QUALITIES),
                    _layer(rng, 2 * (last - first), 16, 1),
                )
            ),
        )
        for first, last, parity in steps
    )
    octaves = np.linspace(0, 3, QUALITIES)[:, None] + np.linspace(1, -3, CHANNELS)
    gains = np.rint(256 * 2**octaves).astype(np.int64)
    return LatentModel(tables, hyper, coded, gains, np.rint(65536 * octaves).astype(np.int64))


def drawn_latents(height, width, seed=1):
    """Return Y and Z for a window whose latent has this height and width."""
    rng = np.random.default_rng(seed)
    side = rng.normal(scale=2, size=(SIDE_CHANNELS, -(-height // 2), -(-width // 2)))
    latent = rng.standard_t(3, (CHANNELS, height, width))
    return latent.astype(np.float32), side.astype(np.float32)


def _layer(rng, outputs, inputs, size, qualities=1):
    weights = rng.normal(scale=4096 / np.sqrt(inputs * size**2), size=(outputs, inputs, size, size))
    bias = rng.integers(-(1 << 18), 1 << 18, (qualities, outputs))
    return Layer(np.rint(weights).astype(np.int16), bias, 12)
