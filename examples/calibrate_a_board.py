"""Measure the noise of a board, and emulate a sensor that is as noisy.

Usage: python calibrate_a_board.py URL PROFILE.json
"""

import sys

import numpy as np

from focalloop import Board, Emulator, calibrate

url, output = sys.argv[1:]

# The board must darken and light itself, as an emulated one does. With any other, take captures
# with `focalloop calibrate --port URL --keep FOLDER` and give calibrate() the folder.
with Board.open(url) as board:
    found = calibrate(board, name="my-board")
for name, estimate in found.estimates.items():
    low, high = estimate.ci95
    print(f"{name:22} {estimate.value:.4g} ({low:.4g} to {high:.4g}) {estimate.unit}")
found.profile.save(output)

twin = Emulator("tile-2of16", output)
print(twin.capture(np.full((16, 256, 256), 0.5)))
