"""Rate allocation as a policy for ends that stay as they are."""

import pytest
import torch

from focalloop.models.errors import TrainError
from focalloop.models.radio.pipeline import starting_weights
from focalloop.models.radio.policy_run import MAX_MU, MIN_MU, PolicyRun, mu_at, policy_rates
from focalloop.models.radio.semcom import SemComSettings
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training.run import RunSettings

SMALL = SemComSettings((8, 24, 72, 104), TransformSettings(104, (8, 12, 16), (1, 1, 1)))


def a_run(reward, data, sensing, transform, *, expected=False, **settings):
    settings = {"steps": 3, "batch": 2, "crop": 32, "warm_up_steps": 1} | settings
    settings = RunSettings(**settings)
    return PolicyRun(reward, transform, SMALL, sensing, data, settings, expected=expected)


def test_the_policy_learns_and_the_ends_stay(data, sensing, transform, tmp_path):
    run = a_run("psnr", data, sensing, transform)
    before = {name: value.clone() for name, value in run.learner.network.state_dict().items()}
    run.train(tmp_path)
    after = run.learner.network.state_dict()
    changed = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"allocation"}
    with pytest.raises(TrainError, match="another radio"):
        a_run("published", data, sensing, transform).train(tmp_path)
    with pytest.raises(TrainError, match="another radio"):
        a_run("psnr", data, sensing, transform, expected=True).train(tmp_path)


@pytest.mark.parametrize("expected", [False, True])
def test_a_higher_price_sends_less(data, sensing, transform, expected):
    settings = {"steps": 30, "batch": 1 if expected else 4, "crop": 48, "learning_rate": 5e-3}
    run = a_run("psnr", data, sensing, transform, expected=expected, **settings)
    while run.spent < 1:
        run.step()
        run.progress.step += 1
    (_, cells), *_ = run.validation_batches(1)
    network = run.learner.network
    with torch.no_grad():
        x = network.encoder(cells, torch.full((1,), 10.0))
        reals = []
        for place in (0.0, 1.0):
            shares = network.allocation(x, torch.tensor([place])).softmax(1)[0]
            reals.append(float((shares * run.rates[:, None, None]).sum(0).mean()))
    assert reals[0] > reals[1] + 5
    budget = 0.5 * sum(reals) * x[0, 0].numel()
    assert run.rates[policy_rates(network.allocation, x, budget)].sum() <= budget


def test_prices_span_their_range():
    torch.testing.assert_close(mu_at(torch.tensor([0.0, 1.0])), torch.tensor([MIN_MU, MAX_MU]))


def test_a_policy_does_not_pass_for_ends(data, sensing, transform, tmp_path):
    a_run("psnr", data, sensing, transform, steps=1).train(tmp_path)
    with pytest.raises(TrainError, match="a run of a policy"):
        starting_weights(str(tmp_path))
