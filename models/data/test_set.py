"""The public test set: real clips rebuilt from the registry packages they come from."""

from __future__ import annotations

from pathlib import Path


def _read_digests(path: Path) -> frozenset[str]:
    lines = path.read_text("utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if line and not line.startswith("#"))


EXCLUDED_SOURCE_SHA256 = _read_digests(Path(__file__).with_name("excluded_sources.sha256"))
"""SHA-256 of every file that shows the scene of a test clip; training data never reads one."""
