"""The emulator: scenes in, readouts of a programmable focal plane out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.emulator import kernels
from focalloop.firmware_sim.emulator.pattern import Maps, drawn_maps
from focalloop.firmware_sim.emulator.random_keys import Purpose, stream_keys
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import Defect, FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.response import MAX_BENT
from focalloop.firmware_sim.window import Window

_BANDS_PER_THREAD = 2
"""Bands of rows per thread: more than one, since a map's reads may be concentrated in few rows."""


class EmulatorError(FocalloopError, ValueError):
    """A scene, profile or setting does not fit the emulator; the message says which and why."""


class Emulator:
    """A sensor that runs one ratio map: the forward model of ``docs/concepts.md``.

    Parameters
    ----------
    ratio_map : RatioMap, str or Path
        What to measure, or what `RatioMap.load` takes; its size is the array's.
    profile : NoiseProfile, str or Path
        Parameters of the forward model, or what `NoiseProfile.load` takes.
    seed : int
        0..2**64 - 1. Identifies one sensor (its fixed pattern) and all its noise. The same seed
        and window number give the same bits with any number of threads and any batching.
    threads : int
        Threads that share the rows of every window.
    pattern : FixedPattern, str or Path, optional
        Fixed pattern of the sensor, or what `FixedPattern.load` takes; by default the profile's
        PRNU and offsets, drawn by the seed.

    Attributes
    ----------
    plan : ReadPlan
        Order of the samples in a readout.

    Raises
    ------
    EmulatorError
        A setting is out of range, or the profile is exact for another number of slots.
    RatioMapError, NoiseProfileError, FixedPatternError
        There is no such map, profile or pattern, or the pattern is of another array size.
    """

    def __init__(
        self,
        ratio_map: RatioMap | str | Path,
        profile: NoiseProfile | str | Path,
        *,
        seed: int = 0,
        threads: int = 1,
        pattern: FixedPattern | str | Path | None = None,
    ) -> None:
        if not isinstance(ratio_map, RatioMap):
            ratio_map = RatioMap.load(ratio_map)
        if not isinstance(profile, NoiseProfile):
            profile = NoiseProfile.load(profile, ratio_map.slots)
        if not 0 <= seed < 2**64:
            raise EmulatorError(f"the emulator's seed must be 0 to 2**64 - 1, not {seed}")
        if threads < 1:
            raise EmulatorError(f"the emulator needs at least 1 thread, not {threads}")
        if not profile.adc and profile.full_scale_dn != 255.0 * ratio_map.slots:
            raise EmulatorError(
                f"an exact profile for {ratio_map.slots} slots has a full scale of "
                f"{255 * ratio_map.slots} DN, not {profile.full_scale_dn:g}: "
                f"use preset({profile.name!r}, slots={ratio_map.slots})"
            )
        if pattern is not None:
            if not isinstance(pattern, FixedPattern):
                pattern = FixedPattern.load(pattern)
            pattern.check_fits(ratio_map.shape)
            if not profile.adc:
                raise EmulatorError(
                    f"the profile {profile.name} is exact, so it cannot have a fixed pattern: use "
                    "one with an ADC"
                )
        self.ratio_map = ratio_map
        self.profile = profile
        self.seed = seed
        self.plan = ReadPlan.of(ratio_map)
        self._order = _order_of(self.plan)
        self._fixed = _fixed_pattern(ratio_map, self.plan, profile, seed, pattern)
        self._stuck = None if pattern is None else _stuck_reads(self.plan, profile, pattern)
        if ratio_map.aperture is None:
            self._aperture = np.zeros((0, 0, 0), np.uint8)
        else:
            self._aperture = ratio_map.aperture.astype(np.uint8)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __repr__(self) -> str:
        return f"<Emulator {self.ratio_map.summary}; profile {self.profile.name!r}>"

    def capture(self, scene: ArrayLike, number: int = 0) -> Window:
        """Expose one window to a scene; what a board with this map and noise would send.

        Parameters
        ----------
        scene : array_like of uint8 or float, shape (T, H, W)
            Radiance in every slot: uint8 with 255 white, or float with 1.0 white.
        number : int
            Number of the window, 0..2**64 - 1, which picks its noise.

        Returns
        -------
        Window
            Its time is when the exposure was computed.

        Raises
        ------
        EmulatorError
            The scene has another dtype or shape than the ratio map requires, or the number of the
            window is out of range.
        """
        scene = np.asarray(scene)
        if scene.dtype == np.float64:
            scene = scene.astype(np.float32)
        if scene.ndim != 3:
            raise EmulatorError(
                f"one window sees a scene of the shape (slots, height, width), not {scene.shape}"
            )
        codes = self.read_out(scene, number)
        exact = codes.dtype.kind == "f"  # signal already
        return Window(
            number=number,
            ratio_map=self.ratio_map,
            plan=self.plan,
            codes=codes,
            black_level_dn=0.0 if exact else self.profile.black_level_dn,
            full_scale_dn=1.0 if exact else self.profile.full_scale_dn,
            bits=self.profile.bits,
            time_s=time.monotonic(),
        )

    def read_out(self, scene: NDArray[Any], first_window: int = 0) -> NDArray[Any]:
        """Expose one window or a batch of consecutive windows, and return their codes.

        Parameters
        ----------
        scene : ndarray of uint8 or float32, shape (T, H, W) or (N, T, H, W)
            Radiance of every slot: uint8 with 255 white, or float32 with 1.0 white.
        first_window : int
            Number of the first window, which picks its noise.

        Returns
        -------
        ndarray, shape (count,) or (N, count)
            Codes in the order of `plan`, uint8 where the profile has at most 8 bits, else uint16.
            Without ADC (preset ``ideal``): the exact integer sums as uint16 for a uint8 scene,
            the signal as float32 for a float32 scene.

        Raises
        ------
        EmulatorError
            The scene has another dtype or shape than the ratio map requires, or the number of the
            window is out of range.
        """
        batch = self._batch(scene)
        light = np.dtype(np.uint16 if batch.dtype == np.uint8 else np.float32)
        light_scale = 1.0 / (self.plan.slots * (255.0 if batch.dtype == np.uint8 else 1.0))
        dtype = self.profile.code_dtype if self.profile.adc else light
        readouts = np.empty((len(batch), self.plan.count), dtype)
        if self.profile.adc:
            stages = _stages(self.profile, light_scale)
            keys = _window_keys(self.seed, first_window, len(batch))
            self._run(kernels.capture, batch, light, self._fixed, stages, keys, readouts)
            if self._stuck is not None:
                reads, codes = self._stuck
                readouts[:, reads] = codes
        else:
            self._run(kernels.integrate, batch, light, readouts)
            if dtype == np.float32:
                readouts *= np.float32(light_scale)
        return readouts[0] if scene.ndim == 3 else readouts

    def _batch(self, scene: NDArray[Any]) -> NDArray[Any]:
        """Check the scene and view it as a read-only, C-ordered batch (N, T, H, W)."""
        if scene.dtype not in (np.uint8, np.float32):
            raise EmulatorError(f"a scene must be uint8 or float32, not {scene.dtype}")
        wanted = (self.plan.slots, *self.plan.shape)
        if scene.ndim not in (3, 4) or scene.shape[-3:] != wanted:
            raise EmulatorError(
                f"the ratio map requires a scene of the shape (slots, height, width) = {wanted}, "
                f"or a batch of them, not {scene.shape}"
            )
        batch = np.ascontiguousarray(scene).reshape(-1, *wanted).view()
        batch.flags.writeable = False  # one kind of array, so that Numba compiles only once
        return batch

    def _run(
        self,
        kernel: Callable[..., None],
        batch: NDArray[Any],
        light: np.dtype[Any],
        *others: object,
    ) -> None:
        """Run a kernel over all rows, distributed over the threads in bands."""
        height, width = self.plan.shape

        def work(rows: tuple[int, int]) -> None:
            scratch = np.zeros(width, light)
            kernel(batch, self._aperture, self._order, rows, scratch, *others)

        if self._pool is None:
            work((0, height))
            return
        bounds = np.linspace(0, height, _BANDS_PER_THREAD * self._threads + 1).astype(int).tolist()
        for _ in self._pool.map(work, pairwise(bounds)):
            pass  # retrieving the results raises exceptions of the threads


