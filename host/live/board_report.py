"""A board and its link as the documents of the session's state."""

from __future__ import annotations

from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.live.state import BoardIdentity, LinkState


def board_identity(board: Board) -> BoardIdentity:
    """Return what the board said of itself in its HELLO."""
    info = board.info
    return BoardIdentity(
        url=board.url,
        name=info.name,
        firmware=info.firmware,
        serial=info.serial,
        simulated=bool(info.features & Feature.EMULATOR),
        replay=bool(info.features & Feature.REPLAY),
        gives_scene=bool(info.features & Feature.SCENE),
        height=info.height,
        width=info.width,
        slots=info.slots,
        bits=info.bits,
        black_level_dn=info.black_level_dn,
        full_scale_dn=info.full_scale_dn,
        slot_rate_hz=info.slot_rate_hz,
    )


def link_state(board: Board) -> LinkState:
    """Return the counters and the present rate of the board's link."""
    stats = board.stats
    return LinkState(
        rate_bytes_per_s=stats.goodput_bytes_per_s,
        received_bytes=stats.bytes_in,
        bad_frames=stats.frames_bad,
        resends=stats.resends + stats.repeats,
        reconnects=stats.reconnects,
        frame_bytes=stats.frame_bytes,
        round_trip_ms=None if stats.round_trip_s is None else 1e3 * stats.round_trip_s,
    )
