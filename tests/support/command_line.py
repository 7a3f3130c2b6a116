"""Runs of the command line within a test."""

import json

from typer.testing import CliRunner

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.main import app


def run(*words):
    """Run `focalloop` with these words; a FocalloopError is left for `main` to print."""
    return CliRunner().invoke(app, [str(word) for word in words])


def run_json(*words):
    """The JSON document that `focalloop` prints with these words."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def complaint(result):
    """The one sentence with which a command ended: that of an error, or of wrong usage."""
    if isinstance(result.exception, FocalloopError):
        text = str(result.exception)
    else:
        assert result.exit_code == 2, result.output
        text = result.stderr.removesuffix("\n").removeprefix("error: ")
    assert "\n" not in text
    return text
