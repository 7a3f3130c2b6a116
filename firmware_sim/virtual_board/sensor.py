"""The sensor of the virtual board: it exposes windows, and holds those that were read out.

Time is an argument, in microseconds, and never read from a clock, so tests run at any speed. With
a slot rate the sensor exposes window after window in real time during a run, and skips (and counts)
those that cannot be read out; without one it exposes a window on request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.scenes.scene import SceneSource
from focalloop.firmware_sim.virtual_board.active_map import ActiveMap, WindowMap
from focalloop.firmware_sim.wire import HELD_WINDOWS, Feature, WindowDescriptor, WindowKind

ALL_FEATURES = (
    Feature.EMULATOR | Feature.SCENE | Feature.APERTURE | Feature.CALIBRATION | Feature.ADAPTIVE
)
"""What an emulated sensor can do."""


class WindowReader(Protocol):
    """What the sensor uses of `focalloop.firmware_sim.emulator.emulator.Emulator`."""

    def read_out(self, scene: NDArray[Any], first_window: int = 0) -> NDArray[Any]:
        """Read out one window: scene ``(T, H, W)`` to codes in read-plan order."""
        ...


MakeReader = Callable[[RatioMap, NoiseProfile, int, FixedPattern | None], WindowReader]
"""Makes the reader for a ratio map, a noise profile, a seed and, if given, a fixed pattern."""


def make_emulator(
    ratio_map: RatioMap, profile: NoiseProfile, seed: int, pattern: FixedPattern | None
) -> WindowReader:
    """Make the emulator, imported only here: a board answers HELLO before Numba is loaded."""
    from focalloop.firmware_sim.emulator.emulator import Emulator

    return Emulator(ratio_map, profile, seed=seed, pattern=pattern)


@dataclass
class Run:
    """A run of windows, started by one request.

    Attributes
    ----------
    limit : int
        Windows numbered below this may be read out.
    endless : bool
        True for a stream, which waits at the limit for more credit; a capture ends there.
    kind : WindowKind
        What the sensor is exposed to.
    ratio_map : RatioMap, optional
        Map of every window; None uses the map that is active when the window begins.
    light : ndarray, shape (T, H, W), optional
        Scene of every window; None exposes to the scene in front of the sensor.
    level : int
        Level of the uniform map of a dark or flat run, else 0.
    """

    limit: int
    endless: bool = False
    kind: WindowKind = WindowKind.SCENE
    ratio_map: RatioMap | None = None
    light: NDArray[Any] | None = None
    level: int = 0


@dataclass(frozen=True)
class HeldWindow:
    """A window that was read out.

    Attributes
    ----------
    descriptor : WindowDescriptor
        As it is sent.
    readout : bytes
        Samples in read-plan order.
    scene : ndarray of uint8, shape (T, H, W), optional
        What was in front of the sensor; None for dark and flat windows.
    """

    descriptor: WindowDescriptor
    readout: bytes
    scene: NDArray[np.uint8] | None


class VirtualSensor:
    """A programmable focal plane in front of a scene.

    Parameters
    ----------
    scene : SceneSource
        What it looks at; its shape and slots are the sensor's.
    profile : NoiseProfile
        Its noise and its converter.
    seed : int
        Seed of the noise.
    slot_rate_hz : float
        Slots per second; 0 exposes whenever a window can be sent.
    ratio_map : RatioMap, optional
        Active map; None until one is uploaded.
    make_reader : callable
        Makes the emulator of the readout.
    pattern : FixedPattern, optional
        Its fixed pattern; None has one drawn by the seed.

    Attributes
    ----------
    features : Feature
        What it can do.

    Raises
    ------
    FixedPatternError
        The pattern is of another array size.
    """

    def __init__(
        self,
        scene: SceneSource,
        profile: NoiseProfile,
        seed: int,
        slot_rate_hz: float,
        ratio_map: RatioMap | None,
        make_reader: MakeReader,
        pattern: FixedPattern | None = None,
    ) -> None:
        if pattern is not None:
            pattern.check_fits(scene.shape)
        self._pattern = pattern
        self.features = ALL_FEATURES
        self.scene = scene
        self.profile = profile
        self.seed = seed
        self.active = ActiveMap(ratio_map)
        self.next_window = 0
        self.skipped = 0
        self.run: Run | None = None
        self.held: OrderedDict[int, HeldWindow] = OrderedDict()
        self._make_reader = make_reader
        self._reader: tuple[RatioMap, WindowReader] | None = None
        self._exposing: WindowMap | None = None  # the map of the exposure under way
        self._window_us = Fraction(10**6) * scene.slots / Fraction(slot_rate_hz or 1)
        self._paced = slot_rate_hz > 0
        self._started_us = 0
        self._exposed = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Array size ``(H, W)``."""
        return self.scene.shape

    @property
    def slots(self) -> int:
        """Slots per window (T)."""
        return self.scene.slots

    def start(self, run: Run, now_us: int) -> None:
        """Start exposing; a paced sensor's first window ends one window's duration from now."""
        self.run = run
        self._started_us = now_us
        self._exposed = 0
        if self._paced:
            self._begin(run)

    def stop(self) -> None:
        """Stop exposing."""
        self.run = None

    @property
    def next_begun(self) -> int:
        """Number of the next window to be begun: its map can still be chosen.

        During a run a paced sensor always exposes; that window is begun, even if it will be
        skipped.
        """
        return self.next_window + (self._paced and self.run is not None)

    @property
    def next_due_us(self) -> int | None:
        """When the current window ends; None without a run or a slot rate."""
        if self.run is None or not self._paced:
            return None
        return self._end_us(self._exposed + 1)

    def expose(self, now_us: int, buffers: int) -> list[HeldWindow]:
        """Expose up to now and read out what credit and free buffers allow.

        Parameters
        ----------
        now_us : int
            Board clock.
        buffers : int
            Windows for which there is room. A paced sensor reads the newest windows that ended
            since the last call and skips those that do not fit; an unpaced one exposes one window.

        Returns
        -------
        list of HeldWindow
            The windows read out, each also in `held`.

        Raises
        ------
        FocalloopError
            If the scene fails, as when a camera is unplugged.
        """
        windows: list[HeldWindow] = []
        run = self.run
        if run is None:
            return windows
        ended = self._ended(now_us) if self._paced else min(1, buffers)
        taken = max(0, min(ended, buffers, run.limit - self.next_window))
        if self._paced and ended > taken:
            self.skipped += ended - taken
            self._exposed += ended - taken
            self._begin(run)
        for _ in range(taken):
            if not self._paced:
                self._begin(run)
            self._exposed += 1
            end_us = self._end_us(self._exposed) if self._paced else now_us
            windows.append(self._read_out(run, end_us))
            if not run.endless and self.next_window >= run.limit:
                self.run = None
            elif self._paced:
                self._begin(run)
        return windows

    def misfit(self, new: RatioMap | AdaptiveMap) -> str:
        """Return why this sensor cannot run a map of its size and levels, or nothing."""
        return ""

    def prepare(self, ratio_map: RatioMap) -> None:
        """Make the reader for a map now, so that the next window need not wait for it."""
        self._reader_for(ratio_map)

    def warm_up(self) -> None:
        """Read out small windows with and without converter, of uint8 and of float32 scenes.

        Calibrations use float32 light, and codes of up to 8 bits have kernels of their own.
        """
        ratio_map = RatioMap.uniform(1, (8, 8), slots=self.slots, level_set=(1,))
        ideal, paper = (preset(name, self.slots) for name in ("ideal", "paper"))
        own = [(self.profile, np.uint8), (self.profile, np.float32)] if self.profile.adc else []
        for profile, dtype in ((ideal, np.uint8), (paper, np.uint8), (paper, np.float32), *own):
            reader = self._make_reader(ratio_map, profile, 0, None)
            reader.read_out(np.zeros((self.slots, 8, 8), dtype))

    def set_noise(self, profile: NoiseProfile, seed: int) -> None:
        """Change noise and converter; windows held under another profile are dropped."""
        if profile != self.profile:
            self.held.clear()
        self.profile, self.seed = profile, seed
        self._reader = None

    def _ended(self, now_us: int) -> int:
        since_start = max(0, now_us - self._started_us)
        return max(0, int(since_start / self._window_us) - self._exposed)

    def _end_us(self, windows: int) -> int:
        """Return when `windows` windows have ended: rounded up, because `_ended` rounds down."""
        return self._started_us - int(-windows * self._window_us // 1)

    def _reader_for(self, ratio_map: RatioMap) -> WindowReader:
        if self._reader is None or self._reader[0] is not ratio_map:
            reader = self._make_reader(ratio_map, self.profile, self.seed, self._pattern)
            self._reader = ratio_map, reader
        return self._reader[1]

    def _begin(self, run: Run) -> None:
        """Fix the map of the exposure that begins now, by the number that it will get."""
        chosen = self.active.begin(self.next_window)
        self._exposing = chosen if run.ratio_map is None else WindowMap.of(run.ratio_map)

    def _read_out(self, run: Run, end_us: int) -> HeldWindow:
        assert self._exposing is not None, "a run starts only with a map"
        reader = self._reader_for(self._exposing.ratio_map)
        scene = self.scene.window(self._exposure) if run.light is None else None
        light = run.light if scene is None else scene
        assert light is not None
        codes = reader.read_out(light, self.next_window)
        readout = codes.astype(codes.dtype.newbyteorder("<"), copy=False).tobytes()
        return self._hold(run, end_us, readout, scene)

    def _hold(
        self, run: Run, end_us: int, readout: bytes, scene: NDArray[np.uint8] | None
    ) -> HeldWindow:
        assert self._exposing is not None, "a run starts only with a map"
        map_hash = self._exposing.prefix
        descriptor = WindowDescriptor(
            self.next_window, len(readout), end_us, run.kind, run.level, map_hash, self.skipped
        )
        window = HeldWindow(descriptor, readout, scene)
        self.held[self.next_window] = window
        while len(self.held) > HELD_WINDOWS:
            self.held.popitem(last=False)
        self.next_window += 1
        return window

    @property
    def _exposure(self) -> int:
        """Windows exposed before this one, read out or not."""
        return self.next_window + self.skipped
