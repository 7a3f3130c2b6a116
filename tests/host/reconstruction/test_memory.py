"""Networks with memory: what they are told of the window before, and when of none."""

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips, load_clips
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import evaluate
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.onnx_network import NOTHING, OnnxReconstructor
from tests.support.made_windows import make_window
from tests.support.served import SHAPE as WINDOW_SHAPE
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle

SHAPE = (16, 16)
MAP = RatioMap.uniform(1, SHAPE)
WINDOW_MAP = RatioMap.uniform(1, WINDOW_SHAPE)
READS = np.zeros((8, *SHAPE), np.float32)
ALONE = 1 + NOTHING / 4
"""What the tiny network gives of no light and level 1 if it remembers nothing, in every slot."""


@pytest.fixture(scope="module")
def network():
    return OnnxReconstructor(tiny_network(memory=True))


def rebuilt(last, network, *place, ratio_map=MAP):
    """Rebuild a dark window; return the one value of its video."""
    video = last.rebuild(
        network, np.zeros((8, *ratio_map.shape), np.float32), ratio_map, Place(*place)
    )
    assert len(np.unique(video)) == 1
    return float(video[0, 0, 0])


def test_each_window_is_told_the_last_frame_of_the_one_before(network):
    last, expected = LastFrame(), ALONE
    for number in range(5, 9):
        assert rebuilt(last, network, "stream", number) == pytest.approx(expected)
        expected = 1 + min(expected, 1) / 4  # frames are clipped to white


@pytest.mark.parametrize(
    "place", [("stream", 7), ("stream", 5), ("stream", 4), ("other", 6)], ids=str
)
def test_after_a_gap_or_a_restart_nothing_is_remembered(network, place):
    last = LastFrame()
    rebuilt(last, network, "stream", 5)
    assert rebuilt(last, network, *place) == ALONE
    stream, number = place
    assert rebuilt(last, network, stream, number + 1) > ALONE  # and from then on, that


def test_on_an_array_of_another_size_nothing_is_remembered(network):
    last = LastFrame()
    rebuilt(last, network, "stream", 5)
    assert rebuilt(last, network, "stream", 6, ratio_map=RatioMap.uniform(1, (8, 24))) == ALONE


def test_after_a_cut_nothing_is_remembered(network):
    rng = np.random.default_rng(0)
    one, other = (rng.random(SHAPE, np.float32) for _ in range(2))
    noisy = one + 0.2 * rng.standard_normal(SHAPE, np.float32)
    for light, remembered in ((noisy, True), (other, False)):
        last, reads = LastFrame(), READS.copy()
        last.keep(one[None], Place("stream", 5))
        reads[0] = light
        video = last.rebuild(network, reads, MAP, Place("stream", 6))
        np.testing.assert_array_equal(video, network(reads, MAP, one if remembered else None))


def test_other_networks_get_the_same_and_leave_no_frame(network):
    other, last = OnnxReconstructor(tiny_network()), LastFrame()
    rebuilt(last, network, "stream", 5)
    assert rebuilt(last, other, "stream", 6) == 1
    assert rebuilt(last, network, "stream", 7) == ALONE
    reads = np.random.default_rng(0).random((8, *SHAPE), np.float32)
    np.testing.assert_array_equal(
        last.rebuild(other, reads, MAP, Place("stream", 8)), other(reads, MAP)
    )


def test_windows_are_told_apart_by_board_start_and_exposure():
    window = make_window(5, WINDOW_MAP)
    assert Place.of(make_window(6, WINDOW_MAP)) == Place.of(window).following
    assert Place.of(make_window(6, WINDOW_MAP, skipped=1)) != Place.of(window).following
    dark = make_window(6, WINDOW_MAP, kind=WindowKind.DARK)
    assert Place.of(dark) != Place.of(window).following


def test_a_bundle_remembers_what_it_is_given(tmp_path, network, monkeypatch):
    monkeypatch.setattr("focalloop.host.reconstruction.memory.SAME_SCENE", -1)  # random light
    folder = write_tiny_bundle(tmp_path / "tiny", WINDOW_MAP, network=tiny_network(memory=True))
    bundle = Bundle.load(folder)
    first, second, late = (make_window(number, WINDOW_MAP) for number in (3, 4, 6))
    before = bundle.reconstruct(first)
    told = np.clip(np.asarray(before)[-1], 0, 1)
    np.testing.assert_array_equal(
        bundle.reconstruct(second, after=before), network(second.reads, WINDOW_MAP, told)
    )
    alone = bundle.reconstruct(late)
    np.testing.assert_array_equal(bundle.reconstruct(late, after=before), alone)
    assert not np.array_equal(bundle.reconstruct(second), bundle.reconstruct(second, after=before))


def test_windows_of_one_video_are_evaluated_in_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr("focalloop.host.reconstruction.memory.SAME_SCENE", -1)  # an even scene
    network = OnnxReconstructor(tiny_network(memory=True, factor=0.25))
    frames = np.full((2, 48, *SHAPE), 128, np.uint8)
    np.savez(tmp_path / "clips.npz", sequences=frames, names=["a", "b"])
    clips = load_clips(tmp_path / "clips.npz")
    assert clips.follows == (False, True, True) * 2
    in_a_row = evaluate(clips, MAP, network, preset("paper"), name="x").clips
    alone = Clips(clips.clips, clips.names)
    each = evaluate(alone, MAP, network, preset("paper"), name="x").clips
    assert [one.mse == other.mse for one, other in zip(in_a_row, each, strict=True)] == [
        not follows for follows in clips.follows
    ]


def test_a_last_frame_of_another_size_is_an_error_for_people(network):
    with pytest.raises(ValueError, match="shape"):
        network(READS, MAP, np.zeros((4, 4), np.float32))
