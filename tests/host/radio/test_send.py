"""Windows sent one after the other, scored and reported."""

from __future__ import annotations

import json

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.radio.methods import Delivery, Sensing
from focalloop.host.radio.send import Outgoing, Report, sent
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.reconstruction.reconstruct import NetworkFree

MAP = RatioMap.load("tile-2of16", shape=(24, 32))
SENSING = Sensing(MAP, NetworkFree())


class Repeater:
    """Sends every measurement as it is, two to a symbol; loses windows below 0 dB."""

    name = "repeater"

    def send(self, reads, channel, rng, symbols=None):
        values = reads.astype(np.float32).reshape(-1, 2)
        power = np.sqrt(np.mean(np.square(values)) * 2)
        received = channel.send((values / power).view(np.complex64)[:, 0], rng)
        back = received.equalised()[0].view(np.float32).reshape(reads.shape) * power
        lost = channel.snr_db < 0
        return Delivery(
            None if lost else back, None, SymbolCount(len(values), 0, 3), None, int(lost)
        )


@pytest.fixture(scope="module")
def clips():
    scene = SyntheticScene(24, 32, seed=1)
    return np.stack([scene.window(k) for k in range(3)])


def windows(clips):
    reads = capture_clips(clips, MAP, preset("paper"), seed=4)
    return [Outgoing(f"clip {k}", *pair) for k, pair in enumerate(zip(reads, clips, strict=True))]


def report(clips, snr, seed=0, kind="awgn"):
    channel = Channel(kind, snr)
    return Report(
        "repeater", channel, tuple(sent(windows(clips), Repeater(), SENSING, channel, seed=seed))
    )


def test_scores_fall_with_the_snr_and_a_lost_window_is_grey_and_scored(clips):
    at = {snr: report(clips, snr) for snr in (30, 10, -5)}
    assert at[30].psnr > at[10].psnr + 3
    assert (at[30].lost, at[-5].lost) == (0, 3)
    assert all((each.video == 0.5).all() for each in at[-5].windows)
    grey = -10 * np.log10(np.mean((clips / 255 - 0.5) ** 2, axis=(1, 2, 3)))
    assert [each.psnr for each in at[-5].windows] == pytest.approx(list(grey), abs=1e-4)
    assert at[-5].block_errors == 1


def test_the_same_seed_gives_the_same_numbers_whatever_else_is_sent(clips):
    first = report(clips, 10, seed=7)
    assert report(clips, 10, seed=7).as_dict() == first.as_dict()
    assert report(clips, 10, seed=8).psnr != first.psnr
    assert report(clips[:2], 10, seed=7).windows[1].psnr == first.windows[1].psnr


def test_the_document_has_means_and_every_clip(clips):
    document = json.loads(json.dumps(report(clips, 10, kind="rayleigh").as_dict(), allow_nan=False))
    symbols = 8 * 24 * 32 // 2
    assert list(document) == [
        "method", "channel", "snr", "psnr", "ssim", "symbols", "bits", "block_errors", "clips"
    ]  # fmt: skip
    assert (document["method"], document["channel"], document["snr"]) == (
        "repeater",
        "rayleigh",
        10,
    )
    assert document["symbols"] == symbols + 3
    assert document["bits"] is None
    clip = document["clips"][1]
    assert list(clip) == ["name", "psnr", "ssim", "symbols", "parts", "bits", "block_errors"]
    assert clip["name"] == "clip 1"
    assert clip["parts"] == {"payload": symbols, "rate_map": 0, "header": 3}
    for key in ("psnr", "ssim"):
        assert document[key] == pytest.approx(np.mean([one[key] for one in document["clips"]]))


def test_without_a_scene_nothing_is_scored(clips):
    channel = Channel("awgn", 10)
    unknown = [Outgoing(each.name, each.reads) for each in windows(clips)]
    result = Report("repeater", channel, tuple(sent(unknown, Repeater(), SENSING, channel)))
    assert (result.psnr, result.ssim) == (None, None)
    assert result.as_dict()["clips"][0]["psnr"] is None