def _order_of(plan: ReadPlan) -> kernels.Order:
    height, width = plan.shape
    y, x = np.divmod(plan.pixel, width)
    runs = np.empty((plan.slots, height + 1), np.int64)
    for slot in range(plan.slots):
        start, stop = plan.slot_offsets[slot : slot + 2]
        runs[slot] = start + np.searchsorted(y[start:stop], np.arange(height + 1))
    return kernels.Order(column=x.astype(np.uint16), row=y.astype(np.uint16), runs=runs)


def _fixed_pattern(
    ratio_map: RatioMap,
    plan: ReadPlan,
    profile: NoiseProfile,
    seed: int,
    pattern: FixedPattern | None,
) -> kernels.FixedPattern:
    """Return the sensor's fixed pattern, read by read: the one given, or one drawn by the seed."""
    maps = drawn_maps(profile, plan.shape, seed) if pattern is None else _maps_of(pattern)
    gain = dark = offset = np.empty(0, np.float32)
    if maps.gain is not None:
        gain = maps.gain.reshape(-1)[plan.pixel]
    if maps.offset is not None:
        offset = maps.offset.reshape(-1)[plan.pixel]
    if profile.dark_signal > 0 or maps.dark is not None:
        levels = ratio_map.levels.reshape(-1)[plan.pixel]
        dark_signal: Any = np.float32(profile.dark_signal)
        if maps.dark is not None:
            dark_signal = (dark_signal + maps.dark).reshape(-1)[plan.pixel]
        dark = dark_signal / levels.astype(np.float32)  # L/T = 1/n
    return kernels.FixedPattern(gain, dark, offset)


