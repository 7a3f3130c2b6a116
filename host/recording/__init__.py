"""Recordings: everything that came from a board, in one file that survives what happens to it."""
