"""Captures: readouts on disk, and those that a calibration is made from."""
