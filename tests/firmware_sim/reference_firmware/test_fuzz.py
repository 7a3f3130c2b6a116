"""A short run of each fuzzer under sanitizers; ``make fuzz`` runs them longer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import fuzz_seeds
from tests.support.c_board import build

SECONDS = 1


@pytest.mark.parametrize("name", ["frames", "requests"])
def test_nothing_that_comes_in_crashes_the_firmware(name: str, tmp_path: Path) -> None:
    program = build("fuzzers") / f"fuzz-{name}"
    assert fuzz_seeds.main([str(tmp_path)]) == 0
    # The peak memory of a process begins at that of its parent, which may have run other tests.
    memory = ["-rss_limit_mb=0", "-malloc_limit_mb=64"]
    limits = [f"-max_total_time={SECONDS}", "-max_len=2048", *memory]
    ran = subprocess.run(
        [program, *limits, "-seed=1", tmp_path / name],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
