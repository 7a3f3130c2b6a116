"""What corrects the reads of the board of a live session."""

from __future__ import annotations

from dataclasses import dataclass

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.reconstruct import Float32


@dataclass(frozen=True)
class BoardCorrection:
    """A correction, or none, and what to say of it.

    Attributes
    ----------
    correction : Correction or None
    by : str
        What corrects, in a few words; "" where nothing does.
    said : str
        A sentence for the user; a warning if nothing corrects.
    """

    correction: Correction | None = None
    by: str = ""
    said: str = ""

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> tuple[Float32, RatioMap]:
        """Correct the reads of a window, as `Correction` does."""
        return (reads, ratio_map) if self.correction is None else self.correction(reads, ratio_map)

    def map_for(self, ratio_map: RatioMap) -> RatioMap:
        """Return the map under which to reconstruct the windows of another."""
        return ratio_map if self.correction is None else self.correction.map_for(ratio_map)
