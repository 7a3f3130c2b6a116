"""The published schedule: all reals, then sampled ones at a rising price."""

import pytest
import torch

from focalloop.models.radio.paper import PaperSemComSettings
from focalloop.models.radio.paper_run import ALL_REALS, PRICES, PaperSemComRun
from focalloop.models.radio.published_run import LEARNING_RATE
from focalloop.models.training.run import RunSettings


def a_run(data, sensing, **settings):
    settings = {"steps": 4, "batch": 2, "crop": 16, "learning_rate": LEARNING_RATE} | settings
    return PaperSemComRun(PaperSemComSettings(), sensing, data, RunSettings(**settings))


def changed(before, run):
    after = run.learner.network.state_dict()
    return {name.split(".")[0] for name in before if not before[name].equal(after[name])}


def weights(run):
    return {name: value.clone() for name, value in run.learner.network.state_dict().items()}


def test_the_price_rises_and_the_learning_rate_falls(data, sensing):
    run = a_run(data, sensing, steps=100)
    prices, rates = [], []
    for step in range(100):
        run.progress.step = step
        prices.append(run.mu)
        rates.append(run.learning_rate)
    assert prices.index(1e-3) == 100 * ALL_REALS
    assert [mu for mu in dict.fromkeys(prices) if mu is not None] == list(PRICES)
    assert rates[79] == pytest.approx(5e-5)
    assert rates[80] == pytest.approx(5e-6)


def test_the_policy_learns_once_it_samples(data, sensing):
    run = a_run(data, sensing)
    before = weights(run)
    run.step()
    assert changed(before, run) == {"encoder", "decoder"}
    run.progress.step = 3
    run.step()
    assert changed(before, run) == {"encoder", "decoder", "allocation"}


def test_ends_learn_from_the_video_alone(data, sensing, monkeypatch):
    from focalloop.models.radio import paper_run

    gradients = []
    for scale in (1.0, 1000.0):
        loss = paper_run.policy_loss
        with monkeypatch.context() as patch:
            patch.setattr(paper_run, "policy_loss", lambda *a, s=scale, f=loss: s * f(*a))
            run = a_run(data, sensing)
            run.progress.step = 3
            rng, generator = run.random()
            scene = run.data.crops(rng, 2, 16)
            cells = sensing.reads.measure(scene, generator)
            run.loss(scene, cells, rng, generator)[0].backward()
        network = run.learner.network
        gradients.append(
            [p.grad for end in (network.encoder, network.decoder) for p in end.parameters()]
        )
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_a_resumed_run_takes_the_same_steps(data, sensing, tmp_path):
    whole, resumed = a_run(data, sensing), a_run(data, sensing)
    for step in range(4):
        if step == 3:  # the policy learns since the last step
            whole.save(tmp_path / "checkpoint")
            resumed.resume(tmp_path / "checkpoint")
            resumed.step()
        whole.step()
        whole.progress.step += 1
    for name, value in whole.state().items():
        torch.testing.assert_close(resumed.state()[name], value, msg=name)
