"""What this user's calibrations found of boards, kept by their serial numbers.

Each board has a folder in the user's state folder, with its noise profile and its fixed pattern.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from json import dumps
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import exists, folder_written_whole
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.virtual_board.settings import NO_SERIAL
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.reconstruction.correction import Correction

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


def remember(found: Calibration, pattern: FixedPattern) -> Path:
    """Keep what a calibration found of a board, in place of what was kept; return its folder.

    Parameters
    ----------
    found : Calibration
        For its noise profile.
    pattern : FixedPattern
        Its pattern, with the serial number of the board.

    Raises
    ------
    BoardMemoryError
        As from `check_serial`.
    WriteError
        The state folder cannot be written.
    """
    serial = check_serial(pattern.serial)
    text = dumps(found.as_dict(), indent=2, allow_nan=False) + "\n"
    keep(serial, {_PROFILE: text.encode(), _PATTERN: pattern.encode()})
    return _folder(serial)


def kept(serial: str) -> dict[str, bytes]:
    """Return the files that are kept of a board as they are, by their names; none if nothing is.

    Raises
    ------
    BoardMemoryError
        They cannot be read.
    """
    folder = _folder(serial)
    paths = [folder / name for name in (_PROFILE, _PATTERN)]
    try:
        return {path.name: path.read_bytes() for path in paths if exists(path)}
    except OSError as error:
        raise BoardMemoryError(f"cannot read {folder}: {error.strerror}") from None


def keep(serial: str, files: Mapping[str, bytes]) -> None:
    """Keep these files, as from `kept`, in place of what is kept of a board; none for nothing.

    Raises
    ------
    BoardMemoryError
        What is kept cannot be removed.
    WriteError
        The state folder cannot be written.
    """
    folder = _folder(serial)
    if not files:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise BoardMemoryError(f"cannot remove {folder}: {error.strerror}") from None
        return
    with folder_written_whole(folder, replace=True) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)


def recall(board: HelloAnswer) -> KnownBoard | None:
    """Return what is kept of a board, by its serial number; None if nothing is.

    Raises
    ------
    BoardMemoryError
        What was kept is damaged, or of another array size or setting of the ADC.
    """
    folder = _folder(board.serial)
    if not board.serial or board.serial == NO_SERIAL or not exists(folder):
        return None
    try:
        pattern = FixedPattern.load(folder / _PATTERN)
        pattern.check_fits(board.shape, board.serial)
        profile = NoiseProfile.load(folder / _PROFILE)
        same_bits = profile.bits == board.bits
        if not (same_bits and isclose(profile.full_scale_dn, board.full_scale_dn, rel_tol=1e-6)):
            raise BoardMemoryError(
                f"its ADC then had {profile.bits} bits and {profile.full_scale_dn:g} DN full scale,"
                f" not {board.bits} bits and {board.full_scale_dn:g} DN"
            )
        return KnownBoard(profile, pattern)
    except FocalloopError as error:
        raise BoardMemoryError(
            f"what is kept of the board {board.serial} cannot be used ({error}): calibrate it "
            "again with --remember"
        ) from None


def correction_for(
    board: HelloAnswer,
    given: FixedPattern | None = None,
    profile: NoiseProfile | None = None,
    *,
    kept: bool = True,
) -> BoardCorrection:
    """Return what corrects the reads of a board: what is given, else what is kept of it.

    Parameters
    ----------
    board : HelloAnswer
        Its answer to HELLO.
    given : FixedPattern, optional
        A pattern that was asked for.
    profile : NoiseProfile, optional
        Noise of the board, for its response; by default what is kept of it.
    kept : bool
        Whether to use what is kept.

    Raises
    ------
    FixedPatternError
        The pattern given is of another board.
    """
    if given is not None:
        given.check_fits(board.shape, board.serial)
        if kept and profile is None:
            with suppress(BoardMemoryError):
                known = recall(board)
                profile = None if known is None else known.profile
        said = f"The reads are corrected by the pattern given ({given.summary})."
        return BoardCorrection(Correction(given, profile), "the pattern given", said, profile)
    if kept:
        try:
            known = recall(board)
        except BoardMemoryError as error:
            said = f"The reads are not corrected: {error}."
            return BoardCorrection(said=said, noise=profile)
        if known is not None:
            by = f"what is kept of board {board.serial}"
            said = f"The reads are corrected by {by} ({known.pattern.summary})."
            correction = Correction(known.pattern, known.profile)
            return BoardCorrection(correction, by, said, known.profile)
    if profile is not None and not profile.response.straight:
        by = f"the response of {profile.name}"
        said = f"The reads are corrected by {by}."
        return BoardCorrection(Correction(None, profile), by, said, profile)
    return BoardCorrection(noise=profile)


def _folder(serial: str) -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # as the XDG specification has it
        state = Path.home() / ".local" / "state"
    # No serial number is then the name of another folder, on any system.
    return state / "focalloop" / "boards" / f"serial-{quote(serial, safe='').replace('.', '%2E')}"
