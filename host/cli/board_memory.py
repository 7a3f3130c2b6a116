"""What this user's calibrations found of boards, kept by their serial numbers.

Each board has a folder in the user's state folder, with its noise profile and its fixed pattern.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import exists, folder_written_whole
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.virtual_board.settings import NO_SERIAL

if TYPE_CHECKING:
    from focalloop.calibration.result import Calibration

_PROFILE, _PATTERN = "profile.json", "correction.npz"


class BoardMemoryError(FocalloopError):
    """Nothing can be kept for a board, or what was kept cannot be used; the text says why."""


@dataclass(frozen=True, eq=False)
class KnownBoard:
    """What was kept of a board: its noise, and what corrects its reads."""

    profile: NoiseProfile
    pattern: FixedPattern


def check_serial(serial: str | None) -> str:
    """Return a serial number that tells a board from others.

    Raises
    ------
    BoardMemoryError
        There is none, or it is that of every emulated board.
    """
    if not serial or serial == NO_SERIAL:
        raise BoardMemoryError(
            f"nothing can be kept for a board whose serial number is {serial or ''!r}, which does "
            "not tell it from others: write files by -o and --correction"
        )
    return serial


def remember(serial: str, found: Calibration, pattern: FixedPattern) -> Path:
    """Keep what a calibration found of a board, in place of what was kept; return its folder.

    Raises
    ------
    BoardMemoryError
        As from `check_serial`.
    WriteError
        The state folder cannot be written.
    """
    folder = _folder(check_serial(serial))
    with folder_written_whole(folder, replace=True) as partial:
        text = dumps(found.as_dict(), indent=2, allow_nan=False) + "\n"
        (partial / _PROFILE).write_text(text, encoding="utf-8")
        pattern.save(partial / _PATTERN)
    return folder


def recall(serial: str, shape: tuple[int, int]) -> KnownBoard | None:
    """Return what is kept of the board with this serial number; None if nothing is.

    Raises
    ------
    BoardMemoryError
        What was kept is damaged, or of another array size than `shape`.
    """
    folder = _folder(serial)
    if not serial or serial == NO_SERIAL or not exists(folder):
        return None
    try:
        pattern = FixedPattern.load(folder / _PATTERN)
        pattern.check_fits(shape, serial)
        return KnownBoard(NoiseProfile.load(folder / _PROFILE), pattern)
    except FocalloopError as error:
        raise BoardMemoryError(
            f"what is kept of the board {serial} cannot be used ({error}): calibrate it again with "
            "--remember"
        ) from None


def _folder(serial: str) -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # as the XDG specification has it
        state = Path.home() / ".local" / "state"
    # No serial number is then the name of another folder, on any system.
    return state / "focalloop" / "boards" / f"serial-{quote(serial, safe='').replace('.', '%2E')}"
