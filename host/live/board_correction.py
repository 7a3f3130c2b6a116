"""What corrects the reads of the board of a live session."""

from __future__ import annotations

from dataclasses import dataclass

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
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
    noise : NoiseProfile or None
        Noise of the board with its fixed pattern, where that is known.
    """

    correction: Correction | None = None
    by: str = ""
    said: str = ""
    noise: NoiseProfile | None = None

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> tuple[Float32, RatioMap]:
        """Correct the reads of a window, as `Correction` does."""
        return (reads, ratio_map) if self.correction is None else self.correction(reads, ratio_map)

    def noise_of_reads(self) -> NoiseProfile | None:
        """Return the noise of corrected reads; None where that of the board is not known."""
        pattern = None if self.correction is None else self.correction.pattern
        return self.noise if self.noise is None or pattern is None else corrected(self.noise)

    def electrons(self, calibrated: NoiseProfile | None = None) -> float | None:
        """Return the electrons of a signal of 1, from the shot noise of a calibration of the board.

        The variance of a signal of 1 is their inverse. None without a calibration.
        """
        kept = None if self.correction is None else self.noise
        noise = calibrated or kept
        return None if noise is None or noise.s_ss == 0 else 1 / noise.s_ss**2

    def map_for(self, ratio_map: RatioMap) -> RatioMap:
        """Return the map under which to reconstruct the windows of another."""
        return ratio_map if self.correction is None else self.correction.map_for(ratio_map)
