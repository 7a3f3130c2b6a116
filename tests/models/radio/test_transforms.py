"""The block transform, and the networks that begin as it."""

import pytest
import torch
from torch.nn import functional

from focalloop.models.radio.klt import block_transform
from focalloop.models.radio.transforms import Analysis, Synthesis, TransformSettings

SMALL = TransformSettings(24, (8, 12, 16), (1, 1, 1))


def coefficients(transform, cells):
    return functional.conv2d(cells - transform.mean[:, None, None], transform.analysis, stride=4)


def blocks(transform, latent):
    return (
        functional.conv_transpose2d(latent, transform.synthesis, stride=4)
        + (transform.mean[:, None, None])
    )


def some_cells(data, sensing, seed=3):
    scene = torch.from_numpy(data.validation[:2]).float() / 255
    return sensing.reads.measure(scene, torch.Generator().manual_seed(seed))


def test_synthesis_inverts_analysis(data, sensing, transform):
    cells = some_cells(data, sensing)
    again = blocks(transform, coefficients(transform, cells))
    torch.testing.assert_close(again, cells, atol=1e-4, rtol=0)


def test_the_weighted_basis_is_orthonormal(transform, sensing):
    weight = sensing.reads.gain.sqrt()
    basis = (transform.analysis * weight).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)), atol=1e-5, rtol=0)


def test_coefficients_are_uncorrelated_and_sorted(data, sensing, transform):
    assert (transform.variance.diff() <= 0).all()
    # On the windows that the transform was made from, so exactly but for rounding.
    rows = coefficients(transform, training_cells(data, sensing)).transpose(0, 1).flatten(1)
    found = rows.square().mean(1)
    torch.testing.assert_close(found[:8], transform.variance[:8], rtol=0.2, atol=0)
    correlation = torch.corrcoef(rows[1:8]).fill_diagonal_(0)
    assert correlation.abs().max() < 0.2


def training_cells(data, sensing):
    scene = torch.from_numpy(data.training.copy()).float() / 255
    return sensing.reads.measure(scene, torch.Generator().manual_seed(1))


def test_it_packs_energy_better_than_single_reads(data, sensing, transform):
    share = transform.variance[:64].sum() / transform.variance.sum()
    assert transform.coefficients == 640
    assert share > 0.8


def test_the_same_data_give_the_same_transform(data, sensing):
    first, again = (block_transform(data, sensing.reads, windows=20) for _ in range(2))
    assert torch.equal(first.analysis, again.analysis)


def test_networks_begin_as_the_transform(data, sensing, transform):
    cells = some_cells(data, sensing)
    analysis = Analysis(transform, SMALL, 1)
    synthesis = Synthesis(transform, SMALL, 1, extra=2)
    condition = torch.rand(2, 1)
    latent = analysis(cells, condition)
    kept = transform.first(24)
    wanted = coefficients(kept, cells)
    scale = kept.variance.sqrt()[:, None, None]
    torch.testing.assert_close(latent * scale, wanted, atol=1e-4, rtol=1e-4)
    extra = torch.rand(2, 2, *latent.shape[-2:])
    found = synthesis(latent, condition, extra)
    torch.testing.assert_close(found, blocks(kept, wanted), atol=1e-4, rtol=0)


def test_every_weight_is_used(data, sensing, transform):
    cells = some_cells(data, sensing)[..., :8, :8]
    analysis, synthesis = Analysis(transform, SMALL, 1), Synthesis(transform, SMALL, 1)
    parameters = [*analysis.named_parameters(), *synthesis.named_parameters()]
    with torch.no_grad():  # zeros would hide what precedes them
        for _, value in parameters:
            value += 0.05 * torch.randn_like(value)
    condition = torch.rand(2, 1)
    synthesis(analysis(cells, condition), condition).square().mean().backward()
    assert [name for name, value in parameters if not value.grad.any()] == []


@pytest.mark.parametrize("size", [(4, 4), (8, 12)])
def test_latents_have_a_sixteenth_of_the_pixels(size, transform, sensing):
    cells = torch.rand(1, sensing.reads.count, *size)
    analysis, synthesis = Analysis(transform, SMALL, 2), Synthesis(transform, SMALL, 2)
    latent = analysis(cells, torch.rand(1, 2))
    assert latent.shape == (1, 24, size[0] // 4, size[1] // 4)
    assert synthesis(latent, torch.rand(1, 2)).shape == cells.shape
