"""`focalloop map schedule` as a user runs it."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import DEFAULT_JOULES_PER_CONVERSION
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap
from focalloop.host.cli.main import app
from tests.support.command_line import complaint


def run(*words):
    return CliRunner().invoke(app, ["map", "schedule", *map(str, words)])


def run_json(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_reads_rates_and_verdicts():
    facts = run_json("tile-2of16", "--bits", "10", "--adc-rate", "15728640", "--link-rate", "1e6")
    assert facts["reads_per_slot"][15] == 65536  # every pixel ends its last span there
    assert facts["reads_per_slot"][3] == 65536 // 4
    assert facts["reads_per_slot_by_level"]["4"][3] == 65536 // 4
    assert facts["bytes_per_window"] == 2 * 131072
    assert 1.02 < facts["wire_bytes_per_window"] / facts["bytes_per_window"] < 1.03
    assert facts["window_s"] == pytest.approx(16 / 240)
    assert facts["mean_rate_hz"] == pytest.approx(131072 * 15)
    assert facts["peak_rate_hz"] == 65536 * 240
    assert facts["link_s_per_window"] == facts["wire_bytes_per_window"] / 1e6
    assert facts["energy_j_per_window"] == 131072 * DEFAULT_JOULES_PER_CONVERSION
    assert facts["fits_adc"] is True
    assert facts["slots_over_adc"] == []
    assert facts["highest_slot_rate_hz"]["adc"] == pytest.approx(240)
    assert facts["fits_link"] is facts["keeps_up"] is False
    assert facts["phase_tile"] is None


def test_without_rates_there_is_no_verdict():
    facts = run_json("fixed-1of16")
    unknown = ("fits_adc", "fits_link", "link_s_per_window", "slots_over_adc", "arrived_after_s")
    assert {facts[name] for name in unknown} == {None}
    assert set(facts["highest_slot_rate_hz"].values()) == {None}
    assert facts["keeps_up"] is True


def test_stagger_gives_the_phases_and_a_flat_schedule():
    facts = run_json("tile-2of16", "--stagger", "--adc-rate", "1966080")
    assert facts["reads_per_slot"] == [8192] * 16
    assert facts["fits_adc"] is True
    phases = np.array(facts["phase_tile"])
    assert phases.shape == (4, 4)
    assert phases[0, 0] < 4  # its level is 4, its spans four slots long
    assert "busiest slot 8,192 reads, from 65,536" in run("tile-2of16", "--stagger").stdout


@pytest.mark.parametrize(
    ("rates", "told", "code"),
    [
        (["--adc-rate", "16e6", "--link-rate", "3e6"], "keeps up at 16,000,000", 0),
        (["--adc-rate", "4e6"], "if pixels hold their", 0),
        (["--adc-rate", "3e6"], "too slow at 3,000,000", 1),
        (["--link-rate", "92160"], "% of the windows arrive", 1),
    ],
)
def test_the_exit_code_is_the_verdict_only_where_asked(rates, told, code):
    result = run("tile-2of16", *rates)
    assert result.exit_code == 0
    assert told in " ".join(result.stdout.split())
    checked = run("tile-2of16", *rates, "--check")
    assert checked.exit_code == code
    assert checked.stdout == result.stdout
    if code:
        assert isinstance(checked.exception, FocalloopError)  # `main` prints it and exits with 1
        assert "too slow" in str(checked.exception)


def test_the_picture_has_the_reads_of_each_level_in_its_colour(tmp_path):
    path = tmp_path / "s.svg"
    assert run("tile-2of16", "--adc-rate", "4e6", "-o", path).exit_code == 0
    svg = ET.parse(path).getroot()
    boxes = [element.attrib for element in svg if element.tag.endswith("rect")]
    texts = [element.text for element in svg if element.tag.endswith("text")]
    assert {"ADC", "mean", "level 4", "level 2", "level 1", "tile of 2x2 pixels"} <= set(texts)
    bottom = max(float(b["y"]) + float(b["height"]) for b in boxes if b["fill"] == colour(4))
    bars = [b for b in boxes if b["fill"] == colour(4) and float(b["y"]) < 334]
    tall = {float(b["height"]) for b in bars if 20 < float(b["width"]) < 40}
    assert len(tall) == 1  # level 4 has as many reads after slots 3, 7, 11 and 15
    assert bottom <= float(svg.attrib["height"])


def test_a_png_shows_the_same(tmp_path):
    path = tmp_path / "s.png"
    assert run("tile-2of16", "--stagger", "-o", path).exit_code == 0
    with Image.open(path) as image:
        width, height = image.size
        seen = {pixel for _, pixel in image.getcolors(1 << 24)}
    assert width == 2 * 960
    assert {LEVEL_COLOURS[level] for level in (1, 2, 4)} <= seen
    svg = tmp_path / "s.svg"
    run("tile-2of16", "--stagger", "-o", svg)
    assert float(ET.parse(svg).getroot().attrib["height"]) == pytest.approx(height / 2, abs=0.5)


def colour(level):
    return "#{:02x}{:02x}{:02x}".format(*LEVEL_COLOURS[level])


def test_another_window_and_level_set(tmp_path):
    made = RatioMap.random((20, 20), slots=12, level_set=(0, 3, 4, 12))
    made.save(tmp_path / "m.npz")
    facts = run_json(tmp_path / "m.npz", "--stagger", "-o", tmp_path / "m.png")
    assert len(facts["reads_per_slot"]) == 12
    assert sum(facts["reads_per_slot"]) == made.levels.sum()
    assert (tmp_path / "m.png").exists()


FAILURES = {
    "no such file": (["missing.npz"], "missing.npz"),
    "no reads": (["ZERO"], "measures nothing"),
    "another suffix": (["tile-2of16", "-o", "s.pdf"], ".png or .svg"),
    "no such folder": (["tile-2of16", "-o", "none/s.png"], "cannot write"),
}


@pytest.mark.parametrize(("words", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_what_cannot_be_done_is_one_sentence(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RatioMap.uniform(0, (4, 4)).save(tmp_path / "zero.npz")
    result = run(*("zero.npz" if word == "ZERO" else word for word in words))
    assert told in complaint(result)
    assert [path.name for path in tmp_path.iterdir()] == ["zero.npz"]


@pytest.mark.parametrize("option", ["--slot-rate", "--adc-rate", "--link-rate",
                                    "--joules-per-conversion"])  # fmt: skip
@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf", "1e300"])
def test_rates_are_numbers_above_zero(option, value):
    result = run("tile-2of16", option, value)
    assert result.exit_code == 2
    assert "is not a number above 0" in result.output


def test_rates_at_the_ends_of_their_range_are_told_in_finite_numbers(tmp_path):
    words = ("--slot-rate", 1e15, "--adc-rate", 1e-15, "--link-rate", 1e-15)
    assert run_json("tile-2of16", *words, "-o", tmp_path / "s.svg")["keeps_up"] is False
    words = ("--slot-rate", 1e-15, "--adc-rate", 1e15, "--link-rate", 1e15)
    assert run_json("tile-2of16", *words, "-o", tmp_path / "s.svg")["keeps_up"] is True
    assert run("tile-2of16", *words).exit_code == 0


@pytest.mark.parametrize("words", [["--bits", "17"], ["--payload", "100"], ["--adc-rate", "fast"]])
def test_wrong_use_exits_with_2(words):
    assert run("tile-2of16", *words).exit_code == 2
