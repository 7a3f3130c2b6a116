"""Documents: what they link to and name exists, and they agree on the version."""

import re
import tomllib
from importlib.util import find_spec
from pkgutil import resolve_name

import pytest

import focalloop
from tests.support import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)\s]*)?\)")
SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(
    r"\.?(?:benchmarks|calibration|ci|docs|examples|firmware_sim|github|host|models|scripts|tests)/\S*"
)

ENTRY_POINTS = {"focalloop.commands"}
"""Groups of entry points, whose names look like those of modules."""


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def document(request):
    return request.param


def prose(document):
    """The text outside blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```", "", document.read_text(encoding="utf-8"))


def test_relative_links_lead_somewhere(document):
    linked = set(LINK.findall(prose(document)))
    assert [link for link in linked if not (document.parent / link).exists()] == []


def test_named_files_exist(document):
    words = {word for span in SPAN.findall(prose(document)) for word in span.split()}
    paths = {word.rstrip(",.:;/") for word in words if PATH.fullmatch(word)}
    assert [path for path in sorted(paths) if not any(ROOT.glob(path))] == []


def test_named_modules_and_names_exist(document):
    dotted = re.findall(r"`(focalloop(?:\.\w+)+)", prose(document))
    assert [name for name in sorted(set(dotted) - ENTRY_POINTS) if not resolves(name)] == []


def resolves(name):
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_the_reference_lists_what_is_exported():
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^::: focalloop\.(\w+)$", reference)
    assert sorted(listed) == sorted(set(focalloop.__all__) - {"__version__"})


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"(?m)^## ([\d.]+) ", changelog).group(1) == project["version"]
    assert re.search(r"(?m)^version: (.*)$", citation).group(1) == project["version"]


def test_the_migration_replaces_old_imports_by_modules_that_exist():
    migration = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    moves = dict(re.findall(r"(?m)^\| `([a-z][\w.]+)` \| (.*) \|$", migration))
    assert len(moves) > 100
    successors = {name for names in moves.values() for name in SPAN.findall(names)}
    assert [name for name in sorted(successors) if find_spec(name) is None] == []
