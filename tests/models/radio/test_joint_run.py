"""Tile, reconstruction and link that learn together."""

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.host.radio.methods import Sensing as HostSensing, load_method
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models.errors import TrainError
from focalloop.models.radio.any_tile import JointSensing, SpanReads, lifted
from focalloop.models.radio.codec import CodecNetwork, CodecSettings
from focalloop.models.radio.codec_export import LATENTS, integer_latents
from focalloop.models.radio.codec_run import CodecRun
from focalloop.models.radio.codec_weights import codec_starting_weights
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.joint_pipeline import export_joint
from focalloop.models.radio.joint_run import RECONSTRUCTION, JointRun
from focalloop.models.radio.latent_network import LatentSettings
from focalloop.models.radio.pipeline import blank_transform, starting_weights
from focalloop.models.radio.reads import CellReads
from focalloop.models.radio.semcom import SemCom, SemComSettings
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training.run import RunSettings
from focalloop.models.zoo import FOLDER

SMALL = SemComSettings((8, 24, 72, 104), TransformSettings(104, (8, 12, 16), (1, 1, 1)))
STEPS = ((0, 16, 0), (0, 16, 1), (16, 104, 2))
SMALL_CODEC = CodecSettings(SMALL.transform, LatentSettings(4, 8, 8, STEPS))
NOISE = preset("paper")


@pytest.fixture(scope="module")
def old(transform):
    """A link for the reads of the shipped tile, not as it began."""
    return stirred(SemCom(transform, SMALL))


@pytest.fixture(scope="module")
def old_codec(transform):
    return stirred(CodecNetwork(transform, SMALL_CODEC))


@torch.no_grad()
def stirred(link):
    torch.manual_seed(0)
    for parameter in link.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
    return link


def a_run(method, data, old, **settings):
    sensing = JointSensing(FrozenBundle())
    given = {"steps": 4, "batch": 4, "crop": 32, "warm_up_steps": 1} | settings
    parts = sensing, data, RunSettings(**given)
    spans = blank_transform(sensing.reads.count)
    if method == "compr":
        link = CodecRun(spans, SMALL_CODEC, *parts)
    else:
        link = SemComRun(spans, LinkTraining(), SMALL, *parts)
    link.learner.start_from(lifted(old, SpanReads(sensing.bundle.ratio_map.tile, NOISE)))
    return JointRun(method, link, sensing)


@pytest.mark.parametrize("seed", range(4))
def test_spans_hold_every_read_of_any_tile(seed):
    rng = np.random.default_rng(seed)
    tile = rng.choice([0, 1, 2, 4, 8], (4, 4)).astype(np.uint8)
    tile[0, 0] = 4
    spans, reads = SpanReads(tile, NOISE), CellReads(tile, NOISE)
    scene = torch.rand(2, 16, 24, 16, generator=torch.Generator().manual_seed(seed))
    seen, wanted = spans.measure(scene), reads.planes(reads.measure(scene))
    assert seen.shape == (2, 128, 6, 4)
    torch.testing.assert_close(spans.planes(seen), wanted)
    torch.testing.assert_close(spans.gathered(wanted), seen)
    # A span that no pixel of its cell measures alone still has the brightness of a still scene.
    torch.testing.assert_close(spans.measure(torch.full_like(scene, 0.7)).mean(), torch.tensor(0.7))


def test_a_lifted_link_does_the_same_under_its_tile(old, sensing):
    joint = JointSensing(FrozenBundle())
    new = SemCom(blank_transform(128), SMALL)
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(2, 16, 48, 64, generator=generator)
    cells, spans = sensing.reads.measure(scene), joint.reads.measure(scene)
    snr, rates = torch.tensor([3.0, 12.0]), torch.randint(4, (2, 3, 4), generator=generator)
    with torch.no_grad():
        x = old.encoder(cells, snr)
        rebuilt = old.decoder(x, torch.full_like(x, 0.1), rates)
        new.load_state_dict(lifted(old, joint.reads))
        torch.testing.assert_close(new.encoder(spans, snr), x, atol=1e-4, rtol=1e-4)
        again = new.decoder(x, torch.full_like(x, 0.1), rates)
        planes = joint.reads.planes(again)
        torch.testing.assert_close(planes, sensing.reads.planes(rebuilt), atol=1e-5, rtol=1e-4)


