"""What the conformance tests of all boards share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.wire import MessageType
from tests.support.board_bench import SHAPE, Bench, CountingScene

Make = Callable[..., Bench]


def expected(ratio_map: RatioMap, exposure: int) -> bytes:
    """Return what the emulator reads out of the test scene without noise."""
    codes = Emulator(ratio_map, preset("ideal")).read_out(CountingScene().window(exposure))
    return codes.astype("<u2").tobytes()


def irregular_map(seed: int = 0) -> RatioMap:
    return RatioMap.random(SHAPE, seed=seed)


def refusals(bench: Bench, type_: MessageType, *bodies: Any) -> set[int]:
    return {int(bench.refused(type_, body.pack())[0]) for body in bodies}
