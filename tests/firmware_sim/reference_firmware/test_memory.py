"""The memory of the firmware is as documented, and checked when it is linked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError
from tests.support import ROOT
from tests.support.c_board import SOURCES, TIMEOUT_S, build, need, qemu_board


def sections(image: Path) -> dict[str, int]:
    """Return the bytes of each section of an image."""
    listed = subprocess.run(
        ["arm-none-eabi-size", "-A", image], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines() if line.startswith(".")]
    return {name: int(size) for name, size, *_ in rows}


def test_code_and_constants_take_less_than_18_kib() -> None:
    size = sections(build("cortex-m3") / "focal-board.elf")
    assert size[".text"] + size.get(".ARM.exidx", 0) < 18 * 1024
    assert size.get(".data", 0) == 0
    maps_and_masks = 2 * (256 * 256 // 2 + 256 * 256 * 16 // 8)
    assert size[".bss"] > maps_and_masks + 2 * 2 * 131072


def test_the_port_in_the_document_compiles(tmp_path: Path) -> None:
    need("gcc")
    document = (ROOT / "docs" / "porting-a-board.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```c\n(.*?)```", document, re.DOTALL)
    port = tmp_path / "port.c"
    left_to_the_reader = "void start_clock_and_line(void); void report_a_mistake(void);\n"
    port.write_text(left_to_the_reader + example, encoding="utf-8")
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    made = subprocess.run(
        ["gcc", *warnings, "-fsyntax-only", f"-I{SOURCES}/include", port],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr


def test_what_does_not_fit_does_not_link(tmp_path: Path) -> None:
    need("make", "arm-none-eabi-gcc")
    words = ["make", "-C", SOURCES, "cortex-m3", f"BUILD={tmp_path}", "CONFIG=-DFL_HELD_WINDOWS=3"]
    made = subprocess.run(words, capture_output=True, text=True)
    assert made.returncode != 0
    assert "region `RAM' overflowed" in made.stderr


def test_the_smallest_board_does_its_work() -> None:
    """One window stored, no aperture, no adaptive maps, the shortest frames."""
    config = "-DFL_MAX_PIXELS=256u -DFL_MAX_WIDTH=16u -DBOARD_WIDTH=16 -DBOARD_HEIGHT=12"
    config += " -DFL_APERTURE=0 -DFL_ADAPTIVE=0 -DFL_HELD_WINDOWS=1 -DFL_MAX_PAYLOAD=256u"
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (12, 16))
    with qemu_board(config) as address, Board.open(address, timeout_s=TIMEOUT_S) as board:
        assert board.info.held_windows == 1
        board.upload(ratio_map)
        assert [window.number for window in board.capture(5)] == list(range(5))
        with pytest.raises(RatioMapError, match="aperture"):
            board.upload(ratio_map.with_aperture(np.ones((16, 12, 16), bool)))
        with pytest.raises(RatioMapError, match="cannot run an adaptive map"):
            board.upload(AdaptiveMap(ratio_map, np.ones((1, 2, 2), int), 4))
        body = wire.GridRequest(0, b"").pack()
        with pytest.raises(BoardError) as refused:
            board._driver.connection.request(wire.MessageType.GRID, body)
        assert refused.value.code == wire.ErrorCode.UNSUPPORTED
        begin = wire.UploadBeginRequest(wire.UploadKind.PALETTE, 9, bytes(32)).pack()
        with pytest.raises(BoardError) as refused:
            board._driver.connection.request(wire.MessageType.UPLOAD_BEGIN, begin)
        assert refused.value.code == wire.ErrorCode.UNSUPPORTED
