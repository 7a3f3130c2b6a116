"""The long clips: sequences cut from videos, as filmed and slowed."""

import hashlib
import json
import os
from fractions import Fraction

import numpy as np
import pytest

from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.models.data import long_clips
from focalloop.models.data.cut import SIDE, Cut
from focalloop.models.data.long_clips import (
    FRAMES,
    LONG_CLIPS,
    SLOWED_BY,
    LongRecipe,
    build_long_clips,
    name_of,
    save_long_clips,
)
from focalloop.models.data.packages import Package, PackagedFile
from focalloop.models.data.slow_motion import slowed
from focalloop.models.data.sources import listed_files
from focalloop.models.data.test_set import EXCLUDED_SOURCE_SHA256
from tests.models.data.test_test_set import focalloop, planes_of_noise, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def recipes(folder):
    """A sequence of 96 frames, and one that is played back, of one video at 60 frames/s."""
    path = write_video(folder / "noise.mp4", planes_of_noise(FRAMES, SIDE, SIDE))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = PackagedFile(Package("npm", "tiny-clips", "1.2.0"), "package/noise.mp4", digest)
    size = (SIDE, SIDE)
    return (
        LongRecipe("whole", file, "CC0-1.0", Cut(0, FRAMES, size, 0, 0), "walking", 60),
        LongRecipe("back", file, "CC0-1.0", Cut(2, 48, size, 0, 0), "handheld", 60),
    )


@pytest.fixture(scope="module")
def filmed(folder, recipes):
    return build_long_clips(folder, slow=False, sources=folder, recipes=recipes)


def test_a_short_shot_is_played_forward_and_backward(filmed):
    assert filmed.shape == (2, FRAMES, SIDE, SIDE)
    np.testing.assert_array_equal(filmed[1, :48], filmed[0, 2:50])
    np.testing.assert_array_equal(filmed[1], filmed[1, ::-1])


def test_slowed_sequences_begin_with_the_same_frames(monkeypatch, folder, recipes, filmed):
    monkeypatch.setattr(long_clips, "FRAMES", 6)
    made = build_long_clips(folder, slow=True, sources=folder, recipes=recipes[1:])
    np.testing.assert_array_equal(made[0, ::4], filmed[1, :2])
    np.testing.assert_array_equal(made[0], slowed(filmed[1, :3], Fraction(4), 6))


@pytest.mark.parametrize("slow", [False, True])
def test_the_file_says_what_it_shows_and_is_read_in_windows(tmp_path, recipes, slow):
    path = tmp_path / "long.npz"
    sequences = np.random.default_rng(0).integers(0, 256, (2, FRAMES, 8, 8), np.uint8)
    save_long_clips(path, sequences, slow=slow, recipes=recipes)
    with np.load(path) as stored:
        assert list(stored["kinds"]) == ["walking", "handheld"]
        assert list(stored["rates"]) == [240 if slow else 60] * 2
        assert list(stored["rates_filmed"]) == [60, 60]
        assert list(stored["slowed_by"]) == [SLOWED_BY if slow else ""] * 2
        assert list(stored["licence"]) == ["CC0-1.0"] * 2
    loaded = load_clips(path)
    assert loaded.names[6 * 1 + 2] == name_of(recipes[1], slow=slow) + "[2]"
    np.testing.assert_array_equal(loaded.clips, sequences.reshape(12, 16, 8, 8))


def test_no_source_is_trained_on():
    trained_on = {listed.file.sha256 for listed in listed_files()}
    assert trained_on
    assert trained_on.isdisjoint(EXCLUDED_SOURCE_SHA256)
    assert {recipe.file.sha256 for recipe in LONG_CLIPS} <= EXCLUDED_SOURCE_SHA256


def test_every_kind_of_motion_is_there():
    assert len(LONG_CLIPS) >= 8
    assert {recipe.kind for recipe in LONG_CLIPS} == {
        "static camera",
        "walking",
        "handheld",
        "moving camera",
        "fast",
    }
    assert len({recipe.name for recipe in LONG_CLIPS}) == len(LONG_CLIPS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--slowed"], "--slowed is for --long"),
        (["--long", "--against", __file__], "leave out --long"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, told):
    done = focalloop("data", "test-set", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split())


@pytest.mark.network
@pytest.mark.skipif(
    os.environ.get("FOCALLOOP_NETWORK") != "1",
    reason="downloads 204 MB: set FOCALLOOP_NETWORK=1",
)
@pytest.mark.timeout(600)
def test_the_sequences_have_the_published_bits(tmp_path):
    done = focalloop("data", "test-set", "--long", "-o", str(tmp_path / "long.npz"), "--json")
    document = json.loads(done.stdout)
    assert document["sha256"] == document["expected_sha256"]
    assert sum(clip["still"] > 0.25 for clip in document["clips"]) >= 3
    assert len(load_clips(tmp_path / "long.npz")) == 6 * len(LONG_CLIPS)
