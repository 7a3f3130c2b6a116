import numpy as np
import pytest
import torch

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.codec import Codec
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.models.errors import TrainError
from focalloop.models.radio.codec import QUALITIES, CodecSettings
from focalloop.models.radio.codec_export import export_codec
from focalloop.models.radio.codec_run import CodecRun
from focalloop.models.radio.latent_network import LatentSettings
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training.run import RunSettings

SMALL = CodecSettings(
    TransformSettings(24, (8, 12, 16), (1, 1, 1)),
    LatentSettings(side=4, features=8, width=16, steps=((0, 4, 0), (0, 4, 1), (4, 24, 2))),
)


def a_run(data, sensing, transform, network=SMALL, **settings):
    chosen = {"steps": 20, "batch": 4, "crop": 32, "warm_up_steps": 1, "average_decay": 0.8}
    return CodecRun(transform, network, sensing, data, RunSettings(**{**chosen, **settings}))


def took(run, steps):
    for _ in range(steps):
        run.step()
        run.progress.step += 1
    return run


@pytest.fixture(scope="module")
def run(data, sensing, transform):
    return took(a_run(data, sensing, transform), 12)


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "radio-small"
    export_codec(run.averaged(), run.sensing, run.metadata(), folder)
    return RadioBundle.load(folder)


def test_a_run_is_resumed_where_it_stopped(data, sensing, transform, tmp_path):
    through = a_run(data, sensing, transform, steps=2)
    through.train(tmp_path / "through")
    first = a_run(data, sensing, transform, steps=2)
    first.train(tmp_path / "parts", on_step=lambda run: setattr(run, "stop_wanted", True))
    second = a_run(data, sensing, transform, steps=2)
    second.train(tmp_path / "parts")
    assert second.progress.step == 2
    for name, value in through.state().items():
        assert torch.equal(value, second.state()[name]), name


def test_other_prices_are_another_run(data, sensing, transform, tmp_path):
    a_run(data, sensing, transform, steps=1).train(tmp_path)
    dearer = CodecSettings(SMALL.transform, SMALL.latent, dear=0.1)
    with pytest.raises(TrainError, match="another radio"):
        a_run(data, sensing, transform, dearer, steps=1).train(tmp_path)


def test_training_lowers_error_plus_priced_bits(data, sensing, transform, run):
    before = a_run(data, sensing, transform)

    def cost(run):
        run.validate()
        found = 0.0
        for quality in (0.25, 0.5, 0.75):
            error = 10 ** (-run.validated[f"quality_{quality:g}_psnr"] / 10)
            price = float(run.learner.network.price(torch.tensor(quality)))
            found += np.log(error + price * run.validated[f"quality_{quality:g}_bits_per_pixel"])
        return found

    assert cost(run) < cost(before)


def test_higher_qualities_take_more_bits_for_less_error(bundle, sensing, data):
    codec = Codec(bundle)
    scene = torch.from_numpy(data.validation[:1]).float() / 255
    cells = sensing.reads.measure(scene, torch.Generator().manual_seed(0))
    reads = sensing.reads.planes(cells)[0].numpy()
    windows = [codec.encode(reads, quality) for quality in (0, 60, 127)]
    bits = [window.bits for window in windows]
    errors = [np.square(codec.decode(window) - reads).mean() for window in windows]
    assert bits == sorted(bits)
    assert errors == sorted(errors, reverse=True)


def test_the_host_restores_what_was_trained(run, bundle, sensing, data):
    codec, network = Codec(bundle), run.averaged()
    scene = torch.from_numpy(data.validation[1:2, :, :48, :64].copy()).float() / 255
    cells = sensing.reads.measure(scene, torch.Generator().manual_seed(0))
    window = codec.encode(sensing.reads.planes(cells)[0].numpy(), 80)
    wanted, coded = network(cells, torch.tensor([80 / (QUALITIES - 1)]))
    found = sensing.reads.gathered(torch.from_numpy(codec.decode(window))[None])
    # Weights are stored in half precision, so now and then a value is rounded the other way.
    assert (found - wanted).abs().mean() < 0.003
    assert window.bits == pytest.approx(float(coded.bits), rel=0.02, abs=64)


def test_coded_bits_are_those_that_training_counts(run, bundle):
    codec, network = Codec(bundle), run.averaged()
    counted = coded = 0.0
    for _, cells in run.validation_batches(4):
        for quality in (5, 64, 120):
            counted += float(network(cells, torch.tensor([quality / (QUALITIES - 1)]))[1].bits)
            coded += codec.encode(run.sensing.reads.planes(cells)[0].numpy(), quality).bits
            coded -= 16  # the end of a window takes half a word on average
    assert coded == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize("size", [(4, 4), (5, 23), (33, 16), (47, 50)])
def test_any_size_is_coded(bundle, size):
    codec = Codec(bundle)
    rng = np.random.default_rng(0)
    levels = np.tile(bundle.tile, (13, 13))[: size[0], : size[1]]
    reads = np.where(np.arange(8)[:, None, None] < levels, 0.5 / np.maximum(levels, 1), 0).astype(
        np.float32
    )
    reads += (reads > 0) * rng.normal(scale=0.01, size=reads.shape).astype(np.float32)
    restored = codec.decode(codec.encode(reads, 127))
    assert restored.shape == reads.shape
    assert np.array_equal(restored != 0, reads != 0)
    assert np.abs(restored - reads).max() < 0.1


def test_windows_that_cannot_be_coded_are_refused(bundle):
    codec = Codec(bundle)
    reads = np.zeros((8, 16, 16), np.float32)
    with pytest.raises(RadioError, match="from 0 to 127"):
        codec.encode(reads, 128)
    with pytest.raises(RadioError, match="16x3 pixels cannot be compressed: the least is a cell"):
        codec.encode(reads[:, :3], 5)
    reads[2, 3, 4] = np.nan
    with pytest.raises(RadioError, match="not numbers"):
        codec.encode(reads, 5)


def test_a_budget_is_met_by_the_best_quality(bundle):
    codec = Codec(bundle)
    reads = np.random.default_rng(0).random((8, 48, 48), np.float32) / 8
    best = codec.encode_within(reads, 6000)
    assert best.bits <= 6000
    assert best.quality == 127 or codec.encode(reads, best.quality + 1).bits > 6000
    with pytest.raises(RadioError, match="a window takes at least"):
        codec.encode_within(reads, 10)
