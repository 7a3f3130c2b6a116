"""Upload a ratio map to a board, take one window, and reconstruct the video behind it.

Usage: python upload_and_look.py URL VIDEO
"""

import sys

from focalloop import Board, Bundle

url, output = sys.argv[1:]  # e.g. /dev/ttyACM0 or socket://localhost:5599, and video.mp4

bundle = Bundle.load("edge-learned-2of16")  # a map, and the network that was trained for it
with Board.open(url) as board:
    print(board)
    board.upload(bundle.ratio_map)
    (window,) = board.capture()
print(window)

video = bundle.reconstruct(window)  # an array (T, H, W), 1.0 is white
video.save(output)
print(f"wrote {output}: {video}")
