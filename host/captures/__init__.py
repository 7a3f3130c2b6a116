"""Captures: windows on disk, and the captures that a calibration uses."""
