"""What a shell offers after a Tab: the names that come with focalloop, and files that fit."""

import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.noise import PRESETS
from focalloop.host.cli.main import app
from focalloop.models.zoo import BUNDLES, WEIGHTS


@pytest.fixture
def offered(tmp_path, monkeypatch, capsys):
    """Complete a line of words in a folder with some files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiles").mkdir()
    for name in ("theirs.npz", "theirs.json", "theirs.safetensors", "tiles/own.png", ".hidden.npz"):
        (tmp_path / name).write_bytes(b"")

    def offered(line):
        words = line.split(" ")
        monkeypatch.setenv("_FOCALLOOP_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", f"focalloop {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit):
            app(prog_name="focalloop")
        return set(capsys.readouterr().out.split())

    return offered


LEARNED = {name for name in BUNDLES if name.startswith("edge-learned")}
TILES = {name for name in NAMED_TILES if name.startswith("tile")}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("live --bundle edge-learned", LEARNED),
        ("live --bundle network", {"network-free"}),
        ("serve --bundle edge-learned", LEARNED),
        ("evaluate --bundle edge-learned", LEARNED),
        ("evaluate --bundle network", {"network-free"}),
        ("evaluate --bundle gap", {"gap-tv"}),
        ("reconstruct --bundle gap", {"gap-tv"}),
        ("live --bundle gap", set()),
        ("map make fixed 1 --aperture t", {"tile", "theirs.npz", "tiles/"}),
        ("reconstruct --bundle edge-learned", LEARNED),
        ("live --map edge-learned", LEARNED),
        ("live --map ti", TILES | {"tiles/"}),
        ("live --map th", {"theirs.npz"}),
        ("live --map tiles/", {"tiles/own.png"}),
        ("emulate --map fixed", {name for name in NAMED_TILES if name.startswith("fixed")}),
        ("upload tile", TILES | {"tiles/"}),
        ("map show edge-learned", LEARNED),
        ("map convert edge-learned", LEARNED),
        ("map make tile tile", TILES),
        ("train --map tile", TILES | {"tiles/"}),
        ("live --profile ", {*PRESETS, "theirs.json", "tiles/"}),
        ("evaluate --profile sc", {"scamp5"}),
        ("train --start edge-u", {name for name in WEIGHTS if name.startswith("edge-u")}),
        ("train --start no", {"none"}),
        ("train --start th", {"theirs.safetensors"}),
        ("bundl", {"bundles"}),
    ],
)
def test_names_and_fitting_files_are_offered(line, expected, offered):
    assert offered(line) == expected
