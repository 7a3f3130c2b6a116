"""Windows of no light, or of even light, with every pixel at one level."""

from __future__ import annotations

from contextlib import closing

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import (
    CalibrationCaptureRequest,
    DarkCaptureRequest,
    MessageType,
    WindowKind,
)
from focalloop.host.board.driver import Driver
from focalloop.host.board.windows import window_of
from focalloop.host.errors import BoardLostError

MAX_VAIN_CAPTURES = 5
"""Captures in a row that may yield nothing before the line is considered broken."""


def capture_even_light(
    driver: Driver, level: int, count: int, light: float | None = None
) -> list[Window]:
    """Take `count` windows, every pixel at `level`, without light or of `light` in [0, 1].

    They are captured in groups that the board can hold, so that none can be lost on the line.
    """
    info = driver.info
    kind = WindowKind.DARK if light is None else WindowKind.FLAT
    under = RatioMap.uniform(level, info.shape, info.slots, info.level_set)
    driver.maps.add(under)
    windows: list[Window] = []
    vain = 0
    while len(windows) < count:
        group = min(count - len(windows), driver.info.held_windows)
        if light is None:
            type_, body = MessageType.DARK_CAPTURE, DarkCaptureRequest(level, group).pack()
        else:
            type_ = MessageType.CALIBRATION_CAPTURE
            body = CalibrationCaptureRequest(level, group, light).pack()
        before = len(windows)
        with closing(driver.capture(type_, body, group)) as readouts:
            # What did not arrive is taken again.
            windows += (
                window_of(readout, driver.maps, driver.clock, kind, level, under)
                for readout in readouts
            )
        vain = vain + 1 if len(windows) == before else 0
        if vain == MAX_VAIN_CAPTURES:
            raise BoardLostError(
                f"none of {group} windows arrived in {vain} attempts: check the line to the board"
            )
    return windows
