"""The examples, run as their reader runs them: beside an emulated board, in a folder of his own."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

import focalloop
from tests.support import ROOT
from tests.support.running import Running

EXAMPLES = ROOT / "examples"
SCRIPTS = {
    "upload_and_look": ("URL", "video.mp4"),
    "capture_to_disk": ("URL", "night"),
    "emulate_and_reconstruct": ("video.npz",),
    "make_a_map": ("map.npz", "map.png"),
    "calibrate_a_board": ("URL", "profile.json"),
    "watch_a_stream": ("URL", "3"),
}
"""Each script's arguments; those that name files are what it must write."""
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """The path of an emulated board's device."""
    link = tmp_path_factory.mktemp("device") / "board"
    with Running("emulate", "--size", "128x128", "--profile", "scamp5", "--link", str(link)):
        yield link


def test_every_script_and_notebook_is_run():
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(SCRIPTS)
    assert NOTEBOOKS == ["calibrate_and_emulate", "compare_maps", "upload_and_look"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script(name, board, tmp_path):
    words = [str(board) if word == "URL" else word for word in SCRIPTS[name]]
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    files = {word for word in words if re.search(r"\.\w+$|^night$", word)}
    assert {path.name for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook(name, board, tmp_path, monkeypatch):
    (tmp_path / "board").symlink_to(board.readlink())
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", timeout=90)
    client.execute(cwd=tmp_path)
    shown = {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", ())
    }
    assert "image/png" in shown


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_clean(name):
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    assert set(notebook.metadata) == {"kernelspec"}
    for cell in notebook.cells:
        assert not cell.metadata
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_examples_use_the_door_alone(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(from|import) focalloop\.", text)
    for line in re.findall(r"from focalloop import ([\w, ]+)", text):
        assert set(line.split(", ")) <= set(focalloop.__all__)


def test_the_snippets_of_the_python_page(board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) > 5
    known = {}
    for snippet in snippets:
        exec(snippet.replace("/dev/ttyACM0", str(board)), known)
