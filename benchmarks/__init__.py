"""Benchmarks: each prints ratios to a named peer, measured in the same run, or to a limit."""
