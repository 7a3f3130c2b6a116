"""What the emulated sensor looks at: files, the synthetic picture and cameras."""

import itertools
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.camera import CameraScene
from focalloop.firmware_sim.scenes.scene import FileScene, open_scene
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene


def test_a_file_scene_repeats(tmp_path):
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 48), np.uint8)
    np.savez(tmp_path / "two.npz", clips=clips)
    scene = open_scene(tmp_path / "two.npz", 32, 48)
    assert isinstance(scene, FileScene)
    assert (scene.shape, scene.slots) == ((32, 48), 16)
    for index in (0, 1, 5, 1000):
        np.testing.assert_array_equal(scene.window(index), clips[index % 2])
    with pytest.raises(ValueError, match="read-only"):
        scene.window(0)[0, 0, 0] = 1
    assert open_scene(tmp_path / "two.npz", 16, 16).window(3).shape == (16, 16, 16)


@pytest.mark.parametrize("shape", [(8, 8), (64, 48), (37, 101)])
def test_the_synthetic_scene_is_a_function_of_seed_and_slot(shape):
    scene = SyntheticScene(*shape, seed=3)
    again = SyntheticScene(*shape, slots=8, seed=3)
    window = scene.window(7)
    assert window.shape == (16, *shape)
    assert window.dtype == np.uint8
    np.testing.assert_array_equal(window[8:], again.window(15))
    assert (window != SyntheticScene(*shape, seed=4).window(7)).any()


def test_the_synthetic_scene_has_contrast_texture_and_smooth_motion():
    scene = SyntheticScene(96, 96, seed=0)
    frames = np.concatenate([scene.window(k) for k in range(4)]).astype(np.float32)
    assert frames.std() > 25
    assert np.abs(np.diff(frames, axis=2)).mean() > 2  # texture
    step = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2))
    assert (step > 0.5).all()  # it moves in every slot
    assert step.max() < 4 * step.min()  # and never jumps


def test_a_missing_camera_is_told_in_one_sentence():
    with pytest.raises(SceneError, match=r"camera 63 cannot be opened: .* scene"):
        open_scene("camera:63", 32, 32)
    with pytest.raises(SceneError, match="camera:0"):
        open_scene("camera:front", 32, 32)


def test_opencv_says_nothing_about_a_missing_camera():
    script = """
from contextlib import suppress
from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.scene import open_scene
with suppress(SceneError):
    open_scene("camera:63", 32, 32)
"""
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


@pytest.fixture
def cameras(monkeypatch):
    """Cameras that stand in for OpenCV's: camera N sends N frames, one every 5 ms, in one colour.

    Frame k is of the blue, green and red (k, 200, 100), k up to 255 and then from 0 again.
    """

    class Camera:
        def __init__(self, number):
            self.frames = iter(range(number))

        def isOpened(self):  # noqa: N802 (OpenCV's name)
            return True

        def read(self):
            time.sleep(0.005)
            number = next(self.frames, None)
            if number is None:
                return False, None
            return True, np.full((48, 64, 3), (number % 256, 200, 100), np.uint8)

        def release(self):
            self.frames = iter(())

    monkeypatch.setattr(cv2, "VideoCapture", Camera)


@pytest.mark.usefixtures("cameras")
def test_a_camera_gives_its_newest_frames_in_gray_and_keeps_a_window():
    scene = open_scene("camera:100000", 24, 32, slots=4)
    assert isinstance(scene, CameraScene)
    try:
        first = scene.window(0)
        assert first.shape == (4, 24, 32)
        luma = 0.2126 * 100 + 0.7152 * 200  # and up to 0.0722 * 255 of the blue
        assert ((first > luma - 1) & (first < luma + 0.0722 * 255 + 1)).all()
        deadline = time.monotonic() + 10
        index = 1
        while (scene.window(index) == first).all() and time.monotonic() < deadline:
            time.sleep(0.02)
            index += 1
        assert (scene.window(index) != first).any()
        if index < 16:
            np.testing.assert_array_equal(scene.window(0), first)
    finally:
        scene.close()
        scene.close()


@pytest.mark.usefixtures("cameras")
def test_a_camera_that_goes_away_is_told():
    scene = CameraScene(20, 24, 32)
    assert scene.window(0).shape == (16, 24, 32)

    def watch():
        deadline = time.monotonic() + 10
        for index in itertools.count():
            scene.window(index)
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with pytest.raises(SceneError, match="went away"):
        watch()
    scene.close()


@pytest.mark.usefixtures("cameras")
def test_a_camera_that_sends_nothing_is_told():
    with pytest.raises(SceneError, match="camera 0 sends nothing"):
        open_scene("camera:0", 24, 32)
