"""`focalloop` commands in processes of their own, above all those that run until stopped."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

FOCALLOOP = (sys.executable, "-m", "focalloop")
"""The command line in a process of its own."""

START_TIMEOUT_S = 150  # the first start on a machine compiles kernels
STOP_TIMEOUT_S = 60  # a fraction of a second, if nothing else runs
ANSWER_TIMEOUT_S = 60  # milliseconds, if nothing else runs


class Running:
    """A command that has printed its JSON document and goes on running.

    Attributes
    ----------
    document : dict
        The document that it printed.
    complaints : str
        What it has written to standard error.
    """

    def __init__(self, *words, command=FOCALLOOP, cwd=None):
        self.process = subprocess.Popen(
            [*command, *words, "--json"],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.document = None
        self.complaints = ""
        threading.Thread(target=self._listen, daemon=True).start()
        overdue = threading.Timer(START_TIMEOUT_S, self.process.kill)
        overdue.start()
        text = ""
        for line in self.process.stdout:
            text += line
            with contextlib.suppress(ValueError):
                self.document = json.loads(text)
                break
        overdue.cancel()
        assert self.document is not None, self.complaints

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        """Address of its page, with the token."""
        return self.document["url"]

    def children(self):
        """Ids of the processes that it started."""
        folder = Path(f"/proc/{self.process.pid}/task")
        found = [(task / "children").read_text().split() for task in folder.iterdir()]
        return [int(pid) for pids in found for pid in pids]

    def stop(self, number=signal.SIGINT):
        """Stop it with a signal, as a user does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def ask(self, path, *, method="GET", body=None, **headers):
        """Status and text of the service's answer."""
        address = self.url.partition("?")[0] + path
        request = urllib.request.Request(address, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def state(self):
        """The state of the session that it serves."""
        return json.loads(self.ask("api/state")[1])

    def _listen(self):
        for line in self.process.stderr:
            self.complaints += line


def start(*words):
    """Start a command; return its process."""
    command = [*FOCALLOOP, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fails(*words):
    """Run a command that must fail; return its exit code, output and errors."""
    done = subprocess.run(
        [*FOCALLOOP, *words],
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
    )
    return done.returncode, done.stdout, done.stderr


def is_running(pid):
    """Whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
