import copy

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.radio.entropy import SCALES, gaussian_tables, scale_of
from focalloop.firmware_sim.radio.latents import dead_zones, rounded
from focalloop.models.radio.codec import QUALITIES
from focalloop.models.radio.codec_export import integer_latents
from focalloop.models.radio.latent_network import (
    LatentNetwork,
    LatentSettings,
    checkerboard,
    quantised,
    table_bits,
)

STEPS = ((0, 2, 0), (0, 2, 1), (2, 8, 2), (8, 12, 2))
SETTINGS = LatentSettings(
    side=4, features=8, width=16, steps=STEPS, fine_unit=0.05, coarse_unit=0.5
)
CHANNELS = 12
END_BITS = 16
"""Bits that the end of a window takes besides: half a word, on average."""


def trained_network(steps=40):
    """A network that has learned a little, so that nothing in it is zero."""
    torch.manual_seed(0)
    network = LatentNetwork(torch.linspace(0.05, 1.5, CHANNELS).flip(0), SETTINGS)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        coded = network(latents(step), torch.rand(6, generator=generator), generator)
        (coded.bits.mean() / 100 + (coded.latent - latents(step)).square().mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.eval().requires_grad_(False)


def latents(seed, count=6, height=6, width=4):
    """Latents whose channels and neighbours are alike in size and sign."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.randn(count, 1, height, width, generator=generator).exp()
    common = torch.randn(count, 1, height // 2, width // 2, generator=generator)
    own = torch.randn(count, CHANNELS, height, width, generator=generator)
    drawn = own * size + common.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return drawn / drawn.square().mean().sqrt()


@pytest.fixture(scope="module")
def network():
    return trained_network()


@pytest.fixture(scope="module")
def model(network):
    return integer_latents(network)


@pytest.mark.parametrize("quality", [0, QUALITIES // 2, QUALITIES - 1])
def test_integers_take_the_bits_that_training_counts(network, model, quality):
    asked = torch.full((1,), quality / (QUALITIES - 1))
    counted = coded = 0
    for seed in range(1000, 1004):
        latent = latents(seed, 1, 20, 30)
        side = network.side(network.units(latent, asked))
        data = model.encode(latent[0].numpy(), side[0].numpy(), quality)
        counted += float(network(latent, asked).bits)
        coded += 8 * len(data) - END_BITS
    assert coded == pytest.approx(counted, rel=0.01)


def test_integers_decode_to_what_training_saw(network, model):
    latent, quality = latents(2000, 1, 8, 10)[:, :, :7, :9], 90
    asked = torch.full((1,), quality / (QUALITIES - 1))
    side = network.side(network.units(latent, asked))
    data = model.encode(latent[0].numpy(), side[0].numpy(), quality)
    height, width = latent.shape[-2:]
    found = torch.from_numpy(model.decode(data, height, width, quality))
    unit = network.octaves(asked)[0, :, None, None].exp2().reciprocal()
    # A mean that differs in its last digits now and then rounds a value the other way.
    far = ((found - network(latent, asked).latent[0]) / unit).abs() > 0.05
    assert far.float().mean() < 0.02


def test_learning_lowers_the_bits(network):
    before, latent = trained_network(0), latents(5000)
    for quality in (0.1, 0.9):
        asked = torch.full((6,), quality)
        assert network(latent, asked).bits.mean() < 0.97 * before(latent, asked).bits.mean()


def test_every_parameter_learns(network):
    network = copy.deepcopy(network)
    network.down.weight *= 50  # so that Z is not zero everywhere
    network.requires_grad_(True)
    coded = network(latents(1), torch.rand(6), torch.Generator().manual_seed(0))
    (coded.bits.sum() + coded.latent.sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_what_is_coded_later_never_changes_what_came_before(network):
    latent, asked = latents(3000, 1), torch.full((1,), 0.7)
    board = checkerboard(latent)
    seen = network(latent, asked).latent
    for place, (first, last, parity) in enumerate(STEPS):
        changed = latent.clone()
        mask = torch.ones_like(board, dtype=torch.bool) if parity == 2 else board == parity
        changed[:, first:last, mask] += 0.001  # too little for Z, which sees all of Y
        again = network(changed, asked).latent
        for one, two, earlier in STEPS[:place]:
            here = torch.ones_like(mask) if earlier == 2 else board == earlier
            assert torch.equal(again[:, one:two, here], seen[:, one:two, here])


def test_bits_are_those_of_the_tables():
    for index in range(0, SCALES, 7):
        table = gaussian_tables()[index]
        values = np.arange(-table.first + 1)
        bits = 24 - np.log2(table.counts[values - table.first])
        scale = torch.full((len(values),), scale_of(index))
        found = table_bits(torch.from_numpy(values).float(), scale).numpy()
        assert np.abs(found - bits).max() < 1.01  # where counts are 1 or 2


def test_both_quantisers_are_the_same():
    for index in range(SCALES):
        values = torch.linspace(-4, 4, 4001) + 1e-4
        scale = torch.full_like(values, scale_of(index))
        found = rounded(values.numpy(), dead_zones()[index])
        differ = quantised(values, scale).numpy() != found
        assert differ.mean() < 0.001