def test_the_reconstruction_begins_as_the_shipped_one(sensing):
    joint = JointSensing(FrozenBundle())
    scene = torch.rand(1, 16, 128, 128, generator=torch.Generator().manual_seed(0))
    inside = (..., slice(48, -48), slice(48, -48))  # at borders, the folded one differs
    with torch.no_grad():
        video = joint.video(joint.reads.measure(scene))
        folded = sensing.video(sensing.reads.measure(scene))
    torch.testing.assert_close(video[inside], folded[inside], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", ["semcom", "compr"])
def test_all_three_learn_and_a_resumed_run_takes_the_same_steps(
    method, data, old, old_codec, tmp_path
):
    old = old_codec if method == "compr" else old
    whole = a_run(method, data, old)
    before = {name: value.clone() for name, value in whole.state().items()}
    whole.train(tmp_path / "whole")
    after = whole.state()
    moved = [k for k in before if k.startswith("network.") and not before[k].equal(after[k])]
    assert any(k.startswith(f"network.{RECONSTRUCTION}.") for k in moved)
    assert any("linear.change" in k for k in moved)
    assert not before["policy.module.table"].equal(after["policy.module.table"])
    assert whole.policy.best_tile().sum() == 40
    part = a_run(method, data, old)
    part.train(tmp_path / "part", on_step=lambda run: setattr(run, "stop_wanted", True))
    rest = a_run(method, data, old)
    rest.train(tmp_path / "part")
    assert rest.progress.step == 4
    for name, value in rest.state().items():
        torch.testing.assert_close(value, after[name], atol=1e-5, rtol=1e-4)


def test_a_batch_is_shared_by_the_tiles(data, old):
    with pytest.raises(TrainError, match="multiple of 4"):
        a_run("semcom", data, old, batch=6)


@pytest.mark.timeout(300)  # three graphs are traced
def test_a_joint_run_becomes_two_bundles_that_send(data, old, tmp_path):
    run = a_run("semcom", data, old, steps=1)
    run.train(tmp_path / "run")
    export_joint(tmp_path / "run", tmp_path / "mine")
    bundle = Bundle.load(tmp_path / "mine-sensing")
    assert bundle.ratio_map.tile.tolist() == run.policy.best_tile().tolist()
    ratio_map = bundle.ratio_map.tiled_to(64, 64)
    method = load_method(
        "semcom", HostSensing(ratio_map, bundle.reconstructor()), tmp_path / "mine"
    )
    sensing = run.sensing
    sensing.take(run.policy.best_tile())
    scene = torch.from_numpy(data.validation[:1, :, :64, :64].copy()).float() / 255
    reads = sensing.reads.planes(sensing.reads.measure(scene))[0].numpy()
    delivery = method.send(reads, Channel("awgn", 40), np.random.default_rng(0), 800)
    assert delivery.reads is not None
    assert np.corrcoef(delivery.reads.ravel(), reads.ravel())[0, 1] > 0.9
    with pytest.raises(TrainError, match="a joint run"):
        starting_weights(str(tmp_path / "run"))


def test_the_weights_of_a_bundle_give_its_entropy_model_again():
    settings, weights = codec_starting_weights("radio-codec-edge")
    network = CodecNetwork(blank_transform(40), settings)
    network.load_state_dict(weights)
    model = integer_latents(network.latents).arrays()
    with np.load(FOLDER / "radio-codec-edge" / LATENTS) as shipped:
        for name, value in shipped.items():
            if name.startswith(("hyper", "step")):
                np.testing.assert_allclose(model[name], value, rtol=1e-6, atol=4, err_msg=name)
    with pytest.raises(TrainError, match="no weights of a codec in 'radio-semcom'"):
        codec_starting_weights("radio-semcom")