def _maps_of(pattern: FixedPattern) -> Maps:
    """Return what the pixels of a pattern do; those that are stuck are overwritten in the end."""
    gain = np.where(pattern.defects == Defect.DEAD, np.float32(0), pattern.gain)
    hot = pattern.defects == Defect.HOT
    return Maps(
        gain=gain,
        offset=np.where(hot, np.float32(0), pattern.offset),
        dark=np.where(hot, pattern.offset, np.float32(0)) if hot.any() else None,
    )


def _stuck_reads(
    plan: ReadPlan, profile: NoiseProfile, pattern: FixedPattern
) -> tuple[NDArray[np.intp], NDArray[Any]] | None:
    """Return which reads are of stuck pixels, and their codes; None if none is."""
    stuck = (pattern.defects == Defect.STUCK).reshape(-1)
    if not stuck.any():
        return None
    reads = np.flatnonzero(stuck[plan.pixel])
    signal = pattern.offset.reshape(-1)[plan.pixel[reads]]
    dn = np.rint(np.float32(profile.black_level_dn) + signal * np.float32(profile.full_scale_dn))
    return reads, np.clip(dn, 0, 2**profile.bits - 1).astype(profile.code_dtype)


def _stages(profile: NoiseProfile, light_scale: float) -> kernels.Stages:
    s_ss = 0.0 if profile.shot == "off" else profile.s_ss
    full_well = math.inf if profile.full_well is None else profile.full_well
    return kernels.Stages(
        light_scale=np.float32(light_scale),
        joint=(
            profile.full_well is None and profile.response.straight and profile.shot != "poisson"
        ),
        poisson=profile.shot == "poisson",
        s_ss=np.float32(s_ss),
        s_ss_squared=np.float32(s_ss**2),
        s_r=np.float32(profile.s_r),
        s_r_squared=np.float32(profile.s_r**2),
        full_well=np.float32(full_well),
        bend=np.float32(profile.bend),
        bend_cubic=np.float32(profile.bend_cubic),
        max_bent=np.float32(MAX_BENT),
        row_noise=np.float32(profile.row_noise),
        frame_offset=np.float32(profile.frame_offset),
        black_level_dn=np.float32(profile.black_level_dn),
        full_scale_dn=np.float32(profile.full_scale_dn),
        top_dn=np.float32(2**profile.bits - 1),
    )


def _window_keys(seed: int, first_window: int, count: int) -> kernels.Keys:
    if not 0 <= first_window <= 2**64 - count:
        raise EmulatorError(f"windows are numbered from 0 to 2**64 - 1, not from {first_window}")
    windows = np.arange(count, dtype=np.uint64) + np.uint64(first_window)
    return kernels.Keys(
        *(
            stream_keys(seed, purpose, windows)
            for purpose in (Purpose.READ, Purpose.SHOT, Purpose.ROW, Purpose.FRAME)
        )
    )
