"""Training data from files as they may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from focalloop.models.training.training_data import TrainError, TrainingData

CLIPS = np.random.default_rng(0).integers(0, 256, (6, 16, 8, 8), np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("held_out", [[0, 1], [4, 5], [1, 4]], ids=["first", "last", "between"])
def test_windows_are_told_apart_however_they_lie(
    tmp_path: Path, save: Callable[..., None], held_out: list[int]
) -> None:
    path = tmp_path / "train.npz"
    validation = np.isin(np.arange(6), held_out)
    save(path, clips=CLIPS, validation=validation, recipe="{}")
    data = TrainingData.load(path)
    np.testing.assert_array_equal(data.training, CLIPS[~validation])
    np.testing.assert_array_equal(data.validation, CLIPS[validation])


def test_filmed_windows_are_had_alone_where_both_parts_have_some(tmp_path: Path) -> None:
    path, validation = tmp_path / "train.npz", np.arange(6) > 3
    filmed = np.array([False, True, False, True, True, False])
    np.savez(path, clips=CLIPS, validation=validation, filmed=filmed, recipe="{}")
    alone = TrainingData.load(path).filmed_alone()
    np.testing.assert_array_equal(alone.training, CLIPS[[1, 3]])
    np.testing.assert_array_equal(alone.validation, CLIPS[[4]])
    np.savez(path, clips=CLIPS, validation=validation, filmed=filmed & ~validation, recipe="{}")
    assert len(TrainingData.load(path).filmed_alone().training) == 4


def test_what_is_written_to_windows_does_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.npz"
    np.savez(path, clips=CLIPS, validation=np.arange(6) > 3, recipe="{}")
    before = path.read_bytes()
    TrainingData.load(path).training[:] = 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "arrays",
    [
        {"clips": CLIPS.astype(np.float32)},
        {"clips": CLIPS[:, 0]},
        {"clips": CLIPS[:3]},
        {"frames": CLIPS},
        {"clips": CLIPS, "filmed": np.ones(5, np.bool_)},
    ],
    ids=["floats", "no time", "fewer windows than flags", "no clips", "flags of fewer windows"],
)
def test_arrays_that_are_no_training_data_are_told(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, validation=np.arange(6) > 3, recipe="{}", **arrays)
    with pytest.raises(TrainError, match=r"other\.npz is not training data"):
        TrainingData.load(path)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "train.npz"
    np.savez(path, clips=CLIPS, validation=np.arange(6) > 3, recipe="{}")
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place])
        with pytest.raises(TrainError):
            TrainingData.load(path)
