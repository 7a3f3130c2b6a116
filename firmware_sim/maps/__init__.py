"""Ratio maps, their files and tiles, and the reads that they cause.

- `ratio_map`: `RatioMap`, the levels of every pixel, with an optional coded aperture.
- `packed_form`: the bytes in which a map travels, and its hash; `checks`: what makes a map valid.
- `defaults`: T, level set, array size, rates and named tiles, without NumPy.
- `map_files`: the ``.npz`` and ``.png`` files behind ``RatioMap.load`` and ``save``.
- `tiles`: the tile that a map repeats, and repeating a tile over an array.
- `level_shares`: how many pixels of each level average a wanted number of measurements.
- `read_plan`: which pixels are read after which slot, in which order.
- `staggering`: phases that spread the reads over the slots.
- `feasibility`: whether converter and link keep up with the reads.
"""
