"""What tests of several packages share."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""

VECTORS = ROOT / "tests" / "vectors"
"""Test vectors of the wire protocol, for Python and C alike, from ``python -m scripts.vectors``."""
