"""Adaptive maps in use: what chooses the tiles of the next window."""
