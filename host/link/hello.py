"""HELLO: who is at the port, and whether what it says of itself can be.

The host's computations and allocations depend on that answer.
"""

from __future__ import annotations

import math
from importlib.metadata import version

from focalloop.firmware_sim.maps.checks import check_level_set, checked_shape
from focalloop.firmware_sim.maps.ratio_map import RatioMapError
from focalloop.firmware_sim.wire import (
    LARGE_MAX_PAYLOAD,
    MIN_MAX_PAYLOAD,
    PROTOCOL_VERSION,
    ErrorCode,
    HelloAnswer,
    HelloRequest,
    MessageType,
    WireError,
)
from focalloop.host.errors import (
    BoardError,
    BoardLostError,
    FaultyBoardError,
    NoAnswerError,
    NotABoardError,
    VersionMismatchError,
)
from focalloop.host.link.io_threads import Link

MAX_WINDOW_BYTES = 1 << 30
"""Longest readout, and longest scene, of one window: 64 megapixels, read eight times."""

MAX_DN = 1e9
"""Largest black level and full scale, as in noise profiles."""

MIN_SLOT_RATE_HZ, MAX_SLOT_RATE_HZ = 0.1, 1e9
"""Range of a board's slot rate, where it has one; the host waits for the duration of a window."""


def handshake(
    link: Link, url: str, timeout_s: float, max_payload: int = LARGE_MAX_PAYLOAD
) -> HelloAnswer:
    """Say HELLO over a link, accepting bodies of `max_payload` bytes; return what the board is.

    Raises
    ------
    NotABoardError
        No valid answer came within `timeout_s`.
    VersionMismatchError
        The board speaks another protocol version.
    FaultyBoardError
        What it says of itself cannot be.
    """
    hello = HelloRequest(max_payload, f"focalloop {version('focalloop')}")
    try:
        board = HelloAnswer.unpack(
            link.request(MessageType.HELLO, hello.pack(), timeout_s=timeout_s)
        )
    except NoAnswerError:
        if link.bytes_in == 0:
            heard = "it is silent; check the board's power and firmware, and that this is its port"
        else:
            heard = (
                f"it sent {link.bytes_in} bytes, none of them an answer; "
                "check the baud rate, and that this is the board's port"
            )
        raise NotABoardError(f"no board answers at {url}: {heard}") from None
    except BoardLostError as error:
        raise NotABoardError(
            f"{url} closed the connection before it answered HELLO: {error}; close other programs "
            "that use it"
        ) from None
    except WireError as error:
        raise NotABoardError(f"what answers at {url} is not a board: {error}") from error
    except BoardError as error:
        if error.code != ErrorCode.VERSION_MISMATCH:
            raise
        raise VersionMismatchError(
            f"the board at {url} speaks another protocol version than this program "
            f"({PROTOCOL_VERSION}): {error.text}; update the board's firmware or focalloop"
        ) from None
    if board.protocol != PROTOCOL_VERSION:
        raise VersionMismatchError(
            f"the board at {url} speaks protocol version {board.protocol} and this program "
            f"{PROTOCOL_VERSION}; update the older of the two"
        )
    check_hello(board, url)
    link.keep_alive(board.max_in_flight)
    return board


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
