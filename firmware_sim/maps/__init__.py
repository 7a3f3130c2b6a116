"""Ratio maps: what they are, their files and tiles, and the reads that they ask for."""
