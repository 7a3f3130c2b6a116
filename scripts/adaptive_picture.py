"""Draws a map that follows a scene, as an animated GIF.

``python -m scripts.adaptive_picture long_clips_240.npz -o docs/images/adaptive.gif`` runs the
shipped controller in simulation over a sequence that is played forth and back, and draws one frame
for each window: what was rebuilt, and the same with the reads of each block over it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focalloop.firmware_sim.archives import opened
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.noise import preset
from focalloop.host.adaptive.closed_loop import DELAY, closed_loop, controlled
from focalloop.host.adaptive.controller import Controller, Grid, Seen
from focalloop.host.adaptive.controller_file import load_controller
from focalloop.host.reconstruction.bundle import Bundle, adaptive_bundle

MAX_BYTES = 2 << 30
BUDGET = 1 / 16
SIDE = 192
"""Side of a picture, in pixels."""

COLOURS = 48
FRAME_MS = 200
GAP = 6
FEWER, MORE = np.array([58, 132, 255]), np.array([255, 132, 32])
"""Colours of blocks that are read less and more often than the budget reads everywhere, as on the
page."""

TINT = 0.6
"""Share of the colour in the picture, where a block is read `FACTOR` times as often, or less."""

FACTOR = 4


def followed(frames: NDArray[np.uint8], controller: Controller) -> list[Seen]:
    """Return every window of a closed loop as it was rebuilt, with its grid."""
    slots = controller.adaptive_map.resting.slots
    budget = BUDGET * frames[0].size * slots
    choose, newest = controlled(controller, budget), list[Seen]()

    def watched(number: int, seen: Sequence[Seen]) -> Grid:
        newest[:] = seen
        return choose(number, seen)

    # Windows are seen some windows after they were read.
    more = np.concatenate([frames, frames[: DELAY * slots]])
    rebuild = Bundle.load(adaptive_bundle()).reconstructor()
    closed_loop(more, controller.adaptive_map, watched, rebuild, preset("paper"))
    return newest


def drawn(seen: Seen, controller: Controller) -> NDArray[np.uint8]:
    """Return a frame: the middle of a window, and beside it the reads of each block over it."""
    adaptive_map = controller.adaptive_map
    picture = 255 * seen.video[len(seen.video) // 2]
    reads = adaptive_map.tiles.mean(axis=(1, 2)) / (BUDGET * adaptive_map.resting.slots)
    strength = np.clip(np.log2(reads) / np.log2(FACTOR), -1, 1)[seen.grid]
    height, width = picture.shape
    whole = strength.repeat(adaptive_map.block, 0).repeat(adaptive_map.block, 1)
    whole = whole[:height, :width, None]
    gray = np.repeat(picture[..., None], 3, axis=-1)
    pair = [gray, gray + TINT * abs(whole) * (np.where(whole < 0, FEWER, MORE) - gray)]
    small = [
        np.asarray(Image.fromarray(np.rint(each).astype(np.uint8)).resize((SIDE, SIDE)))
        for each in pair
    ]
    return np.concatenate([small[0], np.full((SIDE, GAP, 3), 255, np.uint8), small[1]], axis=1)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description="Draws a map that follows a scene.")
    parser.add_argument("sequences", type=Path, help="an .npz with sequences (N, F, H, W)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .gif to write")
    parser.add_argument("--name", default="visitor_walking_240", help="name of the sequence")
    options = parser.parse_args()
    with opened(options.sequences) as archive:
        names = archive.array("names.npy", MAX_BYTES).tolist()
        sequence = archive.array("sequences.npy", MAX_BYTES)[names.index(options.name)]
    controller = load_controller().fitted_to(*sequence.shape[1:])
    there_and_back = np.concatenate([sequence, sequence[::-1]])
    windows = followed(np.concatenate([there_and_back, there_and_back]), controller)
    second = windows[len(windows) // 2 :]  # by then, it follows
    frames = np.stack([drawn(seen, controller) for seen in second])
    # One palette for all frames, or each would flicker.
    palette = Image.fromarray(frames.reshape(-1, *frames.shape[2:])).quantize(COLOURS)
    images = [
        Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in frames
    ]
    with written_whole(options.output) as partial:
        images[0].save(
            partial, "GIF", save_all=True, append_images=images[1:], duration=FRAME_MS, loop=0
        )


if __name__ == "__main__":
    main()
