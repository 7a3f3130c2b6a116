"""Workers that answer no more."""

import asyncio
import sys

from focalloop.host.lab import forwarding, workers
from focalloop.host.lab.settings import BoardSettings
from focalloop.host.lab.workers import Workers

HANGING = """
import json, os, socket, sys

answer = json.dumps({"pid": os.getpid()}).encode()
head = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
if os.path.exists(sys.argv[1]):
    os.remove(sys.argv[1])
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(sys.argv[1])
    listening.listen()
    first, _ = listening.accept()
    first.recv(1 << 16)
    first.sendall(head % len(answer) + answer)
    held = [listening.accept() for _ in range(1000)]
"""
"""A worker that answers once, and then takes requests in silence."""


def test_a_worker_that_hangs_is_killed_and_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ASK_EVERY_S", 0.05)
    monkeypatch.setattr(workers, "MAX_MISSED", 2)
    monkeypatch.setattr(forwarding.ask, "__defaults__", (None, 0.3))
    started_again: list[str] = []

    async def scenario() -> None:
        again = asyncio.Event()
        kept = Workers(
            tmp_path,
            lambda board: [sys.executable, "-c", HANGING, str(kept.socket(board.name))],
            lambda name: (started_again.append(name), again.set()),
        )
        await kept.set_boards({"north": BoardSettings("north", emulate=())})
        await asyncio.wait_for(again.wait(), 60)
        assert kept.restarts == {"north": 1}
        monkeypatch.setattr(workers, "STOP_TIMEOUT_S", 0.2)
        await kept.stop()

    asyncio.run(scenario())
    assert started_again == ["north"]
