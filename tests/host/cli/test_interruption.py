"""Ctrl-C in a long command keeps what is whole, and says how much that is."""

from __future__ import annotations

import json
import signal
from functools import wraps

import numpy as np
import pytest

from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.captures import calibration_capture
from focalloop.host.captures.capture import Capture
from focalloop.host.cli.interruption import Interruption, StoppedError, all_or_nothing
from focalloop.host.reconstruction import evaluate, reconstruct
from tests.support.served import make_board, on_pty


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def at_call(number, function):
    """The function, with Ctrl-C pressed during one of its calls."""
    calls = []

    @wraps(function)
    def pressed(*arguments, **options):
        calls.append(None)
        if len(calls) == number:
            press_ctrl_c()
        return function(*arguments, **options)

    return pressed


@pytest.fixture
def clips(tmp_path):
    scene = SyntheticScene(24, 32, seed=1)
    path = tmp_path / "clips.npz"
    np.savez(path, clips=np.stack([scene.window(k) for k in range(5)]))
    return path


def test_a_step_is_finished_and_the_block_ends_after_it():
    done = []
    with Interruption() as interruption:
        for step in range(3):
            with interruption.step():
                if step == 1:
                    press_ctrl_c()
                done.append(step)
    assert done == [0, 1]
    assert interruption.wanted


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_ends_a_program_from_outside_is_as_ctrl_c(name):
    before = signal.getsignal(getattr(signal, name))
    with Interruption() as interruption, interruption.step():
        signal.raise_signal(getattr(signal, name))
        assert interruption.wanted
    assert signal.getsignal(getattr(signal, name)) == before


def test_between_steps_the_block_ends_at_once():
    with Interruption() as interruption:
        press_ctrl_c()
        raise AssertionError("it goes on")
    assert interruption.wanted


def test_a_second_ctrl_c_ends_everything():
    def step():
        with Interruption() as interruption, interruption.step():
            press_ctrl_c()
            press_ctrl_c()
            raise AssertionError("it goes on")

    with pytest.raises(KeyboardInterrupt):
        step()


def test_what_is_of_no_use_in_part_says_that_nothing_is_kept():
    with (
        pytest.raises(StoppedError, match="stopped at 7 of 40 windows: none is kept"),
        all_or_nothing(lambda: "7 of 40 windows"),
    ):
        press_ctrl_c()


def test_evaluate_prints_the_scores_that_there_are(run, clips, monkeypatch):
    monkeypatch.setattr(evaluate, "ssim", at_call(2, evaluate.ssim))
    ran = run("evaluate", clips, "--map", "tile-2of16", "--json", code=130)
    (result,) = json.loads(ran.out)["results"]
    assert len(result["clips"]) == 2
    assert ran.err.endswith("on 2 of 5 clips\n")


def test_evaluate_leaves_out_a_reconstruction_that_is_not_scored_on_all_clips(
    run, clips, monkeypatch
):
    monkeypatch.setattr(evaluate, "ssim", at_call(7, evaluate.ssim))
    ran = run("evaluate", clips, "--map", "tile-2of16", "--baseline", "--json", code=130)
    assert len(json.loads(ran.out)["results"]) == 1
    assert "stopped: 1 of " in ran.err


def test_reconstruct_writes_the_windows_that_there_are(run, clips, tmp_path, monkeypatch):
    spread = reconstruct.initial_reconstruction
    for module in (reconstruct, evaluate):
        monkeypatch.setattr(module, "initial_reconstruction", at_call(3, spread), raising=False)
    ran = run("reconstruct", clips, "-o", "video.npz", "--map", "tile-2of16", "--json", code=130)
    told = json.loads(ran.out)
    assert 0 < told["windows"] < 5
    assert ran.err.endswith(f"{told['windows']} of 5 windows are reconstructed, in video.npz\n")
    with np.load(tmp_path / "video.npz") as video:
        assert len(video[video.files[0]]) == told["windows"]


@pytest.mark.parametrize("keep", [True, False])
def test_calibrate_keeps_the_captures_that_it_took(run, tmp_path, monkeypatch, keep):
    taken = calibration_capture._windows
    monkeypatch.setattr(calibration_capture, "_windows", at_call(4, taken))
    words = ["--keep", "kept"] if keep else []
    with on_pty(make_board()) as server:
        ran = run("calibrate", "--port", server.url, *words, code=130)
    if not keep:
        assert "none is kept without --keep" in ran.err
        return
    windows = len(Capture.load(tmp_path / "kept"))
    assert windows > 0
    assert f"stopped: {windows} of " in ran.err
    assert ran.err.endswith("windows are kept in kept\n")
