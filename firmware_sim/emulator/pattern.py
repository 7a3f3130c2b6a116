"""Fixed patterns drawn by a seed: those of emulated sensors for which none is given."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.emulator import kernels
from focalloop.firmware_sim.emulator.random_keys import Purpose, stream_keys
from focalloop.firmware_sim.fixed_pattern import Defect, FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile


class Maps(NamedTuple):
    """What differs between pixels, float32 (H, W) each; None where nothing does."""

    gain: NDArray[np.float32] | None
    """Photo-response, 1 on average."""
    offset: NDArray[np.float32] | None
    dark: NDArray[np.float32] | None = None
    """Dark signal of a full window, beside that of the profile."""


def drawn_maps(profile: NoiseProfile, shape: tuple[int, int], seed: int) -> Maps:
    """Draw the gains and offsets of one sensor, steps 2 and 8 of the forward model.

    They depend on the seed and not on the ratio map: one seed is one device.
    """
    height, width = shape
    gain = offset = None
    if profile.prnu > 0:
        pixels = _normals(seed, Purpose.GAIN, height * width).reshape(shape)
        gain = np.float32(1.0) + np.float32(profile.prnu) * pixels
    if profile.pixel_offset > 0 or profile.column_offset > 0:
        pixels = _normals(seed, Purpose.PIXEL, height * width).reshape(shape)
        columns = _normals(seed, Purpose.COLUMN, width)
        offset = np.float32(profile.pixel_offset) * pixels
        offset += np.float32(profile.column_offset) * columns
    return Maps(gain, offset)


def draw_pattern(
    profile: NoiseProfile | str | Path,
    shape: tuple[int, int],
    seed: int = 0,
    *,
    defects: float = 0.0,
    serial: str | None = None,
) -> FixedPattern:
    """Draw the fixed pattern of an emulated sensor, so that it can be kept in a file.

    Parameters
    ----------
    profile : NoiseProfile, str or Path
        Whose `prnu`, `pixel_offset` and `column_offset` it has, or what `NoiseProfile.load` takes.
    shape : tuple of int
        Array size ``(H, W)``.
    seed : int
        0..2**64 - 1. An `Emulator` with this profile and seed, and no pattern, has the same one.
    defects : float
        Share of the pixels that are defective, a third of them each hot, dead and stuck.
    serial : str, optional
        Serial number of the board.

    Raises
    ------
    FixedPatternError
        The share of defects is above `MAX_DEFECT_SHARE`, or a drawn gain is out of range.
    NoiseProfileError
        There is no such profile.
    """
    if not isinstance(profile, NoiseProfile):
        profile = NoiseProfile.load(profile)
    count = shape[0] * shape[1]
    maps = drawn_maps(profile, shape, seed)
    gain = np.ones(shape, np.float32) if maps.gain is None else maps.gain
    offset = np.zeros(shape, np.float32) if maps.offset is None else maps.offset.copy()
    kinds = np.zeros(shape, np.uint8)
    order = np.argsort(_normals(seed, Purpose.DEFECT, count), kind="stable")
    chosen = order[: round(defects * count)]
    kinds.flat[chosen] = np.resize([Defect.HOT, Defect.DEAD, Defect.STUCK], len(chosen))
    # 0.1 to 1: what a hot pixel collects in a window without light, and where a stuck one stays.
    places = np.float32(0.1) + np.float32(0.9) * np.linspace(0, 1, len(chosen), dtype=np.float32)
    offset.flat[chosen] = np.where(kinds.flat[chosen] == Defect.DEAD, 0, places)
    return FixedPattern(offset, gain, kinds, serial)


def _normals(seed: int, purpose: Purpose, count: int) -> NDArray[np.float32]:
    normals = np.empty(count, np.float32)
    kernels.fill_normal(normals, stream_keys(seed, purpose, [0]))
    return normals
