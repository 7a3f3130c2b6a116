"""Generated files are current, and ``--check`` says so without writing."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from scripts import fuzz_seeds, generated, vectors, wire_header


@pytest.mark.parametrize("generator", [wire_header, vectors, fuzz_seeds])
def test_the_files_in_the_repository_are_current(generator: ModuleType) -> None:
    assert generator.main(["--check"]) == 0


def test_a_stale_file_is_named_with_the_command_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stale = tmp_path / "fl_wire.h"
    stale.write_text("old")
    monkeypatch.setattr(wire_header, "HEADER", stale)
    assert wire_header.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert said == "fl_wire.h is stale: run `python -m scripts.wire_header` to renew it\n"
    assert stale.read_text() == "old"
    assert wire_header.main([]) == 0
    assert stale.read_text() == wire_header.header()
    assert wire_header.main(["--check"]) == 0


def test_seeds_are_checked_where_there_are_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    assert fuzz_seeds.main([str(corpus), "--check"]) == 0
    assert not corpus.exists()
    assert fuzz_seeds.main([str(corpus)]) == 0
    (corpus / "requests" / "found-by-the-fuzzer").write_bytes(b"1")
    assert fuzz_seeds.main([str(corpus), "--check"]) == 0
    (corpus / "frames" / "frame0").unlink()
    assert fuzz_seeds.main([str(corpus), "--check"]) == 1
    assert f"python -m scripts.fuzz_seeds {corpus}" in capsys.readouterr().err
    assert not (corpus / "frames" / "frame0").exists()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b"
    assert generated.update({made: b"1"}, "command", check=True) == 1
    assert generated.update({made: b"1"}, "command", check=False) == 0
    assert made.read_bytes() == b"1"
