"""Reconstruct the stream of a board, and show its rate and its mean brightness as it comes.

Usage: python watch_a_stream.py URL [WINDOWS]
"""

import sys
import time

import numpy as np

from focalloop import Board, Bundle

url, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None

bundle = Bundle.load()
with Board.open(url, on_event=print) as board:  # says when the board vanishes and comes back
    board.upload(bundle.ratio_map)
    started_s = time.monotonic()
    for done, window in enumerate(board.stream(count=count), start=1):
        video = bundle.reconstruct(window)
        rate = done / (time.monotonic() - started_s)
        print(f"window {window.number}: mean {np.mean(video):.3f}, {rate:.1f} windows per second")
