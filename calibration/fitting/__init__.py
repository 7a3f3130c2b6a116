"""The estimators, step by step: moments, transfer points, fits and intervals."""
