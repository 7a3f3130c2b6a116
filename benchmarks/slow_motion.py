"""How well frames in between are interpolated, on frames that were filmed and left out.

``python -m benchmarks.slow_motion long_clips.npz``, with a file of ``focalloop data test-set
--long``: every eighth frame is made from its neighbours, which are two frames apart, so twice as
far as where that file is slowed.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from focalloop.host.reconstruction.quality import psnr
from focalloop.models.data.slow_motion import slowed

EVERY = 8


def main(
    clips: Annotated[Path, typer.Argument(help="A file of `focalloop data test-set --long`.")],
) -> None:
    """Print the PSNR of frames left out, interpolated and averaged from their neighbours."""
    with np.load(clips) as stored:
        names, sequences = stored["names"], stored["sequences"]
    typer.echo(f"{'':<18} interpolated, dB   mean of the two, dB")
    scores = []
    for name, frames in zip(names, sequences, strict=True):
        scores.append(np.mean([_scores(frames[k - 1 : k + 2]) for k in _left_out(frames)], axis=0))
        typer.echo(f"{name:<18} {scores[-1][0]:>16.2f} {scores[-1][1]:>21.2f}")
    mean = np.mean(scores, axis=0)
    typer.echo(f"{'mean':<18} {mean[0]:>16.2f} {mean[1]:>21.2f}")


def _left_out(frames: NDArray[np.uint8]) -> range:
    return range(1, len(frames) - 1, EVERY)


def _scores(three: NDArray[np.uint8]) -> tuple[float, float]:
    before, truth, after = three
    made = slowed(np.stack([before, after]), Fraction(2), 3)[1]
    averaged = (before.astype(np.float32) + after) / 2
    return psnr(made, truth), psnr(averaged / 255, truth)


if __name__ == "__main__":
    typer.run(main)
