"""Taking the captures of a calibration from a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import groupby

import numpy as np

from focalloop.firmware_sim.default_calibration import Step
from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Feature, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_design import WHITE, calibration_map
from focalloop.host.captures.writer import WindowWriter
from focalloop.host.errors import CaptureError


def take(
    board: Board,
    steps: Sequence[Step],
    writer: WindowWriter,
    *,
    lights_known: bool = True,
    set_light: Callable[[float], None] | None = None,
    advance: Callable[[int], None] | None = None,
    step: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Take the windows of a plan and write them.

    Parameters
    ----------
    board : Board
        For steps with a level it needs the feature CALIBRATION. Steps without one leave it with
        `calibration_map` and, if it is emulated, with the last light as its scene.
    steps : sequence of Step
        As returned by `plan`.
    writer : WindowWriter
        Receives the windows, marked as dark or flat.
    lights_known : bool
        Whether the radiances of the steps are those of the light, rather than a wish.
    set_light : callable, optional
        Sets the light to the given radiance, 0 for none, before the steps that need it; by default
        the board sets its light itself.
    advance : callable, optional
        Receives the number of windows taken since the last call.
    step : callable, optional
        Makes a context in which the windows of one step are written.

    Raises
    ------
    CaptureError
        If the board cannot take such captures.
    BoardError, BoardLostError
        If the board refuses a request, or its connection is lost.
    """
    info = board.info
    if any(step.level is not None for step in steps) and Feature.CALIBRATION not in info.features:
        raise CaptureError(
            f"the board {info.name} takes no dark and flat captures by itself: use --design "
            "tiled, which does not need them"
        )
    for light, group in groupby(steps, key=lambda step: step.light):
        if set_light is not None:
            set_light(light)
        for planned in group:
            windows = _windows(board, planned, board_sets_light=set_light is None)
            with step():
                for window in windows:
                    even = replace(window, kind=WindowKind.FLAT if light else WindowKind.DARK)
                    writer.add(even, light=light if lights_known or not light else None)
                if advance is not None:
                    advance(planned.windows)


def _windows(board: Board, step: Step, *, board_sets_light: bool) -> list[Window]:
    if step.level is None:
        board.upload(calibration_map(board.info))
        if board_sets_light:
            _show_even_light(board, step.light)
        return board.capture(step.windows)
    if step.light == 0:
        return board.dark_capture(step.level, step.windows)
    return board.calibration_capture(step.level, step.light, step.windows)


def _show_even_light(board: Board, light: float) -> None:
    """Show an even scene to an emulated board, which reads scenes from files."""
    if Feature.EMULATOR not in board.info.features:
        raise CaptureError(
            f"the board {board.info.name} cannot light a map of all spans by itself: set the "
            "light by hand and leave out --board-sets-light"
        )
    slots, shape = board.info.slots, board.info.shape
    with scratch_folder() as folder:
        scene = folder / "even-light.npz"
        np.savez(scene, clips=np.full((1, slots, *shape), round(light * WHITE), np.uint8))
        board.configure(scene=str(scene))
