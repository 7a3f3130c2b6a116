"""What holds for every test."""

from __future__ import annotations

import math
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Beside as many processes, further threads only take turns. NumPy and torch read this when loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

COMPUTING = ("tests/benchmarks/", "tests/focalloop/", "tests/models/", "tests/system/")
"""Folders with browsers, processes and training; the tests of others mostly wait."""

# An example is slow where the machine is busy or coverage is measured, which is not a failure.
settings.register_profile("focalloop", deadline=None)
settings.load_profile("focalloop")


@pytest.fixture(autouse=True)
def one_thread_again() -> Iterator[None]:
    """Take back the threads that a command gave torch, which wait for each other at every step."""
    yield
    if "PYTEST_XDIST_WORKER" in os.environ and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix files that compute with those that wait, and begin with those that may take longest.

    So the cores are always busy. A file is one process's, and a single long one at the end would
    leave them idle; which are long is guessed from their limits and numbers of tests.
    """
    limits: dict[str, float] = defaultdict(float)
    for item in items:
        if limit := item.get_closest_marker("timeout"):
            limits[_file_of(item)] = max(limits[_file_of(item)], limit.args[0])
    tests = Counter(map(_file_of, items))
    turns: dict[str, float] = {}
    for computing in (True, False):
        files = [file for file in tests if file.startswith(COMPUTING) is computing]
        files.sort(key=lambda file: (-limits[file], -tests[file]))
        turns |= {file: turn / len(files) for turn, file in enumerate(files)}
    items.sort(key=lambda item: turns[_file_of(item)])


def _file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run folders of tests in three processes per two cores, and single files in this one."""
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    return 0 if all(path.is_file() for path in paths) else math.ceil(1.5 * (os.cpu_count() or 1))
