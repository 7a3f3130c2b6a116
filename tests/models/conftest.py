"""Fixtures that tests of training and of its benchmarks share."""

from tests.support.training_files import pictures, sequences_file, tile_map, training_file

__all__ = ["pictures", "sequences_file", "tile_map", "training_file"]
