"""Calibration of whatever a user has: captures, a board, EMVA 1288 images or TIFF stacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from focalloop.firmware_sim.default_calibration import DEFAULT_READS
from focalloop.firmware_sim.files import exists, scratch_folder
from focalloop.host.board.client import Board
from focalloop.host.captures.capture import MANIFEST, Capture
from focalloop.host.errors import CaptureError

if TYPE_CHECKING:
    from focalloop.calibration.readings import Readings
    from focalloop.calibration.result import Calibration

Source = str | Path | Capture
"""A capture, or the path of a capture, an EMVA 1288 descriptor or a TIFF stack."""


def calibrate(
    *sources: Source | Board,
    name: str = "calibrated",
    protocol: Literal["weighted", "emva"] = "weighted",
    bits: int | None = None,
    full_scale_dn: float | None = None,
    full_scale_relative_error: float = 0.0,
) -> Calibration:
    """Estimate a sensor's noise from dark and flat reads, with 95 % intervals.

    Parameters
    ----------
    *sources : str, Path, Capture or Board
        One or more captures of one board, or their folders; or one EMVA 1288 descriptor or TIFF
        stack; or an emulated board, which sets its light itself, and from which a capture is
        taken now.
    name : str
        Name of the noise profile.
    protocol : {"weighted", "emva"}
        How to fit: all levels with weights, or as in EMVA 1288.
    bits : int, optional
        Resolution of the ADC, for a TIFF stack.
    full_scale_dn : float, optional
        Codes from black to signal 1.0, for images; by default those from black to saturation.
    full_scale_relative_error : float
        Relative standard uncertainty of the full scale.

    Returns
    -------
    Calibration
        With the noise profile for an emulator as its ``profile``.

    Raises
    ------
    CaptureError
        If a source is missing or of another kind, or is not dark and flat reads of one board.
    CalibrationError
        If the reads hold no information about the noise, or contradict their declaration.
    """
    from focalloop.calibration import Settings, calibrate as fit

    for source in sources:
        if not isinstance(source, str | Path | Capture | Board):
            raise CaptureError(
                "calibrate takes captures, their folders or boards as separate arguments, not a "
                f"{type(source).__name__}"
            )
    with scratch_folder() as scratch:
        captured = [
            _taken(source, scratch / f"capture-{number}") if isinstance(source, Board) else source
            for number, source in enumerate(sources)
        ]
        readings = read_sources(
            *captured,
            bits=bits,
            full_scale_dn=full_scale_dn,
            full_scale_relative_error=full_scale_relative_error,
        )
        return fit(readings, Settings(protocol=protocol, name=name))


def read_sources(
    *sources: Source,
    bits: int | None = None,
    full_scale_dn: float | None = None,
    full_scale_relative_error: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Readings:
    """Read the input of a calibration; parameters and errors as in `calibrate`.

    `progress` takes the number of images read and in total.
    """
    readings = _read(sources, bits, full_scale_dn, progress)
    provenance = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": f"focalloop {version('focalloop')}",
    }
    return replace(
        readings,
        full_scale_relative_error=full_scale_relative_error,
        origin={**provenance, **readings.origin},
    )


def kind_of(source: Source) -> Literal["capture", "tiff stack", "emva"]:
    """Return whether a source is a capture, a TIFF stack or an EMVA 1288 descriptor.

    Raises
    ------
    CaptureError
        If it is missing, or none of these.
    """
    from focalloop.calibration.files.emva import DESCRIPTOR, is_emva
    from focalloop.calibration.files.tiff_stack import TABLE, table_of

    if _is_capture(source):
        return "capture"
    assert not isinstance(source, Capture)
    path = Path(source)
    if not exists(path):
        raise CaptureError(f"there is no {path}: check its name")
    if (path / DESCRIPTOR).exists():
        return "emva"
    if path.suffix.lower() in (".csv", ".tsv") or (path.is_dir() and table_of(path).exists()):
        return "tiff stack"
    if path.is_file() and is_emva(path):
        return "emva"
    raise CaptureError(
        f"{path} holds nothing to calibrate from: give a folder with {MANIFEST} (a capture) or "
        f"{TABLE} (a TIFF stack), an EMVA 1288 descriptor, or focalloop.Recording(...).capture()"
    )


def _read(
    sources: tuple[Source, ...],
    bits: int | None,
    full_scale_dn: float | None,
    progress: Callable[[int, int], None] | None,
) -> Readings:
    from focalloop.calibration.files.emva import DESCRIPTOR, read_emva
    from focalloop.calibration.files.tiff_stack import read_tiff_stack
    from focalloop.host.captures.calibration_readings import readings_of

    if not sources:
        raise CaptureError("there is nothing to calibrate from: give dark and flat captures")
    if len(sources) > 1 and not all(map(_is_capture, sources)):
        raise CaptureError(
            "several sources must be captures of one board: give a descriptor or a TIFF stack alone"
        )
    kind = kind_of(sources[0])
    if kind == "capture":
        if bits or full_scale_dn:
            raise CaptureError("bits and full scale are for images: a capture states its own")
        return readings_of([s if isinstance(s, Capture) else Capture.load(s) for s in sources])
    path = Path(str(sources[0]))
    if kind == "tiff stack":
        return read_tiff_stack(path, bits=bits, full_scale_dn=full_scale_dn, progress=progress)
    if bits:
        raise CaptureError("bits are for TIFF stacks: a descriptor states its own")
    descriptor = path / DESCRIPTOR if path.is_dir() else path
    return replace(read_emva(descriptor, progress), full_scale_dn=full_scale_dn)


def _is_capture(source: Source) -> bool:
    return isinstance(source, Capture) or exists(Path(source) / MANIFEST)


def _taken(board: Board, folder: Path) -> Capture:
    """Take the default design from a board that sets its light itself."""
    from focalloop.firmware_sim.wire import Feature
    from focalloop.host.captures.calibration_capture import take
    from focalloop.host.captures.calibration_design import Design, plan
    from focalloop.host.captures.writer import CaptureWriter

    if Feature.EMULATOR not in board.info.features:
        raise CaptureError(
            f"{board.info.name} cannot set its light by itself: take the captures with "
            "`focalloop calibrate --port URL --keep DIR`"
        )
    with CaptureWriter(folder, board.info) as writer:
        take(board, plan(board.info, Design.SPANS, DEFAULT_READS), writer)
    return Capture.load(folder)
