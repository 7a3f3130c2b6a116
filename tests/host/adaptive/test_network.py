"""The networks over blocks, against sums written out."""

import numpy as np

from focalloop.host.adaptive.network import BlockNetwork


def test_layers_are_convolutions_continued_at_the_edges():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((3, 5, 4), np.float32)
    first = rng.standard_normal((7, 3, 3, 3), np.float32), rng.standard_normal(7, np.float32)
    second = rng.standard_normal((2, 7, 1, 1), np.float32), rng.standard_normal(2, np.float32)
    network = BlockNetwork(tuple((weight[None], bias[None]) for weight, bias in (first, second)))
    assert (network.inputs, network.outputs) == (3, 2)
    values = np.pad(features, ((0, 0), (1, 1), (1, 1)), mode="edge")
    hidden = np.empty((7, 5, 4))
    for y in range(5):
        for x in range(4):
            patch = values[:, y : y + 3, x : x + 3]
            hidden[:, y, x] = (first[0] * patch).sum((1, 2, 3)) + first[1]
    expected = np.einsum("oi,iyx->oyx", second[0][:, :, 0, 0], np.maximum(hidden, 0))
    np.testing.assert_allclose(
        network(features), expected + second[1][:, None, None], rtol=1e-4, atol=1e-4
    )


def test_networks_are_averaged():
    rng = np.random.default_rng(1)
    layers = [
        (
            rng.standard_normal((3, *shape), np.float32),
            rng.standard_normal((3, shape[0]), np.float32),
        )
        for shape in ((6, 4, 1, 1), (6, 6, 3, 3), (2, 6, 1, 1))
    ]
    features = rng.standard_normal((4, 5, 6), np.float32)
    one_by_one = [
        BlockNetwork(tuple((weight[k : k + 1], bias[k : k + 1]) for weight, bias in layers))
        for k in range(3)
    ]
    expected = np.mean([network(features) for network in one_by_one], axis=0)
    np.testing.assert_allclose(BlockNetwork(tuple(layers))(features), expected, atol=1e-5)
