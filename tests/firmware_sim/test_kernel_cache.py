"""A cache of kernels only saves time: whatever is wrong with it, the kernels run."""

import importlib.util
import logging
import shutil

import numba
import numpy as np
import pytest

from focalloop.firmware_sim import kernel_cache

SOURCE = "def halved(values):\n    return values / 2\n"
WARNING = "compiled without a cache"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A folder with a function, and a cache of its kernel."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "halves.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        assert cached(folder, folder / "cache", patch) == 0
    return folder


@pytest.fixture
def cache(program, tmp_path):
    """A copy of that cache."""
    return shutil.copytree(program / "cache", tmp_path / "cache")


def cached(program, cache, monkeypatch):
    """Run the kernel as a new process would; return how often it came from the cache."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(cache))
    monkeypatch.setattr(kernel_cache, "_reported", False)
    spec = importlib.util.spec_from_file_location("halves", program / "halves.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    halved = kernel_cache.kernel(module.halved)
    np.testing.assert_array_equal(halved(np.arange(4.0)), [0.0, 0.5, 1.0, 1.5])
    return halved.stats.cache_hits.total()


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_cache_is_replaced(program, cache, monkeypatch, caplog, suffix, damage):
    assert cached(program, cache, monkeypatch) == 1
    (file,) = cache.rglob(f"*halved*{suffix}")
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-40], "garbage": b"\x80garbage", "empty": b""}[damage])
    assert cached(program, cache, monkeypatch) == 0
    assert cached(program, cache, monkeypatch) == 1
    assert caplog.text == ""


def test_a_cache_that_cannot_be_written_is_done_without(program, cache, monkeypatch, caplog):
    for index in cache.rglob("*.nbi"):
        index.unlink()
        index.mkdir()
    with caplog.at_level(logging.WARNING):
        assert cached(program, cache, monkeypatch) == 0
    assert caplog.text.count(WARNING) == 1
