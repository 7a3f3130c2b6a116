"""The four folders are imported as `focalloop.*` alone, also in a clone, where both would work."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.support import ROOT

OLD = "host|models|calibration|firmware_sim|board"
IMPORTED_BY_AN_OLD_NAME = re.compile(
    rf"^\s*(?:>>> )?(?:from|import) (?:{OLD})\b(?! *=)"  # a statement
    rf"|-m (?:{OLD})\b"  # a command
    rf"|[\"'](?:{OLD})(?:\.\w+)*:\w+[\"']"  # an entry point
    rf"|(?:import_module|find_spec|files)\([\"'](?:{OLD})\b",
    re.MULTILINE,
)
SUFFIXES = {".py", ".toml", ".md", ".sh", ".yml", ".ipynb", ".h", ".c", ""}
NOT_LOOKED_AT = {"docs/migration.md", "tests/focalloop/test_one_name.py"}


def test_no_file_imports_an_old_name():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in set(listed.stdout.splitlines()) - NOT_LOOKED_AT:
        path = ROOT / name
        if path.suffix in SUFFIXES and path.is_file():
            found = IMPORTED_BY_AN_OLD_NAME.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{name}: {found and found[0]}"


@pytest.mark.parametrize(
    "line",
    ["import host", "    from models import zoo", "python -m host.cli", '"host.cli:main"'],
)
def test_old_names_would_be_found(line):
    assert IMPORTED_BY_AN_OLD_NAME.search(line)


def test_no_module_loads_twice():
    """Every module of the package, imported with the repository itself on the path."""
    program = """
import pkgutil, sys
from importlib import import_module
from pathlib import Path
import focalloop

def fail(name):
    raise
for module in pkgutil.walk_packages(focalloop.__path__, "focalloop.", fail):
    import_module(module.name)
for module in list(sys.modules.values()):
    if file := getattr(module, "__file__", None):
        print(Path(file).resolve())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = [line for line in done.stdout.splitlines() if line.startswith(str(ROOT))]
    assert len(loaded) > 150
    assert [file for file, times in Counter(loaded).items() if times > 1] == []
