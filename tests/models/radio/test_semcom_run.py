"""Training of semantic communication: what is learned, what is kept, and what it is worth."""

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.radio.power import clipped
from focalloop.models.errors import TrainError
from focalloop.models.radio.rate_allocation import random_rate_maps
from focalloop.models.radio.run import noisy_windows, squared_errors
from focalloop.models.radio.semcom import SemCom, SemComSettings, over_the_air, sent_reals
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun, encoded, rebuilt
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training.run import RunSettings

SMALL = SemComSettings((8, 24, 72, 104), TransformSettings(104, (8, 12, 16), (1, 1, 1)))


def a_run(data, sensing, transform, link=None, **settings):
    settings = {"steps": 4, "batch": 2, "crop": 32, "warm_up_steps": 1} | settings
    return SemComRun(
        transform, link or LinkTraining(), SMALL, sensing, data, RunSettings(**settings)
    )


def test_noise_on_the_air_is_that_of_the_channel():
    x = torch.randn(2, 8, 64, 64) * torch.tensor([3.0, 0.1]).view(2, 1, 1, 1)
    brighter = x.clone()
    brighter[:, 0] += 50  # a common offset of the first reals is not sent with them
    rate_map = torch.randint(0, 3, (2, 64, 64))
    sent = sent_reals(rate_map, torch.tensor([2, 4, 8]))
    n0 = torch.full((2, 1, 1, 1), 0.1)
    received, variance = over_the_air(x, sent, n0, torch.Generator().manual_seed(0))
    _, again = over_the_air(brighter, sent, n0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, variance, rtol=1e-3, atol=0)
    assert (received[sent == 0] == 0).all()
    for window, noise in zip(range(2), variance[:, 0, 0, 0], strict=True):
        power = x[window][sent[window] > 0].square().mean()
        error = (received - x)[window][sent[window] > 0].square().mean()
        assert float(error / power) == pytest.approx(0.1, rel=0.05)
        assert float(noise / power) == pytest.approx(0.1, rel=1e-3)


def test_clipping_in_training_is_that_of_the_transmitter():
    x = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(0)) * 3
    rate_map = torch.randint(0, 3, (2, 16, 16), generator=torch.Generator().manual_seed(1))
    sent = sent_reals(rate_map, torch.tensor([1, 4, 8]))
    silent = torch.full((2, 1, 1, 1), 1e-12)
    received, _ = over_the_air(x.requires_grad_(), sent, silent, torch.Generator(), 4.0)
    for window in range(2):
        kept, mean = sent[window] > 0, float(x[window, 0].detach().mean())
        pairs = []
        for reals in (x, received):
            values = reals[window].detach().clone()
            values[0] -= mean
            odd = int(kept.sum()) % 2
            pairs.append(np.pad(values[kept].numpy(), (0, odd)).view(np.complex64))
        wanted, gain = clipped(pairs[0], 4.0)
        np.testing.assert_allclose(pairs[1], wanted / gain, atol=1e-4)
    received.square().sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[sent == 0] == 0).all()


def test_half_of_the_random_rate_maps_are_uniform():
    maps = random_rate_maps(np.random.default_rng(0), 400, 6, 5, 8)
    flat = maps.reshape(400, -1)
    assert 0.4 < (flat == flat[:, :1]).all(1).mean() < 0.65
    assert set(np.unique(maps)) == set(range(8))


def test_a_better_channel_and_more_reals_give_a_better_video(data, sensing, transform):
    network = SemCom(transform, SMALL).eval()
    (scene, cells), *_ = noisy_windows(data.validation, sensing, 1)
    x, _ = encoded(network, cells, 10.0)

    def error(rate, snr_db):
        rate_map = np.full(x.shape[-2:], rate)
        generator = torch.Generator().manual_seed(0)
        sent = rebuilt(network, x, rate_map, snr_db, generator)
        return float((sensing.video(sent) - scene).square().mean())

    assert error(3, 20.0) < error(2, 20.0) < error(1, 20.0) < error(0, 20.0)
    assert error(3, 20.0) < error(3, 10.0) < error(3, 0.0)


def test_emphasis_changes_who_gets_the_power_and_nothing_else(data, sensing, transform):
    network = SemCom(transform, SMALL).eval()
    rate_map = torch.arange(4).view(1, 2, 2)
    x = torch.randn(1, 104, 2, 2)
    plain = network.decoder(x, torch.full_like(x, 1e-9), rate_map)
    with torch.no_grad():
        network.decoder.log_emphasis.normal_(std=0.1)
    sent = network.emphasised(x, rate_map)
    assert torch.equal(sent[:, 0], x[:, 0])
    assert not torch.equal(sent[:, 1:], x[:, 1:])
    rebuilt = network.decoder(sent, torch.full_like(x, 1e-9), rate_map)
    torch.testing.assert_close(rebuilt, plain, atol=1e-4, rtol=1e-4)


def test_what_is_not_sent_is_not_seen(data, sensing, transform):
    network = SemCom(transform, SMALL).eval()
    rate_map = torch.zeros(1, 2, 2, dtype=torch.uint8)
    received, noise = torch.randn(1, 104, 2, 2), torch.full((1, 104, 2, 2), 0.1)
    wanted = network.decoder(received, noise, rate_map)
    received[:, 8:], noise[:, 8:] = 7.0, float("nan")
    assert torch.equal(network.decoder(received, noise, rate_map), wanted)


@pytest.mark.parametrize(
    "link", [LinkTraining(), LinkTraining("reads", (10.0, 10.0), rate=1, allocated=0)]
)
def test_a_resumed_run_takes_the_same_steps(data, sensing, transform, tmp_path, link):
    whole = a_run(data, sensing, transform, link)
    whole.train(tmp_path / "whole")
    first = a_run(data, sensing, transform, link)
    first.train(tmp_path / "parts", on_step=lambda run: setattr(run, "stop_wanted", True))
    assert first.progress.step == 1
    second = a_run(data, sensing, transform, link)
    second.train(tmp_path / "parts")
    assert second.progress.step == 4
    for name, value in whole.state().items():
        torch.testing.assert_close(second.state()[name], value, msg=name)


def test_another_link_is_another_run(data, sensing, transform, tmp_path):
    a_run(data, sensing, transform, steps=1).train(tmp_path)
    with pytest.raises(TrainError, match="another radio"):
        a_run(data, sensing, transform, LinkTraining(rate=1), steps=1).train(tmp_path)


def test_training_improves_the_video_and_the_predicted_errors(data, sensing, transform):
    link = LinkTraining(rate=1, snr_db=(10.0, 10.0))
    run = a_run(data, sensing, transform, link, steps=60, learning_rate=1e-3, average_decay=0.8)
    (scene, cells), *_ = noisy_windows(data.validation, sensing, 1)

    def misjudged():
        network = run.averaged()
        x, predicted = encoded(network, cells, 10.0)
        rate_map = np.full(x.shape[-2:], 1)
        video = sensing.video(rebuilt(network, x, rate_map, 10.0, torch.Generator().manual_seed(0)))
        return abs(predicted[1].mean() - float(squared_errors(video, scene).log().mean()))

    before, misjudged_before = run.validate(), misjudged()
    for _ in range(40):
        run.step()
        run.progress.step += 1
    assert run.validate() > before
    assert misjudged() < 0.6 * misjudged_before
    assert set(run.validated) == {"uniform_24_psnr"}


def test_crops_are_whole_blocks(data, sensing, transform):
    with pytest.raises(TrainError, match="multiple of 16"):
        a_run(data, sensing, transform, crop=40)
