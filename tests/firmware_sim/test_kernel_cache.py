"""A cache of kernels only saves time: whatever is wrong with it, the kernels run."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from focalloop.firmware_sim.emulator.kernels import fill_normal
out = np.empty(4, np.float32)
fill_normal(out, np.ones((1, 3), np.uint32))
print(*out)
"""
WARNING = "compiled without a cache"


def run(cache):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return run(tmp_path_factory.mktemp("cache"))[0]


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_cache_is_replaced(tmp_path, suffix, damage, expected):
    run(tmp_path)
    files = list(tmp_path.rglob(f"*fill_normal*{suffix}"))
    assert files
    for file in files:
        whole = file.read_bytes()
        file.write_bytes({"cut": whole[:-40], "garbage": b"\x80garbage", "empty": b""}[damage])
    assert run(tmp_path) == (expected, "")
    kept = {file: file.read_bytes() for file in files}
    assert run(tmp_path) == (expected, "")
    assert {file: file.read_bytes() for file in files} == kept  # used, not written again


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, expected):
    run(tmp_path)
    for index in tmp_path.rglob("*.nbi"):
        index.unlink()
        index.mkdir()
    values, complaints = run(tmp_path)
    assert values == expected
    assert complaints.count(WARNING) == 1
