"""The files by which a lab is run: its unit for systemd, its image, its dashboard."""

import json
import re
import shlex
import shutil
import subprocess
from unittest.mock import Mock

import pytest
import typer.main

from focalloop.host.cli.main import app
from focalloop.host.live.state import LiveState
from focalloop.host.service.prometheus import registry_of
from tests.support import ROOT

PACKAGING = ROOT / "packaging"
UNIT = (PACKAGING / "focalloop-lab.service").read_text()
OF_THE_LAB = {
    "focalloop_board_up",
    "focalloop_board_lent",
    "focalloop_lease_queue",
    "focalloop_worker_restarts_total",
}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_the_unit_is_valid(tmp_path):
    unit = tmp_path / "focalloop-lab.service"
    unit.write_text(UNIT.replace("/opt/focalloop/bin/focalloop", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def commands():
    [of_unit] = re.findall(r"^ExecStart=(.*)$", UNIT, re.M)
    docker = (PACKAGING / "Dockerfile").read_text()
    entry, more = (
        json.loads(re.search(rf"^{name} (.*)$", docker, re.M)[1]) for name in ("ENTRYPOINT", "CMD")
    )
    return {"unit": shlex.split(of_unit)[1:], "image": [*entry, *more][1:]}


@pytest.mark.parametrize("which", ["unit", "image"])
def test_the_command_is_one(which):
    lab, serve, *words = commands()[which]
    assert (lab, serve) == ("lab", "serve")
    group = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), lab).commands[serve].load()
    given, rest, _ = command.make_parser(typer.Context(command)).parse_args(words)
    assert rest == []
    assert given["json_logs"]
    assert given["http_host"] == "0.0.0.0"


def test_the_dashboard_shows_metrics_that_there_are():
    dashboard = json.loads((PACKAGING / "grafana-dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"focalloop_\w+", target["expr"])
    }
    registry = registry_of(Mock(state=LiveState))
    told = {sample.name for family in registry.collect() for sample in family.samples}
    assert asked <= told | OF_THE_LAB
    assert asked >= OF_THE_LAB
