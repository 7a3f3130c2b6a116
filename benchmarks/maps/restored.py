"""One clip restored under several maps, for a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from benchmarks.maps.scores import ScoresError
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction import quality as metrics
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import capture_clips

ENLARGED = 80
"""Height and width of the enlarged part, pixels."""


@dataclass(frozen=True, eq=False)
class Way:
    """A clip restored by a bundle: one frame (H, W) in [0, 1], and the scores of all frames."""

    name: str
    frame: NDArray[np.float32]
    psnr: float
    ssim: float


@dataclass(frozen=True, eq=False)
class Restored:
    """A clip beside its restorations.

    Attributes
    ----------
    name : str
        Name of the clip.
    slot : int
        Number of the frame that is shown.
    video : ndarray of float32
        (T, H, W) in [0, 1].
    ways : tuple of Way
        Its restorations.
    """

    name: str
    slot: int
    video: NDArray[np.float32]
    ways: tuple[Way, ...]

    @property
    def truth(self) -> NDArray[np.float32]:
        """The original frame (H, W)."""
        frame: NDArray[np.float32] = self.video[self.slot]
        return frame

    def liveliest(self) -> tuple[int, int, int]:
        """Return top, left and side of the square that changes most over the window."""
        change = self.video.var(axis=0, dtype=np.float64)
        side = min(ENLARGED, *change.shape)
        total = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        sums = (
            total[side:, side:]
            - total[:-side, side:]
            - total[side:, :-side]
            + total[:-side, :-side]
        )
        top, left = np.unravel_index(int(sums.argmax()), sums.shape)
        return int(top), int(left), side


def restore(
    clips: Clips, name: str, bundles: Sequence[tuple[str, Bundle]], *, slot: int
) -> Restored:
    """Capture a clip with the emulated sensor and paper noise; restore it with each bundle.

    The noise is that of `focalloop evaluate` on the same file.

    Raises
    ------
    ScoresError
        If there is no such clip or frame.
    FocalloopError
        If a bundle cannot be used.
    """
    if name not in clips.names:
        raise ScoresError(f"there is no clip {name!r}: there are {', '.join(clips.names)}")
    index = clips.names.index(name)
    truth = clips.clips[index]
    if not 0 <= slot < len(truth):
        raise ScoresError(f"the clip has frames 0 to {len(truth) - 1}, not {slot}")
    ways = []
    for label, bundle in bundles:
        ratio_map = bundle.ratio_map.tiled_to(*truth.shape[1:])
        captured = capture_clips(clips.clips, ratio_map, preset("paper"))
        reads = next(islice(captured, index, None))
        video = np.clip(bundle.reconstructor(2)(reads, ratio_map), 0, 1)
        scores = metrics.psnr(video, truth), metrics.ssim(video, truth)
        ways.append(Way(label, video[slot], *scores))
    return Restored(name, slot, truth.astype(np.float32) / 255, tuple(ways))
