"""The published compression: sizes, bits, gradients, any height and width, its schedule."""

import pytest
import torch

from focalloop.models.radio.paper_codec import PaperCodec
from focalloop.models.radio.paper_codec_run import BETAS, PaperCodecRun
from focalloop.models.training.run import RunSettings


@pytest.fixture(scope="module")
def codec(sensing):
    torch.manual_seed(0)
    return PaperCodec(sensing.reads)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_those_of_the_paper(codec):
    assert parameters(codec.g_a) == 1_336_329
    assert parameters(codec.g_s) == 1_041_891
    assert parameters(codec.h_a) == 2_749_888
    assert parameters(codec.h_s) == 2_197_312


@pytest.mark.parametrize(("height", "width"), [(32, 64), (128, 32), (20, 36), (4, 4)])
def test_any_height_and_width(codec, height, width):
    cells = torch.rand(2, 40, height // 4, width // 4)
    with torch.no_grad():
        rebuilt, coded = codec(cells)
        again, _ = codec(cells)
    assert rebuilt.shape == cells.shape
    assert coded.latent.shape == (2, 192, -(-height // 32), -(-width // 32))
    assert (coded.bits > 0).all()
    assert torch.equal(rebuilt, again)


def test_gradients_reach_every_parameter(codec):
    rebuilt, coded = codec(torch.rand(1, 40, 16, 16), torch.Generator().manual_seed(0))
    (rebuilt.square().mean() + 1e-4 * coded.bits.mean()).backward()
    for name, parameter in codec.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    codec.zero_grad()


def test_all_learns_bits_are_told_and_their_price_falls(data, sensing):
    run = PaperCodecRun(sensing, data, RunSettings(steps=40, batch=1, crop=32, learning_rate=1e-3))
    before = {name: value.clone() for name, value in run.learner.network.named_parameters()}
    run.step()
    for name, value in run.learner.network.named_parameters():
        assert not value.equal(before[name]), name
    run.validate()
    assert run.log_entry()["bits"] > 0
    betas = []
    for step in range(40):
        run.progress.step = step
        betas.append(run.beta)
    assert betas == sorted(betas, reverse=True)
    assert list(dict.fromkeys(betas)) == list(BETAS)
