"""Progress off a terminal: a line every few seconds, with a clock, for whatever takes long."""

import math
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from focalloop.host.cli import progress_lines
from focalloop.host.cli.output import activity, progress_bar
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def short_period(monkeypatch):
    assert progress_lines.PERIOD_S < 10
    monkeypatch.setattr(progress_lines, "PERIOD_S", 0.05)


def lines(capsys, least=1):
    """Wait for lines on standard error, and return those that have come."""
    text = ""

    def enough():
        nonlocal text
        text += capsys.readouterr().err
        return text.count("\n") >= least

    wait_until(enough)
    return text.splitlines()


def test_counts_and_a_clock_are_told_again_and_again(capsys):
    with progress_bar() as bar:
        task = bar.add_task("reading [all]", total=4)
        for done in (1, 2):
            time.sleep(0.02)
            bar.update(task, completed=done)
        told = lines(capsys, 3)
    assert re.match(r"reading \[all\]: [012] of 4, 0:00:0\d so far", told[0])
    assert re.search(r"2 of 4, 0:00:0\d so far, about 0:00:\d\d left", told[-1])


def test_a_share_is_told_where_it_is_what_is_known(capsys):
    with progress_bar(percent=True) as bar:
        bar.add_task("training", total=1.0, completed=0.35)
        assert lines(capsys)[0].startswith("training: 35 %, 0:00:0")


def test_the_task_that_is_being_done_is_told(capsys):
    with progress_bar() as bar:
        bar.add_task("first", total=1, completed=1)
        bar.add_task("second", total=None)
        assert lines(capsys)[0].startswith("second: 0:00:0")


def test_work_of_unknown_length_is_told(capsys):
    with activity("fitting"):
        assert lines(capsys, 2)[1].startswith("fitting: 0:00:0")
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_what_is_short_tells_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress_lines, "PERIOD_S", 8.0)
    with progress_bar() as bar:
        bar.add_task("reading", total=1)
    assert capsys.readouterr() == ("", "")


def test_a_psnr_that_is_not_known_yet_is_left_out():
    pytest.importorskip("torch")
    from focalloop.models.cli.train_display import figures

    progress = SimpleNamespace(step=3, train_psnr=20.0, validation_psnr=math.nan)
    assert figures(progress) == "step 3, training 20.00 dB"


def test_no_command_shows_work_in_another_way():
    """The one progress is that of `host.cli.output`, which also speaks off a terminal."""
    sources = [*ROOT.glob("host/cli/**/*.py"), *ROOT.glob("models/cli/**/*.py")]
    allowed = {ROOT / "host/cli/output.py", ROOT / "host/cli/progress_lines.py"}
    for path in {*sources} - allowed:
        text = path.read_text("utf-8")
        assert "console.status(" not in text, path
        assert "Progress(" not in text, path
