"""Fixtures that tests of training and of its benchmarks share."""

from tests.support.training_files import pictures, tile_map, training_file

__all__ = ["pictures", "tile_map", "training_file"]
