"""Make a ratio map that reads fast where things move, and save it for boards and paint programs.

Usage: python make_a_map.py MAP.npz MAP.png
"""

import sys

import numpy as np

from focalloop import RatioMap

for_boards, for_people = sys.argv[1:]

# Two measurements per pixel on average at the sides, more in the lane where cars pass.
levels = RatioMap.load("tile-2of16", shape=(256, 256)).levels.copy()
levels[96:160] = np.tile([[8, 4], [4, 8]], (32, 128))
road = RatioMap(levels)

road.save(for_boards)
road.save(for_people)  # one colour per level; RatioMap.load reads what was painted
assert RatioMap.load(for_boards) == RatioMap.load(for_people) == road
print(road)
