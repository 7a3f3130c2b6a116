"""`focalloop map suggest` as a user runs it."""

import json

import cv2
import numpy as np
import pytest

from tests.support.command_line import complaint, run

ONE_READ = "0.0625"


def scenes(speed, windows=4, side=40):
    """Windows of a texture that moves `speed` pixels per frame."""
    found = []
    for seed in range(windows):
        noise = np.random.default_rng(seed).random((side, side + 16 * speed)).astype(np.float32)
        texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.0), None, 20, 235, 32)
        found.append([texture[:, speed * slot :][:, :side] for slot in range(16)])
    return np.array(found).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("scenes")
    np.savez(place / "still.npz", clips=scenes(0))
    np.savez(place / "fast.npz", clips=scenes(4))
    np.savez(place / "mixed.npz", clips=np.concatenate([scenes(0, 2), scenes(4, 2)]))
    np.savez(place / "single.npz", clips=scenes(0, 1))
    np.savez(place / "short.npz", sequences=scenes(0)[:, :9])
    np.savez(place / "flat.npz", clips=np.zeros((16, 8, 8), np.uint8))
    return place


def suggested(*words):
    result = run("map", "suggest", *words, "--threads", "1", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_another_map_suits_still_scenes_than_fast_ones(folder):
    still = suggested(folder / "still.npz", "--budget", ONE_READ)
    fast = suggested(folder / "fast.npz", "--budget", ONE_READ)
    assert still["best"] not in (fast["best"], *fast["equal"])
    for found in (still, fast):
        assert len(found["windows"]) == 4
        qualities = [each["psnr"] for each in found["candidates"]]
        assert qualities == sorted(qualities, reverse=True)
        assert found["candidates"][0]["name"] == found["best"]
        for each in found["candidates"]:
            margin = each["below_best"]
            assert margin["mean"] == pytest.approx(qualities[0] - each["psnr"])
            assert margin["low"] <= margin["mean"] <= margin["high"]
            assert each["r_avg"] <= float(ONE_READ)
        told_apart = [e["name"] for e in found["candidates"] if e["below_best"]["low"] > 0]
        names = [each["name"] for each in found["candidates"]]
        assert sorted([found["best"], *found["equal"], *told_apart]) == sorted(names)


def test_maps_that_the_windows_do_not_tell_apart_are_said_to_be_equal(folder):
    words = ("map", "suggest", folder / "mixed.npz", "--budget", ONE_READ, "--threads", "1")
    found = suggested(*words[2:5])
    assert found["equal"]
    text = " ".join(run(*words).stdout.split())
    assert f"best: {found['best']} (focalloop live --" in text
    assert f"not told apart from it by these windows: {', '.join(found['equal'])}" in text


def test_no_more_windows_are_tried_than_asked_for(folder):
    found = suggested(folder / "mixed.npz", "--budget", ONE_READ, "--windows", "2")
    assert found["windows"] == ["mixed[0]", "mixed[3]"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["absent.npz"], 2, "absent.npz"),
        (["still.npz", "--budget", "0.01"], 2, "no shipped map reads so little"),
        (["still.npz", "--budget", "1.5"], 2, "--budget"),
        (["still.npz", "--windows", "1"], 2, "--windows"),
        (["single.npz"], 1, "holds one window of 16 frames: give at least 2"),
        (["short.npz"], 1, "9 frames"),
        (["flat.npz"], 1, "(16, 8, 8)"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(folder, words, code, told):
    result = run("map", "suggest", folder / words[0], *words[1:])
    assert result.exit_code == code
    assert told in complaint(result)
