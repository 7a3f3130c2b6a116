"""What `import focalloop` gives, what it loads, and what it says of a name that it lacks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import focalloop

NAMES = {
    "AdaptiveMap",
    "Board",
    "Bundle",
    "Capture",
    "Correction",
    "Emulator",
    "FixedPattern",
    "NoiseProfile",
    "RatioMap",
    "Recording",
    "Window",
    "calibrate",
    "draw_pattern",
    "__version__",
}
ERRORS = {
    "BoardBusyError",
    "BoardError",
    "BoardLostError",
    "BundleError",
    "CalibrationError",
    "CaptureError",
    "CaptureInterruptedError",
    "EmulatorError",
    "FixedPatternError",
    "FocalloopError",
    "MetricsError",
    "NoAnswerError",
    "NoiseProfileError",
    "NotABoardError",
    "PortError",
    "RatioMapError",
    "ReconstructError",
    "RecordingError",
    "UnknownMapError",
    "VersionMismatchError",
    "VideoError",
    "WriteError",
}


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_the_exported_names_are_these():
    assert set(focalloop.__all__) == NAMES | ERRORS
    assert set(dir(focalloop)) >= NAMES | ERRORS
    assert all(getattr(focalloop, name) is not None for name in focalloop.__all__)


def test_every_error_is_a_focalloop_error():
    assert all(issubclass(getattr(focalloop, name), focalloop.FocalloopError) for name in ERRORS)


def test_type_checkers_and_editors_see_the_same_names():
    tree = ast.parse(Path(focalloop.__file__).read_text())
    (guarded,) = (node for node in tree.body if ast.unparse(node).startswith("if TYPE_CHECKING"))
    homes = {
        alias.asname: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == {name: f"focalloop.{home}" for name, home in focalloop._HOME.items()}


def test_the_import_alone_loads_nothing():
    program = "import sys; before = set(sys.modules); import focalloop; print(*sys.modules)"
    loaded = set(run(program).stdout.split())
    assert not loaded & {"numpy", "numba", "scipy", "onnxruntime", "serial", "typer"}
    assert {name for name in loaded if name.startswith("focalloop")} == {"focalloop"}


@pytest.mark.parametrize("name", ["RatioMap", "Board", "Bundle", "Capture", "CalibrationError"])
def test_what_emulates_nothing_loads_no_emulator(name):
    program = f"import sys; from focalloop import {name}; print(*sys.modules)"
    loaded = set(run(program).stdout.split())
    assert "numpy" in loaded or name.endswith("Error")
    assert not loaded & {"numba", "onnxruntime", "fastapi", "typer"}


def test_a_name_that_is_not_exported_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'Ratiomap': did you mean RatioMap\?$"):
        _ = focalloop.Ratiomap
    with pytest.raises(AttributeError, match="'pineapple': it has Board, Window, RatioMap"):
        _ = focalloop.pineapple
    assert not hasattr(focalloop, "pineapple")


def test_what_a_user_reads_names_the_nearest_once():
    asked = run("import focalloop; focalloop.Ratiomap").stderr.splitlines()[-1]
    text = "module 'focalloop' has no attribute 'Ratiomap': did you mean RatioMap?"
    assert asked == f"AttributeError: {text}"
    imported = run("from focalloop import Ratiomap").stderr.splitlines()[-1]
    text = "cannot import name 'Ratiomap' from 'focalloop': did you mean RatioMap?"
    assert imported == f"ImportError: {text}"
    assert run("from focalloop import host, RatioMap").returncode == 0
