"""A calibration that is applied: what corrects the board's reads by it, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.reconstruction.correction import Correction

if TYPE_CHECKING:
    from focalloop.calibration import Calibration


class BoardMemory(Protocol):
    """Keeps what was found of boards for later sessions, by their serial numbers."""

    def check_serial(self, serial: str | None) -> str:
        """Return a serial number; raises a `FocalloopError` if it tells a board from no other."""
        ...

    def remember(self, found: Calibration, pattern: FixedPattern) -> Path:
        """Keep a result with its pattern; raises a `FocalloopError` if that is not possible."""
        ...

    def kept(self, serial: str) -> dict[str, bytes]:
        """Return the files that are kept of a board, by their names; raises a `FocalloopError`."""
        ...

    def keep(self, serial: str, files: Mapping[str, bytes]) -> None:
        """Keep these files in their place, none for nothing; raises a `FocalloopError`."""
        ...


_InUse = tuple[HelloAnswer, BoardCorrection] | None


@dataclass(frozen=True)
class _Before:
    """What was before a calibration was applied."""

    in_use: _InUse
    serial: str = ""
    """Under which the result is kept; empty where it is not."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What was kept of the board."""
    kept: Mapping[str, bytes] = field(default_factory=dict)
    """What the result put in its place."""


class AppliedCalibration:
    """What was applied to a board in this session.

    Parameters
    ----------
    memory : BoardMemory or None
        Keeps it for later sessions; None keeps nothing.
    """

    def __init__(self, memory: BoardMemory | None) -> None:
        self._memory = memory
        self._in_use: _InUse = None
        self._before = _Before(None)

    def use(self, board: HelloAnswer, correction: BoardCorrection) -> None:
        """Correct the reads of a board from now on."""
        self._before = _Before(self._in_use)
        self._in_use = board, correction

    def undo(self) -> None:
        """Use and keep again what was before the last `use`.

        What is kept by now stays where it is no longer what `keep` kept.

        Raises
        ------
        FocalloopError
            What was kept cannot be put back; nothing has changed then.
        """
        before, memory = self._before, self._memory
        if memory is not None and before.serial and memory.kept(before.serial) == before.kept:
            memory.keep(before.serial, before.files)
        self._in_use = before.in_use

    def to(self, board: HelloAnswer) -> BoardCorrection | None:
        """Return what was applied to a board; None if nothing was."""
        if self._in_use is None or self._in_use[0].serial != board.serial:
            return None
        known, correction = self._in_use
        return correction if known.shape == board.shape and known.bits == board.bits else None

    def keeps(self, board: HelloAnswer) -> str:
        """Return the serial number under which a result of a board is kept, or ""."""
        try:
            return "" if self._memory is None else self._memory.check_serial(board.serial)
        except FocalloopError:
            return ""

    def keep(self, result: Calibration, board: HelloAnswer) -> str:
        """Keep a result; return a sentence that says whether it was."""
        if isinstance(result.pattern, FocalloopError):
            return f"It is not kept, because {result.pattern}."
        memory, serial = self._memory, self.keeps(board)
        if memory is None or not serial:
            return (
                f"It is used until the session ends: the serial number {board.serial!r} does not "
                "tell this board from others."
            )
        try:
            before = memory.kept(serial)
            memory.remember(result, result.pattern)
            kept = memory.kept(serial)
        except FocalloopError as error:
            return f"It is used until the session ends, but could not be kept: {error}."
        self._before = replace(self._before, serial=serial, files=before, kept=kept)
        return f"It is kept for the board {board.serial}: live and serve use it from now on."


def correction_by(found: Calibration) -> BoardCorrection:
    """Return what a calibration corrects the reads of its board by."""
    pattern = None if isinstance(found.pattern, FocalloopError) else found.pattern
    correction = Correction.needed(pattern, found.profile)
    by = "" if correction is None else "the calibration of this session"
    said = f"The reads are corrected by {by}." if by else ""
    return BoardCorrection(correction, by, said, found.profile)
