"""What `focalloop live` knows of the emulated board that it starts."""

from contextlib import closing

import numpy as np
import pytest

from focalloop.host.board.client import Board
from focalloop.host.cli import emulator_process, preview_run
from tests.support.command_line import run


@pytest.fixture
def source_of(monkeypatch):
    """Return the board that `live` would start with some words."""
    sources = []

    class Kept(emulator_process.EmulatorProcess):
        def __init__(self, *options, **more):
            super().__init__(*options, **more)
            sources.append(self)

    monkeypatch.setattr(emulator_process, "EmulatorProcess", Kept)
    monkeypatch.setattr(preview_run, "run_preview", lambda make_session, page: None)

    def source_of(*words):
        result = run("live", *words)
        assert result.exit_code == 0, result.output
        return sources[-1]

    return source_of


def test_the_clip_of_an_emulated_board_is_known_bit_for_bit(source_of, tmp_path):
    frames = np.random.default_rng(0).integers(0, 1024, (3, 16, 60, 70), np.uint16)
    np.savez(tmp_path / "clips.npz", clips=frames)
    words = ("--white", 1023, "--scene-rate", 100, "--size", "64x48")
    source = source_of("--scene", tmp_path / "clips.npz", *words)
    clip = source.open_clip()
    try:
        with Board.open(source.start()) as board:
            board.upload("tile-2of16")
            with closing(board.stream()) as windows:
                for window in (next(windows) for _ in range(4)):
                    known = clip.window(window.number + window.skipped)
                    np.testing.assert_array_equal(board.scene(window.number), known)
    finally:
        source.stop()


def test_other_and_large_scenes_are_known_to_the_board_alone(source_of):
    assert source_of("--scene", "synthetic").open_clip is None
    assert source_of("--size", "512x512").open_clip is not None
    assert source_of("--size", "1024x512").open_clip is None
