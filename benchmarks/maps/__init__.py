"""Which ratio map is best? Every map's network trained equally, scored through the emulator.

``python -m benchmarks.maps --help`` lists the steps: ``plan`` writes what is to be compared,
``train`` trains and scores it, ``collect`` gathers the scores in one file, and ``table`` and
``fig7`` to ``fig10`` draw from that file, without training.
"""
