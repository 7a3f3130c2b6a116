"""The estimators, step by step: moments, points of the curve, fits, estimates and warnings."""
