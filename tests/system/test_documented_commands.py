"""The shell blocks of the documents: some are run as they stand, and all name what exists."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer.main

from focalloop.host.cli.commands import DEFAULTS
from focalloop.host.cli.main import app
from tests.support import ROOT
from tests.support.namespaces import unshared
from tests.system.test_documents import DOCUMENTS

BLOCK = re.compile(r"(?ms)^ *```sh\n(.*?)^ *```")
RUN = {
    "calibration.md": ["focalloop emulate --profile scamp5 --tcp 5599 &"],
    "porting-a-board.md": ["cd firmware_sim/reference_firmware"],
    "schedule.md": ["focalloop map schedule tile-2of16"],
}
"""Blocks that need no board, no footage, no network and less than a minute, by how they begin."""

IN_A_NETWORK_OF_ITS_OWN = (
    "import os, sys; from tests.support.looked_up import start_loopback; start_loopback(); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)

END_JOBS = "for job in $(jobs -p); do kill $job; done"


def blocks(document):
    return BLOCK.findall(document.read_text(encoding="utf-8"))


def documented():
    for document in DOCUMENTS:
        for block in blocks(document):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("focalloop ") and "[" not in line:
                    yield pytest.param(line, id=f"{document.name}: {line}"[:80])


@pytest.mark.parametrize("line", list(documented()))
def test_commands_and_options_exist(line):
    words = shlex.split(line.partition("  #")[0].partition("   #")[0].rstrip(" &"), comments=True)
    command, path = typer.main.get_command(app), []
    while hasattr(command, "list_commands"):
        path.append(words.pop(0))
        if path[1:]:
            context, default = click.Context(command), DEFAULTS.get(command.name, "")
            command = command.get_command(context, path[-1]) or command.get_command(
                context, default
            )
        assert command is not None, f"no command {' '.join(path)}"
    command = command.load() if hasattr(command, "load") else command
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert options <= known


@pytest.mark.parametrize(
    ("document", "start"), [(name, start) for name, starts in RUN.items() for start in starts]
)
def test_a_block_does_as_it_stands_what_it_says(tmp_path, document, start):
    (block,) = (one for one in blocks(ROOT / "docs" / document) if one.lstrip().startswith(start))
    if "make" in block and not all(map(shutil.which, ("make", "gcc"))):
        pytest.skip("make and gcc are needed")
    firmware = "firmware_sim/reference_firmware"
    ignore = shutil.ignore_patterns("build")
    shutil.copytree(ROOT / firmware, tmp_path / firmware, ignore=ignore)
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [
            *(*unshared("--net"), sys.executable, "-c", IN_A_NETWORK_OF_ITS_OWN),
            *(
                "bash",
                "-e",
                "-c",
                f"trap '{END_JOBS}' EXIT; cd {tmp_path}\n{block}",
            ),
        ],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
