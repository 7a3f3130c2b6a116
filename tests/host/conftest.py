"""What the tests of several commands share."""

from __future__ import annotations

import sys

import pytest

from focalloop.host.cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `focalloop` in an empty folder, with a cache and a state of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["focalloop", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        ran = capsys.readouterr()
        assert (end.value.code or 0) == code, ran.err
        return ran

    return run
