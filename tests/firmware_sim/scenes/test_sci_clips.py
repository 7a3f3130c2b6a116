"""The SCI benchmark's files, and clips that are floats, as clips."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes import clips as clips_module
from focalloop.firmware_sim.scenes.clips import load_clips


def frames(count: int, height: int = 12, width: int = 20) -> np.ndarray:
    """Whole numbers 0..255, no two frames alike."""
    return np.random.default_rng(0).integers(0, 256, (count, height, width), np.uint8)


def save_mat(path: Path, video: np.ndarray, **more: object) -> Path:
    savemat(path, {"orig": np.moveaxis(video, 0, 2), "mask": np.zeros((2, 2)), **more})
    return path


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int16])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_benchmark_file_gives_its_windows(tmp_path, dtype, compressed):
    video = frames(40)
    path = tmp_path / "traffic40_cacti.mat"
    content = {"orig": np.moveaxis(video, 0, 2).astype(dtype), "meas": np.ones((3, 3))}
    savemat(path, content, do_compression=compressed)
    loaded = load_clips(path)
    assert loaded.names == ("traffic40_cacti[0]", "traffic40_cacti[1]")
    assert loaded.clips.flags.c_contiguous
    np.testing.assert_array_equal(loaded.clips.reshape(32, 12, 20), video[:32])


def test_a_benchmark_file_of_unit_range_gives_the_same(tmp_path):
    path = save_mat(tmp_path / "drop.mat", frames(16) / 255.0)
    np.testing.assert_array_equal(load_clips(path).clips[0], frames(16))


@pytest.mark.parametrize(("order", "mark"), [("<", b"IM"), (">", b"MI")])
def test_a_file_as_matlab_writes_it_is_read(tmp_path, order, mark):
    """MATLAB stores whole doubles as bytes, and files of old workstations are big-endian."""
    video = frames(16)

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)

    flags = struct.pack(order + "II", 6, 0)  # class double
    shape = struct.pack(order + "3i", 12, 20, 16)
    name = struct.pack(order + "HH", 1, 4) if order == "<" else struct.pack(order + "HH", 4, 1)
    numbers = element(2, np.moveaxis(video, 0, 2).tobytes(order="F"))
    matrix = element(6, flags) + element(5, shape) + name + b"orig" + numbers
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(order + "H", 0x0100) + mark
    (tmp_path / "old.mat").write_bytes(header + element(14, matrix))
    np.testing.assert_array_equal(load_clips(tmp_path / "old.mat").clips[0], video)


def test_a_folder_of_benchmark_files_is_one_set(tmp_path):
    for name in ("runner40_cacti", "drop40_cacti"):
        save_mat(tmp_path / f"{name}.mat", frames(20))
    assert load_clips(tmp_path).names == ("drop40_cacti[0]", "runner40_cacti[0]")
    assert load_clips(tmp_path, slots=8, max_clips=3).clips.shape == (3, 8, 12, 20)
    assert load_clips(tmp_path, size=(6, 6)).clips.shape == (2, 16, 6, 6)


def test_a_benchmark_file_that_is_too_short_is_told(tmp_path):
    with pytest.raises(SceneError, match=r"16 frames; too short: kobe\.mat \(8 frames\)"):
        load_clips(save_mat(tmp_path / "kobe.mat", frames(8)))


def test_a_file_without_the_video_is_told_with_what_it_has(tmp_path):
    savemat(tmp_path / "masks.mat", {"mask": np.zeros((4, 4, 8)), "meas": np.zeros((4, 4))})
    with pytest.raises(SceneError, match=r"masks\.mat has no video `orig`.*mask 4x4x8, meas 4x4"):
        load_clips(tmp_path / "masks.mat")
    savemat(tmp_path / "colour.mat", {"orig": np.zeros((4, 4, 3, 16))})
    with pytest.raises(SceneError, match="orig 4x4x3x16"):
        load_clips(tmp_path / "colour.mat")


def test_a_matlab_73_file_is_told_how_to_convert(tmp_path):
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    (tmp_path / "new.mat").write_bytes(header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(512))
    with pytest.raises(SceneError, match=r"new\.mat is a MATLAB 7\.3 .*'-v7'"):
        load_clips(tmp_path / "new.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_benchmark_file_is_told_in_one_sentence(tmp_path, compressed):
    path = tmp_path / "crash.mat"
    savemat(path, {"orig": np.moveaxis(frames(16), 0, 2)}, do_compression=compressed)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 80)):
        path.write_bytes(whole[:place])
        with pytest.raises(SceneError) as caught:
            load_clips(path)
        assert "crash.mat" in str(caught.value)
        assert "\n" not in str(caught.value)
    for place in [*range(0, 260), *range(260, len(whole), max(1, len(whole) // 80))]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        # Clips or the one error: a flip may fall where nobody reads.
        with suppress(SceneError):
            load_clips(path)


def test_a_file_too_large_for_memory_is_told_before_it_is_read(tmp_path, monkeypatch):
    path = save_mat(tmp_path / "aerial.mat", frames(16).astype(float))
    monkeypatch.setattr(clips_module, "MAX_CLIP_BYTES", 16 * 12 * 20 * 8 - 1)
    with pytest.raises(SceneError, match=r"aerial\.mat needs more than"):
        load_clips(path)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_npz_of_floats_is_scaled(tmp_path, dtype):
    clips = frames(32).reshape(2, 16, 12, 20)
    np.savez(tmp_path / "unit.npz", clips=(clips / 255).astype(dtype), names=np.array(["a", "b"]))
    np.savez(tmp_path / "wide.npz", clips=clips.astype(dtype))
    for name, names in (("unit", ("a", "b")), ("wide", ("wide[0]", "wide[1]"))):
        loaded = load_clips(tmp_path / f"{name}.npz")
        assert loaded.clips.dtype == np.uint8
        assert loaded.names == names
        np.testing.assert_array_equal(loaded.clips, clips)


@pytest.mark.parametrize(
    ("clips", "told"),
    [
        (np.full((1, 16, 4, 4), 300.0), "ranges from 300 to 300"),
        (np.full((1, 16, 4, 4), -0.1), "ranges from -0.1"),
        (np.full((1, 16, 4, 4), np.nan), "nan"),
        (np.full((1, 16, 4, 4), 4095, np.uint16), "4095"),
        (np.zeros((6, 8, 4, 4), np.float32), "T=8 frames; T=16 is needed"),
    ],
    ids=["too bright", "negative", "not a number", "12 bit", "first eight frames"],
)
def test_floats_that_are_no_clips_are_told(tmp_path, clips, told):
    np.savez(tmp_path / "bad.npz", clips=clips)
    with pytest.raises(SceneError) as caught:
        load_clips(tmp_path / "bad.npz")
    assert told in str(caught.value)
    assert "bad.npz" in str(caught.value)
