"""What a clip was before the sensor saw it: its size, its frame rate, and how fast it is played."""

from __future__ import annotations

from pathlib import Path

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.videos import frame_size_and_rate, is_video

OWN = "own"
"""The rate at which a video was filmed."""

_SAME = 0.01
"""Rates that differ by less than this share are called the same."""


def rate_of(text: str, clip: Path) -> float:
    """Return the frames per second that ``--scene-rate`` asks for.

    Parameters
    ----------
    text : str
        A number above 0, or ``own``.
    clip : Path
        The clip that is played.

    Raises
    ------
    SceneError
        It is neither, or the clip has no rate of its own.
    """
    if text == OWN:
        rate = frame_size_and_rate(clip)[1] if clip.is_file() and is_video(clip) else None
        if rate is None:
            raise SceneError(f"{clip} has no frame rate of its own: give frames per second")
        return rate
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise SceneError(f"a scene rate is frames per second above 0, or {OWN!r}, not {text!r}")
    return rate


def footage_note(
    clip: Path, shape: tuple[int, int], slot_rate_hz: float, played_hz: float | None
) -> str:
    """Say how a video was filmed and how it is played, in a few words; empty for another clip.

    Parameters
    ----------
    clip : Path
    shape : tuple of int
        Array size ``(H, W)``, to which the frames are scaled and cropped.
    slot_rate_hz : float
        Slots per second; 0 where they are not paced.
    played_hz : float or None
        Frames per second; None for a frame per slot.
    """
    if not clip.is_file() or not is_video(clip):
        return ""
    (height, width), own_hz = frame_size_and_rate(clip)
    words = [f"{width} × {height}"]
    if (height, width) != shape:
        words[0] += f" cropped to {shape[1]} × {shape[0]}"
    shown_hz = slot_rate_hz if played_hz is None else played_hz
    if own_hz is not None:
        words.append(f"filmed at {own_hz:.3g} Hz")
        if shown_hz:
            ratio = shown_hz / own_hz
            pace = "at its own pace" if abs(ratio - 1) < _SAME else f"{ratio:.3g} times as fast"
            words.append(f"shown {pace}")
    return ", ".join(words)
