"""From a whole readout to a window: under which map it was read, and when."""

from __future__ import annotations

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.board.clock import MAX_UPTIME_US, BoardClock
from focalloop.host.board.known_maps import KnownMaps
from focalloop.host.board.reception import Readout
from focalloop.host.errors import FaultyBoardError


def window_of(
    readout: Readout,
    maps: KnownMaps,
    clock: BoardClock,
    kind: WindowKind = WindowKind.SCENE,
    level: int = 0,
    under: RatioMap | None = None,
) -> Window:
    """Return the window of a readout, which must be of this kind and level, `under` this map.

    Raises
    ------
    UnknownMapError
        It was read under a map or grid that is not among `maps`.
    FaultyBoardError, CaptureError
        It contradicts what was asked for, or its map.
    """
    descriptor, board = readout.descriptor, readout.board
    ratio_map, plan = maps.find(descriptor.map_hash, board)
    wrong_map = under is not None and ratio_map != under
    if (descriptor.kind, descriptor.level) != (kind, level) or wrong_map:
        raise FaultyBoardError(
            f"window {descriptor.window} came as a {descriptor.kind.name.lower()} window of "
            f"level {descriptor.level} under the map {descriptor.map_hash.hex()}..., which is "
            "not what was asked for: the board's firmware is faulty"
        )
    if descriptor.time_us > MAX_UPTIME_US:
        raise FaultyBoardError(
            f"window {descriptor.window} is of {descriptor.time_us / 1e6:g} s after the "
            "board's start: its clock is faulty"
        )
    return Window(
        number=descriptor.window,
        ratio_map=ratio_map,
        plan=plan,
        codes=readout.codes(plan.count),
        black_level_dn=board.black_level_dn,
        full_scale_dn=board.full_scale_dn,
        bits=board.bits,
        time_s=clock.host_s(descriptor.time_us),
        kind=descriptor.kind,
        skipped=descriptor.skipped,
        descriptor=descriptor,
        board=board,
        grid=maps.grid_of(descriptor.map_hash),
    )
