"""`focalloop radio encode` and `decode` as a user runs them, with the shipped codec."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from focalloop.firmware_sim.radio.bitstream import OVERHEAD_BYTES, read_file
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.radio.codec import DEFAULT_CODEC
from focalloop.models import zoo
from tests.support.command_line import complaint, run


@pytest.fixture(scope="module")
def odd_clips(tmp_path_factory):
    scene = SyntheticScene(50, 39, seed=1)
    path = tmp_path_factory.mktemp("clips") / "clips.npz"
    np.savez(path, clips=np.stack([scene.window(k) for k in range(2)]), names=["a", "b"])
    return path


@pytest.fixture(scope="module")
def coded(odd_clips):
    path = odd_clips.with_name("windows.flr")
    result = run("radio", "encode", odd_clips, "-o", path, "--quality", 90, "--json")
    assert result.exit_code == 0, result.output
    return path, json.loads(result.stdout)


def test_windows_go_into_a_file_and_come_back_as_video(odd_clips, coded, tmp_path):
    path, told = coded
    assert told["bytes"] == path.stat().st_size
    assert [window["name"] for window in told["windows"]] == ["a", "b"]
    assert told["bits"] == np.mean([window["bits"] for window in told["windows"]])
    video = tmp_path / "video.npz"
    result = run("radio", "decode", path, "-o", video, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "output": str(video),
        "windows": 2,
        "bits": told["bits"],
    }
    with np.load(video) as written, np.load(odd_clips) as clips:
        error = np.square(written["video"] - clips["clips"] / 255).mean((1, 2, 3))
    assert (-10 * np.log10(error) > 18).all()


def test_latents_are_the_same_in_another_process_with_other_kernels(coded):
    path, _ = coded
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import hashlib; from pathlib import Path\n"
        "from focalloop.firmware_sim.radio.bitstream import read_file\n"
        "from focalloop.host.radio.codec import Codec\n"
        "codec = Codec.load()\n"
        "latents = [codec.latents(window) for window in read_file(Path(sys.argv[1]))[0]]\n"
        "print(hashlib.sha256(b''.join(each.tobytes() for each in latents)).hexdigest())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program, path],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for environment in (
            {},
            {
                "OPENBLAS_NUM_THREADS": "1",
                "OPENBLAS_CORETYPE": "Nehalem",
                "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
            },
        )
    }
    assert len(found) == 1


def test_a_budget_of_bits_is_met(odd_clips, tmp_path):
    result = run("radio", "encode", odd_clips, "-o", tmp_path / "a", "--bits", 900, "--json")
    assert result.exit_code == 0, result.output
    assert all(600 < window["bits"] <= 900 for window in json.loads(result.stdout)["windows"])
    result = run("radio", "encode", odd_clips, "-o", tmp_path / "b", "--bits", 8)
    assert "a window takes at least" in complaint(result)
    assert not (tmp_path / "b").exists()


def test_qualities_that_do_not_exist_are_wrong_usage(odd_clips, tmp_path):
    result = run("radio", "encode", odd_clips, "-o", tmp_path / "a", "--quality", 128)
    assert "there is no quality 128: choose one from 0 to 127" in complaint(result)


def test_a_quality_beside_a_number_of_bits_is_wrong_usage(odd_clips, tmp_path):
    words = (odd_clips, "-o", tmp_path / "a", "--quality", 64, "--bits", 5000)
    result = run("radio", "encode", *words)
    assert result.exit_code == 2
    assert "--quality has no effect with --bits" in complaint(result)


def test_a_device_or_a_pipe_is_no_place_for_a_file(odd_clips, tmp_path):
    for place in (tmp_path / "pipe", "/dev/null"):
        if place != "/dev/null":
            os.mkfifo(place)
        result = run("radio", "encode", odd_clips, "-o", place)
        assert result.exit_code == 2
        assert f"cannot write {place}: it is a device or a pipe" in complaint(result)


@pytest.mark.parametrize("place", [0, 3, 4, 6, 12, 40, -1])
def test_damaged_files_are_refused(coded, tmp_path, place):
    path, _ = coded
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 4
    copy = tmp_path / "damaged.flr"
    copy.write_bytes(damaged)
    result = run("radio", "decode", copy, "-o", tmp_path / "video.npz")
    assert str(copy) in complaint(result)
    assert result.exit_code == 1
    assert not (tmp_path / "video.npz").exists()


@pytest.mark.parametrize(
    ("offset", "what"),
    [(9, "were taken under the map"), (13, "compressed"), (25, "a compressed window holds coded")],
)
def test_files_with_right_checksums_but_of_something_else_are_refused(
    coded, tmp_path, offset, what
):
    data, start = bytearray(coded[0].read_bytes()), 0
    for window in read_file(coded[0])[0]:
        end = start + OVERHEAD_BYTES - 4 + len(window.data)
        data[start + offset] ^= 0xFF
        data[end : end + 4] = struct.pack("<I", zlib.crc32(data[start:end]))
        start = end + 4
    other = tmp_path / "other.flr"
    other.write_bytes(data)
    result = run("radio", "decode", other, "-o", tmp_path / "video.npz")
    assert what in complaint(result)


def test_windows_smaller_than_a_cell_are_refused(tmp_path):
    np.savez(tmp_path / "clips.npz", clips=np.zeros((1, 16, 3, 40), np.float32))
    result = run("radio", "encode", tmp_path / "clips.npz", "-o", tmp_path / "a")
    assert "smaller than a cell" in complaint(result)


def test_captures_under_another_map_are_refused(capture, tmp_path):
    result = run("radio", "encode", capture("tile-2of16"), "-o", tmp_path / "a")
    assert "captured under another ratio map" in complaint(result)


def test_bundles_that_hold_no_codec_are_refused(networks, odd_clips, tmp_path):
    result = run("radio", "encode", odd_clips, "-o", tmp_path / "a", "--model", networks[-1])
    assert "one of kind codec is needed" in complaint(result)


def test_bundles_with_damaged_files_are_refused(odd_clips, tmp_path):
    folder = shutil.copytree(zoo.FOLDER / DEFAULT_CODEC, tmp_path / "radio-mine")
    with (folder / "codec_latents.npz").open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    result = run("radio", "encode", odd_clips, "-o", tmp_path / "a", "--model", folder)
    assert "codec_latents.npz is not the file of this bundle" in complaint(result)
