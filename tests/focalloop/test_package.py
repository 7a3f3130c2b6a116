"""The wheel and the editable install, also from a checkout that has no symbolic links."""

import shutil
import subprocess
import sys
import zipfile
from textwrap import dedent

import pytest

from focalloop.models.zoo import DEFAULT_BUNDLE
from tests.support import ROOT

FOLDERS = ("firmware_sim", "calibration", "models", "host")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
TEXT_FILES = "text files"
"""What git leaves in place of links where a file system has none."""

MUST_HOLD = [
    "py.typed",
    "__main__.py",
    "calibration/report/report.html",
    "firmware_sim/reference_firmware/Makefile",
    "host/clips/box.mp4",
    "host/web/fonts/inter.woff2",
    "host/web/index.html",
    "host/web/views/live/live.js",
    "models/zoo/__init__.py",
    "models/zoo/edge-universal.safetensors",
]
SUFFIXES_OF = {
    "firmware_sim": (".py", ".c", ".h", ".ld", ".js"),
    "calibration": (".py", ".html"),
    "models": (".py", ".sha256", ".safetensors", ".onnx", ".npz", ".json"),
    "host": (".py", ".js", ".html", ".css", ".svg", ".mp4", ".woff2"),
}


@pytest.fixture(params=["links", TEXT_FILES], scope="module")
def checkout(request, tmp_path_factory):
    """A copy of the sources, in which only the weights of the default bundle are whole.

    To pack all of them takes most of the time of a wheel.
    """
    copy = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
    for name in (*FOLDERS, "focalloop"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    for suffix in (".onnx", ".safetensors"):
        for weights in (copy / "models" / "zoo").rglob(f"*{suffix}"):
            if DEFAULT_BUNDLE not in weights.parts:
                weights.write_bytes(b"weights")
    if request.param == TEXT_FILES:
        for name in FOLDERS:
            (copy / "focalloop" / name).unlink()
            (copy / "focalloop" / name).write_text(f"../{name}")
    return copy


def run(*words, cwd):
    done = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_isolated(program, cwd):
    """Run with the packages of this environment, and without its own install of focalloop."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    head = f"import sys; sys.path += {packages}\n"
    run(sys.executable, "-S", "-c", head + dedent(program), cwd=cwd)


def pip(*words, cwd):
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    return run(sys.executable, "-m", "pip", *words, *quiet, cwd=cwd)


def test_the_wheel_installs_one_name_and_everything_under_it(checkout, tmp_path):
    pip("wheel", ".", "-w", tmp_path, cwd=checkout)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    tops = {name.partition("/")[0] for name in held}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"focalloop"}
    assert {f"focalloop/{name}" for name in MUST_HOLD} <= held
    for folder, suffixes in SUFFIXES_OF.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                assert f"focalloop/{path.relative_to(ROOT)}" in held
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    program = f"""
        from importlib.util import find_spec
        sys.path.insert(0, {str(installed)!r})
        import focalloop
        assert focalloop.__file__.startswith({str(installed)!r}), focalloop.__file__
        assert focalloop.Bundle.load().ratio_map
        assert not [name for name in {FOLDERS!r} if find_spec(name)]
    """
    run_isolated(program, cwd=tmp_path)


@pytest.mark.parametrize("checkout", [TEXT_FILES], indirect=True)  # that with links runs this test
def test_an_editable_install_imports_from_the_checkout(checkout, tmp_path):
    pip("install", "--editable", ".", "--target", tmp_path / "site", cwd=checkout)
    program = f"""
        import site
        sys.path.insert(0, {str(tmp_path / "site")!r})
        site.addsitedir({str(tmp_path / "site")!r})
        import focalloop
        from focalloop import Board, Bundle, RatioMap
        from focalloop.host.cli.main import main
        import focalloop.models.zoo as zoo
        assert Bundle.load().ratio_map
        for module in (focalloop, zoo, sys.modules[Board.__module__]):
            assert module.__file__.startswith({str(checkout)!r}), module.__file__
    """
    run_isolated(program, cwd=tmp_path)
