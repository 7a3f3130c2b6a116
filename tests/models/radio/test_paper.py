"""The published networks of semantic communication: sizes, gradients, any height and width."""

import numpy as np
import pytest
import torch

from focalloop.models.radio.paper import (
    LOW_COST_RATES,
    RATES,
    PaperDecoder,
    PaperEncoder,
    PaperSemCom,
    PaperSemComSettings,
)
from focalloop.models.radio.semcom import over_the_air, sent_reals


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def sent(network, cells, rate_map, size=None):
    x = network.encoder(cells)
    mask = sent_reals(rate_map, network.decoder.table)
    noise = torch.full((len(cells), 1, 1, 1), 0.1)
    received, variance = over_the_air(x, mask, noise, torch.Generator().manual_seed(0))
    return network.decoder(received, variance, rate_map, size)


def test_parameters_are_those_of_the_paper(sensing):
    network = PaperSemCom(sensing.reads)
    assert parameters(network.encoder) == 189_481
    assert parameters(network.decoder) == 171_811
    assert parameters(network.allocation) == 103_984
    assert parameters(PaperEncoder(5, 0, 192)) == 1_336_329
    assert parameters(PaperDecoder(5, 0, 192)) == 1_041_891


@pytest.mark.parametrize(("height", "width"), [(16, 24), (32, 16), (12, 20), (4, 4)])
@pytest.mark.parametrize("rates", [RATES, LOW_COST_RATES])
def test_any_height_and_width(sensing, rates, height, width):
    network = PaperSemCom(sensing.reads, PaperSemComSettings(rates)).eval()
    cells = torch.rand(2, 40, height // 4, width // 4)
    locations = (-(-height // 8), -(-width // 8))
    with torch.no_grad():
        x = network.encoder(cells)
        logits = network.allocation(x, torch.zeros(2))
        rate_map = logits.argmax(1)
        rebuilt = sent(network, cells, rate_map, (height, width))
    assert x.shape == (2, rates[-1], *locations)
    assert logits.shape == (2, 4, *locations)
    assert rebuilt.shape == cells.shape


def test_gradients_reach_every_parameter(sensing):
    torch.manual_seed(0)
    network = PaperSemCom(sensing.reads)
    cells = torch.rand(1, 40, 8, 8)
    rate_map = torch.from_numpy(np.arange(16).reshape(1, 4, 4) % 4)
    rebuilt = sent(network, cells, rate_map)
    logits = network.allocation(network.encoder(cells), torch.zeros(1))
    (rebuilt.square().mean() + logits.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_decoder_knows_how_many_reals_were_sent(sensing):
    network = PaperSemCom(sensing.reads).eval()
    received = torch.zeros(1, 48, 2, 2)
    few, many = (torch.full((1, 2, 2), f) for f in (0, 3))
    with torch.no_grad():
        assert not torch.allclose(
            network.decoder(received, received, few), network.decoder(received, received, many)
        )
