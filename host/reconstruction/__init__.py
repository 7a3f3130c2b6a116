"""From measurements to video: bundles, reconstruction, evaluation and quality."""
