"""Take windows from a board into a folder, and read them back.

Usage: python capture_to_disk.py URL FOLDER
"""

import sys

from focalloop import Board, Capture

url, folder = sys.argv[1:]

with Board.open(url) as board:
    board.upload("tile-2of16")
    capture = Capture.take(folder, board, count=5)
    print(capture)
    print(f"{board.stats.lost} windows were lost on the line")

for window in Capture.load(folder).windows():
    signal = window.signal  # every measurement in read order; window.reads has them as planes
    print(f"window {window.number}: mean signal {signal.mean():.4f} of full scale")
