"""From the messages of a chunk to its windows."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import HelloAnswer, WindowKind
from focalloop.host.captures.capture import monotonic_epoch_s
from focalloop.host.errors import RecordingError
from focalloop.host.recording import messages
from focalloop.host.recording.messages import NS, Channel, RecordedReadout

_PLANS = 16
"""Maps whose plans are kept."""


@dataclass(frozen=True)
class Entry:
    """One message of a recording.

    Attributes
    ----------
    channel : Channel
    log_ns, publish_ns : int
        When it was recorded, and of when it is, nanoseconds since 1970 UTC.
    sequence : int
        Number of the window, or of the message in its channel.
    data : bytes
        The message itself.
    """

    channel: Channel
    log_ns: int
    publish_ns: int
    sequence: int
    data: bytes


@dataclass(frozen=True, eq=False)
class RecordedWindow:
    """A window of a recording, with what was noted of its light, as in a capture."""

    window: Window
    readout: RecordedReadout
    board: HelloAnswer
    ended_ns: int
    light: float | None
    gain: float | None
    temperature_c: float | None


class WindowReader:
    """Makes windows of the messages of a chunk, which has all that it takes."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[bytes, bytes], tuple[RatioMap, ReadPlan]] = OrderedDict()

    def windows(self, entries: list[Entry]) -> Iterator[RecordedWindow]:
        """Yield the windows of a chunk.

        Raises
        ------
        RecordingError
            One of them cannot be read.
        """
        for found in self.each(entries):
            if isinstance(found, RecordingError):
                raise found
            yield found

    def each(self, entries: list[Entry]) -> Iterator[RecordedWindow | RecordingError]:
        """Yield the windows of a chunk or, of one that cannot be read, why."""
        board: HelloAnswer | None = None
        conditions: dict[str, Any] = {}
        maps: list[RatioMap | AdaptiveMap] = []
        for entry in entries:
            if entry.channel is messages.BOARD:
                board = messages.unpack_board(entry.data)
            elif entry.channel is messages.CONDITIONS:
                conditions = messages.unpack_json(entry.channel, entry.data)
            elif entry.channel is messages.MAP:
                maps.append(messages.unpack_map(entry.data))
            elif entry.channel is messages.READOUT:
                try:
                    yield self._window(entry, board, conditions, maps)
                except RecordingError as error:
                    yield error

    def _window(
        self,
        entry: Entry,
        board: HelloAnswer | None,
        conditions: dict[str, Any],
        maps: list[RatioMap | AdaptiveMap],
    ) -> RecordedWindow:
        readout = RecordedReadout.unpack(entry.data)
        under = next((each for each in maps if _is_under(readout, each)), None)
        if board is None or under is None:
            raise RecordingError(
                f"window {readout.descriptor.window} was recorded without its board, or without "
                "the map or grid that says where it was measured"
            )
        ratio_map, plan = self._plan(under, readout.grid)
        adaptive = under if isinstance(under, AdaptiveMap) else None
        window = Window(
            number=readout.descriptor.window,
            ratio_map=ratio_map,
            plan=plan,
            codes=readout.codes(board, plan.count),
            black_level_dn=board.black_level_dn,
            full_scale_dn=board.full_scale_dn,
            bits=board.bits,
            time_s=entry.publish_ns / NS - monotonic_epoch_s(),
            kind=WindowKind[str(conditions.get("kind", "scene")).upper()],
            skipped=readout.descriptor.skipped,
            descriptor=readout.descriptor,
            board=board,
            grid=(adaptive, readout.grid) if adaptive is not None and readout.grid else None,
        )
        return RecordedWindow(
            window,
            readout,
            board,
            entry.publish_ns,
            *(conditions.get(key) for key in ("light", "gain", "temperature_c")),
        )

    def _plan(self, under: RatioMap | AdaptiveMap, grid: bytes) -> tuple[RatioMap, ReadPlan]:
        key = under.hash(), grid
        if key not in self._plans:
            if isinstance(under, AdaptiveMap):
                ratio_map = under.compose(grid) if grid else under.resting
            else:
                ratio_map = under
            self._plans[key] = ratio_map, ReadPlan.of(ratio_map)
        self._plans.move_to_end(key)
        while len(self._plans) > _PLANS:
            self._plans.popitem(last=False)
        return self._plans[key]


def _is_under(readout: RecordedReadout, candidate: RatioMap | AdaptiveMap) -> bool:
    """Return whether a readout was taken under a map, or under a grid of it."""
    if isinstance(candidate, RatioMap):
        found = b"" if readout.grid else candidate.hash()
    elif readout.grid:
        fits = len(readout.grid) == math.prod(candidate.grid_shape)
        found = candidate.grid_hash(readout.grid) if fits else b""
    else:
        found = candidate.resting.hash()
    return found.startswith(readout.descriptor.map_hash)
