"""Checks of a board's HELLO answer, on which the host's computations and allocations depend."""

from __future__ import annotations

import math

from focalloop.firmware_sim.maps.checks import check_level_set, checked_shape
from focalloop.firmware_sim.maps.ratio_map import RatioMapError
from focalloop.firmware_sim.wire import MIN_MAX_PAYLOAD, HelloAnswer
from focalloop.host.errors import FaultyBoardError

MAX_WINDOW_BYTES = 1 << 30
"""Longest readout, and longest scene, of one window: 64 megapixels, read eight times."""

MAX_DN = 1e9
"""Largest black level and full scale, as in noise profiles."""

MIN_SLOT_RATE_HZ, MAX_SLOT_RATE_HZ = 0.1, 1e9
"""Range of a board's slot rate, where it has one; the host waits for the duration of a window."""


def check_hello(board: HelloAnswer, url: str) -> None:
    """Check the values of a HELLO answer against their ranges in ``docs/wire-protocol.md``.

    Raises
    ------
    FaultyBoardError
        One is out of its range; the text names it.
    """
    try:
        checked_shape(board.shape)
        check_level_set(board.slots, board.level_set)
    except RatioMapError as error:
        raise _faulty(url, f"its array or levels are impossible: {error}") from None
    pixels = board.height * board.width
    rate_hz = board.slot_rate_hz
    allowed = (
        ("max_payload", board.max_payload, board.max_payload >= MIN_MAX_PAYLOAD,
         f"is {MIN_MAX_PAYLOAD} or more"),
        ("slots", board.slots, board.slots * pixels <= MAX_WINDOW_BYTES,
         f"times the pixels is at most {MAX_WINDOW_BYTES}"),
        ("highest level", max(board.level_set), max(board.level_set) > 0, "is above 0"),
        ("highest level", max(board.level_set),
         2 * pixels * max(board.level_set) <= MAX_WINDOW_BYTES,
         f"times the bytes of an image is at most {MAX_WINDOW_BYTES}"),
        ("bits", board.bits, 1 <= board.bits <= 16, "is 1 to 16"),
        ("black_level_dn", board.black_level_dn, 0 <= board.black_level_dn <= MAX_DN,
         f"is 0 to {MAX_DN:g}"),
        ("full_scale_dn", board.full_scale_dn, 1e-6 <= board.full_scale_dn <= MAX_DN,
         f"is above 0, up to {MAX_DN:g}"),
        ("max_in_flight", board.max_in_flight, board.max_in_flight >= 1, "is 1 or more"),
        ("held_windows", board.held_windows, board.held_windows >= 1, "is 1 or more"),
        ("slot_rate_hz", rate_hz,
         rate_hz == 0 or MIN_SLOT_RATE_HZ <= rate_hz <= MAX_SLOT_RATE_HZ,
         f"is 0, or {MIN_SLOT_RATE_HZ:g} to {MAX_SLOT_RATE_HZ:g}"),
    )  # fmt: skip
    for name, value, holds, rule in allowed:
        if not holds:
            value = float(value)
            shown = f"{value:g}" if math.isfinite(value) else str(value)
            raise _faulty(url, f"its {name} is {shown}, which {rule}")


def _faulty(url: str, what: str) -> FaultyBoardError:
    return FaultyBoardError(
        f"the board at {url} says in HELLO that {what}: its firmware is faulty; update it"
    )
