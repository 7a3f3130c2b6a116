"""Comparison of ratio maps: a network is trained for each in the same way, and scored.

``python -m benchmarks.maps --help`` lists the steps: ``plan`` writes what is to be compared,
``train`` trains the networks and scores them through the emulator, ``collect`` gathers the scores
in one file, and ``table`` and ``fig7`` to ``fig10`` present that file without training.
"""
