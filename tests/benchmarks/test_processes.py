"""Processor time of a process and of those that it started, by name."""

import subprocess
import sys

import pytest

from benchmarks.processes import role_in_chromium, used_s

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is that of Linux")

TICK_S = 0.01
WORK = "import time\nwhile time.process_time() < {}: pass\nprint(flush=True)\n"
CHILD = WORK.format(0.2) + "input()"
PARENT = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-S', '-c', {CHILD!r}, '--type=gpu-process'])\n"
    f"{WORK.format(0.1)}child.wait()"
)


def test_each_process_counts_under_its_name():
    words = [sys.executable, "-S", "-c", PARENT]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        for _ in range(2):
            parent.stdout.readline()
        names = {parent.pid: "parent"}
        found = used_s(parent.pid, lambda each: names.get(each) or role_in_chromium(each))
        parent.stdin.write(b"\n")
    assert found.keys() == {"parent", "gpu-process"}
    assert found["parent"] >= 0.1 - 2 * TICK_S
    assert found["gpu-process"] >= 0.2 - 2 * TICK_S
