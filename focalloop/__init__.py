"""Hardware-in-the-loop emulation and deployment for programmable focal-plane sensors.

Everything that a program or a notebook needs is here; each name is loaded when it is first used::

    from focalloop import Board, Bundle

    bundle = Bundle.load()
    with Board.open("/dev/ttyACM0") as board:
        board.upload(bundle.ratio_map)
        video = bundle.reconstruct(board.capture()[0])
"""

import os as _os
from typing import TYPE_CHECKING

# Set before anything here can import ONNX Runtime, and inherited by child processes: otherwise ONNX
# Runtime writes a device id and events to the user's cache folder, and sends them to its maker.
_os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from focalloop.calibration.errors import CalibrationError as CalibrationError
    from focalloop.firmware_sim.emulator.emulator import (
        Emulator as Emulator,
        EmulatorError as EmulatorError,
    )
    from focalloop.firmware_sim.emulator.pattern import draw_pattern as draw_pattern
    from focalloop.firmware_sim.errors import FocalloopError as FocalloopError
    from focalloop.firmware_sim.files import WriteError as WriteError
    from focalloop.firmware_sim.fixed_pattern import (
        FixedPattern as FixedPattern,
        FixedPatternError as FixedPatternError,
    )
    from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap as AdaptiveMap
    from focalloop.firmware_sim.maps.ratio_map import (
        RatioMap as RatioMap,
        RatioMapError as RatioMapError,
    )
    from focalloop.firmware_sim.noise import (
        NoiseProfile as NoiseProfile,
        NoiseProfileError as NoiseProfileError,
    )
    from focalloop.firmware_sim.window import Window as Window
    from focalloop.host.board.client import Board as Board
    from focalloop.host.captures.calibrate import calibrate as calibrate
    from focalloop.host.captures.capture import Capture as Capture
    from focalloop.host.errors import (
        BoardBusyError as BoardBusyError,
        BoardError as BoardError,
        BoardLostError as BoardLostError,
        CaptureError as CaptureError,
        CaptureInterruptedError as CaptureInterruptedError,
        NoAnswerError as NoAnswerError,
        NotABoardError as NotABoardError,
        PortError as PortError,
        RecordingError as RecordingError,
        UnknownMapError as UnknownMapError,
        VersionMismatchError as VersionMismatchError,
    )
    from focalloop.host.reconstruction.bundle import (
        Bundle as Bundle,
        BundleError as BundleError,
    )
    from focalloop.host.reconstruction.correction import Correction as Correction
    from focalloop.host.reconstruction.quality import MetricsError as MetricsError
    from focalloop.host.reconstruction.reconstruct import ReconstructError as ReconstructError
    from focalloop.host.reconstruction.video import VideoError as VideoError
    from focalloop.host.recording.recording import Recording as Recording

    __version__: str

_HOME = {
    "Board": "host.board.client",
    "Window": "firmware_sim.window",
    "RatioMap": "firmware_sim.maps.ratio_map",
    "AdaptiveMap": "firmware_sim.maps.adaptive_map",
    "NoiseProfile": "firmware_sim.noise",
    "FixedPattern": "firmware_sim.fixed_pattern",
    "draw_pattern": "firmware_sim.emulator.pattern",
    "Emulator": "firmware_sim.emulator.emulator",
    "Bundle": "host.reconstruction.bundle",
    "Correction": "host.reconstruction.correction",
    "Capture": "host.captures.capture",
    "Recording": "host.recording.recording",
    "calibrate": "host.captures.calibrate",
    "BoardBusyError": "host.errors",
    "BoardError": "host.errors",
    "BoardLostError": "host.errors",
    "BundleError": "host.reconstruction.bundle",
    "CalibrationError": "calibration.errors",
    "CaptureError": "host.errors",
    "CaptureInterruptedError": "host.errors",
    "EmulatorError": "firmware_sim.emulator.emulator",
    "FixedPatternError": "firmware_sim.fixed_pattern",
    "FocalloopError": "firmware_sim.errors",
    "MetricsError": "host.reconstruction.quality",
    "NoAnswerError": "host.errors",
    "NoiseProfileError": "firmware_sim.noise",
    "NotABoardError": "host.errors",
    "PortError": "host.errors",
    "RatioMapError": "firmware_sim.maps.ratio_map",
    "RecordingError": "host.errors",
    "ReconstructError": "host.reconstruction.reconstruct",
    "UnknownMapError": "host.errors",
    "VersionMismatchError": "host.errors",
    "VideoError": "host.reconstruction.video",
    "WriteError": "firmware_sim.files",
}
"""Where each exported name lives; above, the same for type checkers and editors."""

__all__ = [*_HOME, "__version__"]

if not TYPE_CHECKING:  # from a module with `__getattr__`, a type checker would take any name

    def __getattr__(name: str) -> object:
        """Load an exported name, and keep it; name the nearest one where there is none."""
        if name in _HOME:
            from importlib import import_module

            value = getattr(import_module(f"focalloop.{_HOME[name]}"), name)
        elif name == "__version__":
            from importlib.metadata import version

            value = version("focalloop")
        else:
            raise _missing(name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

    def _missing(name: str) -> Exception:
        import sys
        from difflib import get_close_matches
        from importlib.util import find_spec

        known = {exported.lower(): exported for exported in __all__}
        near = get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {known[near[0]]}?" if near else f"it has {', '.join(__all__)}"
        # `from focalloop import name` would swallow an AttributeError, hint and all.
        asks = sys._getframe(2).f_code.co_name
        if asks == "_handle_fromlist" and find_spec(f"focalloop.{name}") is None:
            return ImportError(f"cannot import name {name!r} from 'focalloop': {hint}")
        # With its object and without its name, so that Python adds no hint of its own.
        text = f"module 'focalloop' has no attribute {name!r}: {hint}"
        return AttributeError(text, obj=sys.modules[__name__])
