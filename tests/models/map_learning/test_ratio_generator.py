"""The paper's ratio generator: what it gives, and when it repeats."""

from __future__ import annotations

import pytest
import torch

from focalloop.models.map_learning.ratio_generator import CELL, MARGIN, RatioGenerator


@pytest.fixture
def generator() -> RatioGenerator:
    torch.manual_seed(0)
    return RatioGenerator(80, 88)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (30, 17), (1, 1)])
def test_it_gives_a_logit_for_every_level_of_every_pixel(height: int, width: int) -> None:
    assert RatioGenerator(height, width, levels=4).forward().shape == (4, height, width)


def test_a_constant_matrix_gives_a_policy_that_repeats_exactly(generator: RatioGenerator) -> None:
    interior = generator()[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert torch.equal(interior[:, CELL:], interior[:, :-CELL])
    assert torch.equal(interior[:, :, CELL:], interior[:, :, :-CELL])
    assert not torch.equal(interior[:, 1:], interior[:, :-1])


def test_the_border_reaches_no_further_than_its_margin(generator: RatioGenerator) -> None:
    logits = generator()
    cell = logits[:, MARGIN : MARGIN + CELL, MARGIN : MARGIN + CELL]
    outside = logits[:, MARGIN - CELL : MARGIN, MARGIN : MARGIN + CELL]
    assert not torch.equal(cell, outside)


def test_every_parameter_learns_and_then_the_policy_need_not_repeat(
    generator: RatioGenerator,
) -> None:
    wanted = torch.zeros(80, 88)
    wanted[40:, :] = 1
    optimizer = torch.optim.SGD(generator.parameters(), lr=5e-3, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        probability = generator().softmax(0)[0]
        (probability - wanted).square().mean().backward()
        assert all(p.grad is not None and p.grad.any() for p in generator.parameters())
        optimizer.step()
    interior = generator()[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert not torch.equal(interior[:, CELL:], interior[:, :-CELL])
