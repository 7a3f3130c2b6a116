"""The boards that the conformance tests run against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.virtual_board.sensor import make_emulator
from tests.support.board_bench import SHAPE, Bench, make_board
from tests.support.c_board import PipedBoard
from tests.support.conformance import Make


@pytest.fixture(params=["emulator", "C firmware"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Return a maker of benches with a board of 40x24 pixels and the counting scene."""
    made: list[PipedBoard] = []

    def emulator(ratio_map: RatioMap | None = None, slot_rate_hz: int = 0) -> Bench:
        return Bench(
            make_board(
                make_reader=make_emulator, ratio_map=ratio_map, slot_rate_hz=float(slot_rate_hz)
            )
        )

    def firmware(ratio_map: RatioMap | None = None, slot_rate_hz: int = 0) -> Bench:
        options: dict[str, Any] = {"array": f"{SHAPE[1]}x{SHAPE[0]}", "slot_rate": slot_rate_hz}
        if ratio_map is not None:
            options["map"] = tmp_path / "start.map"
            options["map"].write_bytes(ratio_map.pack())
        made.append(PipedBoard(boot_id=1, **options))
        return Bench(made[-1])  # type: ignore[arg-type]

    yield emulator if request.param == "emulator" else firmware
    for board in made:
        board.close()
