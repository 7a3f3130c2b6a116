"""A sensor whose readouts were recorded before: the virtual board then plays a recording."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError, SceneError
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.virtual_board.sensor import HeldWindow, Run, VirtualSensor, WindowReader
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Feature, HelloAnswer


class Replay(Protocol):
    """Recorded readouts, by the map that they were taken under."""

    @property
    def board(self) -> HelloAnswer:
        """The board that they are of."""
        ...

    @property
    def maps(self) -> tuple[RatioMap, ...]:
        """Their maps, that of the first readout first; at least one."""
        ...

    def count(self, ratio_map: RatioMap) -> int:
        """Return the number of readouts under a map."""
        ...

    def readout(self, ratio_map: RatioMap, index: int) -> bytes:
        """Return a readout, by its place among those under its map."""
        ...


def replay_settings(replay: Replay, slot_rate_hz: float, max_payload: int) -> BoardSettings:
    """Return the settings of a virtual board that plays a recording."""
    board = replay.board
    profile = NoiseProfile(
        name="replay",
        bits=board.bits,
        black_level_dn=board.black_level_dn,
        full_scale_dn=board.full_scale_dn,
    )
    return BoardSettings(
        profile=profile,
        slot_rate_hz=slot_rate_hz,
        level_set=board.level_set,
        ratio_map=replay.maps[0],
        max_payload=max_payload,
        name=board.name,
        serial=board.serial,
    )


class NoScene:
    """Stands in front of a sensor that plays a recording, for its size alone."""

    def __init__(self, board: HelloAnswer) -> None:
        self.shape, self.slots = board.shape, board.slots

    def window(self, index: int) -> NDArray[np.uint8]:
        """Refuse: what the board had seen was not recorded."""
        raise SceneError("a recording has no scene")

    def close(self) -> None:
        """Do nothing."""


class ReplayedSensor(VirtualSensor):
    """A sensor that reads out what was recorded, bit for bit, under the map that is active.

    Every run begins with the first recorded window, and after the last one it begins again. Windows
    have the numbers and times of this board, and none is skipped where the line is slow.

    Parameters
    ----------
    replay : Replay
        What was recorded.
    slot_rate_hz : float
        Slots per second; 0 reads out whenever a window can be sent.
    """

    def __init__(self, replay: Replay, settings: BoardSettings) -> None:
        super().__init__(
            NoScene(replay.board),
            settings.profile,
            settings.seed,
            settings.slot_rate_hz,
            settings.ratio_map,
            _no_reader,
        )
        self.features = Feature.REPLAY | (replay.board.features & Feature.APERTURE)
        self._replay = replay
        self._place = 0

    def misfit(self, new: RatioMap | AdaptiveMap) -> str:
        """Return why a map cannot be replayed: nothing was recorded under it."""
        if new in self._replay.maps:
            return ""
        known = "; ".join(f"{each.hash_hex[:16]}..., {each.summary}" for each in self._replay.maps)
        return (
            f"this board replays a recording, which has nothing under the map "
            f"{new.hash_hex[:16]}..., but under {known}"
        )

    def start(self, run: Run, now_us: int) -> None:
        """Start with the first recorded window; dark and flat runs are refused."""
        if run.light is not None:
            raise FocalloopError(
                "this board replays a recording: it takes no dark and flat captures"
            )
        self._place = 0
        super().start(run, now_us)

    def prepare(self, ratio_map: RatioMap) -> None:
        """Do nothing: there is nothing to emulate."""

    def warm_up(self) -> None:
        """Do nothing: there is nothing to compile."""

    def _read_out(self, run: Run, end_us: int) -> HeldWindow:
        assert self._exposing is not None, "a run starts only with a map"
        ratio_map = self._exposing.ratio_map
        place = self._place % self._replay.count(ratio_map)
        self._place += 1
        return self._hold(run, end_us, self._replay.readout(ratio_map, place), None)


def _no_reader(
    ratio_map: RatioMap, profile: NoiseProfile, seed: int, pattern: FixedPattern | None
) -> WindowReader:
    raise FocalloopError("a recording has no reader")
