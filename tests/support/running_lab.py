"""A lab in processes of its own, over boards in the test's, whose every code is known."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

from websockets.sync.client import connect

from focalloop.host.lab.client import LabClient
from focalloop.host.lab.gateway import create_gateway
from focalloop.host.lab.lab import Lab
from focalloop.host.lab.settings import BoardSettings, LabSettings
from focalloop.host.service.binding import address_of, host_names, listen
from focalloop.host.service.server import Service
from tests.support.running import Running, is_running
from tests.support.served import on_tcp
from tests.support.waiting import wait_until

SILENT = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


class RunningLab:
    """A lab with boards on TCP ports; its gateway can crash and be started again."""

    def __init__(self, folder, boards, *options):
        self.folder, self.options = folder, options
        self.state = folder / "state"
        self.file = folder / "lab.toml"
        self.urls = {name: server.url for name, server in boards.items()}
        self.describe(boards)
        self.start()

    def describe(self, boards, **more):
        """Write a lab.toml with these of the boards, and more keys for one by its name."""
        self.file.write_text(
            "\n".join(
                f"[boards.{name}]\nport = {json.dumps(self.urls[name])}\n"
                f"tags = ['any', 'tag-{name}']\n{more.get(name, '')}"
                for name in boards
            )
        )

    def start(self):
        """Start the gateway."""
        words = ["lab", str(self.file), "--state", str(self.state), "--http-port", "0"]
        words += ["--recordings", str(self.folder / "recordings"), *self.options]
        self.gateway = Running(*words)
        self.client = LabClient(self.gateway.url.partition("?")[0])

    def crash(self, *workers):
        """Kill the gateway, and workers, as a bug or the system would; start the next gateway."""
        self.gateway.process.kill()
        for name in workers:
            os.kill(self.pid(name), signal.SIGKILL)
        self.gateway.process.wait()
        self.start()

    def board(self, name):
        """What the lab says of a board."""
        return next(each for each in self.client.boards()["boards"] if each["name"] == name)

    def await_streaming(self, *names):
        """Wait until windows of the boards arrive."""
        wait_until(lambda: all(self.board(name)["windows_received"] for name in names))

    def pid(self, name):
        """The process of a board's worker."""
        return self._process(f'"name": "{name}"')

    def pool(self):
        """The process of the pool."""
        return self._process("focalloop.host.cli.lab_pool")

    def _process(self, word):
        found = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdecimal() and _works_for(entry, self.state, word)
        ]
        return found[0] if found else None

    def ask(self, board, method, path, document=None, lease=None):
        """Ask something of the service of a board."""
        return self.client.request(method, f"boards/{board}/{path}", document, lease)

    def fetch(self, path):
        """The bytes of an answer."""
        with urllib.request.urlopen(self.client.url + path, timeout=10) as answer:
            return answer.read()

    def look(self, board):
        """Connect as a page that shows a board; its messages wait until they are received."""
        address = self.client.url.replace("http", "ws", 1)
        return connect(f"{address}boards/{board}/ws/preview", max_size=None)

    def stop(self):
        """End everything, in order; return the exit code of the gateway."""
        workers = [pid for name in self.urls if (pid := self.pid(name))]
        try:
            return self.gateway.stop(signal.SIGTERM)
        finally:
            for pid in workers:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)


def _works_for(entry, state, word):
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(state) in words and any(word.encode() in each for each in words)


@contextmanager
def running_lab(folder, boards, *options):
    """Run a lab over boards by their names, each a `VirtualBoard`."""
    with ExitStack() as stack:
        served = {name: stack.enter_context(on_tcp(board)) for name, board in boards.items()}
        lab = RunningLab(folder, served, *options)
        stack.callback(lab.stop)
        yield lab


@contextmanager
def silent_lab(folder, token=None):
    """Serve the gateway of two boards whose workers never answer, here; give its URL."""
    boards = {name: BoardSettings(name, port=name) for name in ("north", "south")}
    lab = Lab(lambda: LabSettings(boards), folder, lambda _: SILENT, lambda _: SILENT)
    app = create_gateway(lab, token=token, host_names=host_names("127.0.0.1"))
    with listen("127.0.0.1", 0) as sock:
        service = Service(app, sock)
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            yield address_of(sock)
        finally:
            service.stop()
            thread.join(30)
            assert not thread.is_alive()
