"""A recording as what a virtual board plays."""

from __future__ import annotations

from collections.abc import Callable

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import HelloAnswer, WindowKind
from focalloop.host.errors import RecordingError
from focalloop.host.recording.recording import Recording


class RecordedReplay:
    """The windows of a recording that show a scene, by their maps.

    Parameters
    ----------
    recording : Recording
        Must stay open.
    warn : callable, optional
        Takes a sentence on what is left out.

    Raises
    ------
    RecordingError
        It has no such windows.
    """

    def __init__(
        self, recording: Recording, warn: Callable[[str], None] = lambda text: None
    ) -> None:
        self._recording = recording
        self._places: dict[RatioMap, list[int]] = {}
        first: HelloAnswer | None = None
        other = damaged = 0
        for index in range(len(recording)):
            try:
                recorded = recording.window(index)
            except RecordingError:
                damaged += 1
                continue
            window, board = recorded.window, recorded.board
            first = first or board
            alike = _scale(board) == _scale(first)
            if window.kind is WindowKind.SCENE and window.grid is None and alike:
                self._places.setdefault(window.ratio_map, []).append(index)
            else:
                other += 1
        if first is None or not self._places:
            raise RecordingError(
                f"{recording.path} holds no window of a scene under a map without grids, which "
                "alone can be replayed"
            )
        self.board = first
        if damaged:
            warn(f"{damaged} windows are left out: damaged, or recorded without their map")
        if other:
            warn(
                f"{other} windows are left out: dark, flat, under a grid of an adaptive map, or of "
                "another setting of the ADC"
            )

    @property
    def maps(self) -> tuple[RatioMap, ...]:
        """Their maps, that of the first window first."""
        return tuple(self._places)

    def count(self, ratio_map: RatioMap) -> int:
        """Return the number of windows under a map."""
        return len(self._places[ratio_map])

    def readout(self, ratio_map: RatioMap, index: int) -> bytes:
        """Return the readout of a window, by its place among those under its map."""
        return self._recording.window(self._places[ratio_map][index]).readout.data


def _scale(board: HelloAnswer) -> tuple[object, ...]:
    return board.bits, board.black_level_dn, board.full_scale_dn, board.shape, board.slots
