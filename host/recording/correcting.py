"""What corrects the reads of a recording: what corrected them when they were recorded."""

from __future__ import annotations

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.recording.recording import Recording


def correction_of(recording: Recording) -> tuple[Correction | None, NoiseProfile | None]:
    """Return what corrects the reads of a recording, and the noise of the corrected reads.

    Each is None where it was not known.

    Raises
    ------
    RecordingError, FixedPatternError, NoiseProfileError
        What was recorded of it is damaged.
    """
    profile, pattern = recording.profile(), recording.pattern()
    bent = profile is not None and not profile.response.straight
    correction = Correction(pattern, profile) if pattern is not None or bent else None
    noise = profile if profile is None or pattern is None else corrected(profile)
    return correction, noise
