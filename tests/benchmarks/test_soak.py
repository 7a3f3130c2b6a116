"""The soak: it runs on both lines, and finds what grows and what slows down."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import soak
from benchmarks.preview import running
from benchmarks.soak import Sample, Soak
from benchmarks.usage import PARTS, Usage

BAD_LINE = "flips=1e-6, disconnect=every 15 s for 100 ms"
FLAT = Usage(100.0, 12, 7)


def samples(usages: list[Usage], pictures: int = 15) -> list[Sample]:
    return [Sample(1.0, pictures, {"host": usage, "emulator": FLAT}) for usage in usages]


def missed(bad: list[Sample]) -> list[str]:
    measured = Soak()
    measured.clean, measured.bad = samples([FLAT] * 5), bad
    return [row.name for row, held in measured.rows() if not held]


def test_a_few_seconds_of_it_run_on_both_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"emulate": "--size=32x32", "live": "--bundle=network-free"}
    monkeypatch.setattr(soak, "running", lambda *words: running(*words, small[words[0]]))
    monkeypatch.setattr(soak, "BAD_LINE", BAD_LINE)
    monkeypatch.setattr(soak, "SAMPLE_S", 0.25)
    monkeypatch.setattr(soak, "PROGRESS_S", 1.0)
    monkeypatch.setattr(sys, "argv", ["soak", "--minutes=0.05", "--json"])
    with pytest.raises(SystemExit):  # how it ends depends on what else the machine does
        soak.main()
    printed = capsys.readouterr()
    rows = json.loads(printed.out)["rows"]
    assert [row["name"] for row in rows] == [
        "pictures, clean line",
        "pictures, bad line",
        *(f"{what}, {whose}" for whose in ("host", "emulator") for what in Usage._fields),
    ], printed.err
    assert all(row["value"] > 0 and row["peer_value"] > 0 for row in rows)
    assert "bad line 0:00:0" in printed.err
    assert "limit" in printed.err.splitlines()[-1]


def test_what_stays_as_it_was_holds() -> None:
    outage = FLAT._replace(descriptors=11, threads=5)
    settling = [Usage(200.0, 20, 20)] * 8
    assert missed(samples([*settling, *[FLAT, FLAT, FLAT, outage] * 8])) == []


@pytest.mark.parametrize(
    ("grown", "name"),
    [
        (FLAT._replace(memory=105.1), "memory, host"),
        (FLAT._replace(descriptors=13), "descriptors, host"),
        (FLAT._replace(threads=8), "threads, host"),
    ],
)
def test_what_grew_is_named(grown: Usage, name: str) -> None:
    assert missed(samples([FLAT] * 9 * PARTS + [grown] * PARTS)) == [name]


def test_too_few_pictures_are_a_miss() -> None:
    assert missed(samples([FLAT] * PARTS, pictures=13)) == ["pictures, bad line"]
    assert missed(samples([FLAT] * PARTS, pictures=14)) == []


def test_what_was_measured_before_ctrl_c_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(self: Soak, minutes: float) -> None:
        self.clean, self.bad = samples([FLAT]), samples([FLAT])
        raise KeyboardInterrupt

    monkeypatch.setattr(Soak, "run", stopped)
    monkeypatch.setattr(sys, "argv", ["soak"])
    with pytest.raises(SystemExit, match="1"):
        soak.main()
    printed = capsys.readouterr()
    assert "pictures, bad line" in printed.out
    assert "stopped early" in printed.err
