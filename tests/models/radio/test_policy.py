"""Sampled policy gradient: what is sampled, what is rewarded, what is learned."""

import pytest
import torch

from focalloop.models.radio.policy import (
    expected_loss,
    f_values,
    policy_loss,
    rewards,
    sampled,
)


def test_four_in_ten_choices_are_uniform():
    logits = torch.tensor([0.0, 0.0, 30.0, 0.0]).view(1, 4, 1, 1).expand(2, 4, 100, 100)
    chosen = sampled(logits, torch.Generator().manual_seed(0))
    shares = torch.bincount(chosen.flatten(), minlength=4) / chosen.numel()
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.7, 0.1]), atol=0.01, rtol=0)


def test_the_gradient_is_that_of_the_log_probability_times_the_reward():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    chosen, reward = torch.randint(0, 3, (2, 4, 5)), torch.randn(2, 4, 5)
    policy_loss(logits, chosen, reward).backward()
    one_hot = torch.nn.functional.one_hot(chosen, 3).permute(0, 3, 1, 2)
    wanted = (logits.softmax(1) - one_hot) * reward[:, None] / reward.numel()
    torch.testing.assert_close(logits.grad, wanted)


def test_the_expected_gradient_is_the_mean_of_sampled_ones():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    values = torch.randn(2, 3, 4, 5)
    expected_loss(logits, values).backward()
    expected, logits.grad = logits.grad, None
    for rate, share in enumerate(logits.detach().softmax(1).unbind(1)):
        everywhere = torch.full((2, 4, 5), rate)
        policy_loss(logits, everywhere, share * values[:, rate]).backward()
    torch.testing.assert_close(expected, logits.grad)


def test_the_published_reward_is_for_ratios_and_that_of_psnr_for_shares():
    errors = torch.tensor([[0.001, 0.1]])
    halved = torch.tensor([[0.0005, 0.1]]), torch.tensor([[0.001, 0.05]])
    f = torch.zeros(1, 2)
    small, large = (
        rewards("published", h, f, 0) - rewards("published", errors, f, 0) for h in halved
    )
    assert float(small[0, 0]) == pytest.approx(float(large[0, 1]), rel=1e-2)
    for kind in ("published", "psnr"):
        price = rewards(kind, errors, f, 0.5) - rewards(kind, errors, f + 2, 0.5)
        torch.testing.assert_close(price, torch.ones(1, 2))
    shares = rewards("psnr", errors, f, 0, mean=errors.mean())
    assert float(shares.mean()) == pytest.approx(-1)


@pytest.mark.parametrize(("kind", "wanted"), [("published", [2, 2]), ("psnr", [0, 3])])
def test_what_a_reward_leads_to(kind, wanted):
    """Two locations, one with a hundredth of the other's error, the same shares of it saved."""
    rates = (12, 24, 36, 48)
    f, worst = f_values(rates), torch.tensor([0.002, 0.2])
    table = worst[:, None] * torch.tensor([1.0, 0.4, 0.2, 0.15])
    logits = torch.zeros(1, 4, 1, 2, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=0.5)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        batch = logits.expand(32, -1, -1, -1)
        chosen = sampled(batch, generator)
        errors = table[torch.arange(2), chosen]
        mu = 0.5 if kind == "published" else 0.1
        reward = rewards(kind, errors, f[chosen], mu, errors.mean())
        optimizer.zero_grad()
        policy_loss(batch, chosen, reward - reward.mean(0)).backward()
        optimizer.step()
    assert logits[0, :, 0].argmax(0).tolist() == wanted
