"""What holds for every test."""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# With a process per core, further threads only take turns. NumPy and torch read this when loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW = {"system", "models", "benchmarks"}
"""Folders with browsers, processes and training, a second per test or more."""

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
    """Begin with the files that may take longest: by their limits, folders and numbers of tests.

    A file is one process's, and a single long one at the end would leave the other cores idle.
    """
    limits: dict[Path, float] = defaultdict(float)
    for item in items:
        if limit := item.get_closest_marker("timeout"):
            limits[item.path] = max(limits[item.path], limit.args[0])
    tests = Counter(item.path for item in items)
    items.sort(
        key=lambda item: (
            -limits[item.path],
            SLOW.isdisjoint(item.path.parts),
            -tests[item.path],
        )
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run folders of tests in one process per core, and single files in this one."""
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    return 0 if all(path.is_file() for path in paths) else os.cpu_count() or 1
