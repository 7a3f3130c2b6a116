"""A pytest plugin: the fixture `focalloop_board` leases a board of a lab for a test.

A failed test keeps a recording of the windows that it took. Nothing of focalloop is imported before
a test asks for a board, as pytest loads this in every run.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from focalloop.host.lab.client import HeldLease, LabClient
    from focalloop.host.lab.recorded_board import RecordedBoard

LEASE_S = 120.0
"""Length of the lease of a test, which is renewed while the test runs: how long a board stays lent
where pytest was killed."""

_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the lab."""
    group = parser.getgroup("focalloop", "boards of a focalloop lab")
    group.addoption(
        "--focalloop-lab",
        metavar="URL",
        default=os.environ.get("FOCALLOOP_LAB", "http://127.0.0.1:8000/"),
        help="address of the lab; FOCALLOOP_LAB by default, and FOCALLOOP_TOKEN its token",
    )
    group.addoption(
        "--focalloop-wait",
        metavar="S",
        type=float,
        default=600.0,
        help="how long a test waits for a board (default: 600)",
    )
    group.addoption(
        "--focalloop-recordings",
        metavar="DIR",
        type=Path,
        default=Path("focalloop-recordings"),
        help="folder for recordings of failed tests (default: focalloop-recordings)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "focalloop(*tags, board=None): the board that focalloop_board leases"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether the test failed, for the fixture, which ends after it."""
    report = yield
    if report.when != "teardown" and report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def focalloop_board(request: pytest.FixtureRequest) -> Iterator[RecordedBoard]:
    """Lease a board of the lab, wait for it, and yield it as a `focalloop.Board`.

    ``@pytest.mark.focalloop("scamp5", "dark-box")`` says which tags it must have, and
    ``@pytest.mark.focalloop(board="north")`` names it.
    """
    from focalloop.host.lab.client import LabClient
    from focalloop.host.lab.recorded_board import RecordedBoard

    marker = request.node.get_closest_marker("focalloop")
    wanted: dict[str, str | None] = {} if marker is None else marker.kwargs
    option = request.config.getoption
    client = LabClient(option("--focalloop-lab"), os.environ.get("FOCALLOOP_TOKEN"))
    lease = client.lease(
        request.node.nodeid[:200],
        wanted.get("board"),
        () if marker is None else marker.args,
        seconds=LEASE_S,
        wait_s=option("--focalloop-wait"),
    )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.nodeid).strip("-")[-120:]
    folder: Path = option("--focalloop-recordings")
    try:
        with _renewed(client, lease):
            with RecordedBoard.open(client.open_line(lease)) as board:
                board.record_to(folder / f"{name}-{secrets.token_hex(3)}.mcap")
                yield board
            failed = request.node.stash.get(_FAILED, False)
            if (kept := board.end_recording(keep=failed)) is not None:
                said = f"the windows of this test, of {lease.board}, are in {kept}"
                request.node.add_report_section("teardown", "focalloop", said)
                request.node.user_properties.append(("focalloop_recording", str(kept)))
    finally:
        client.release(lease.token)


@contextmanager
def _renewed(client: LabClient, lease: HeldLease) -> Iterator[None]:
    """Renew a lease while the block runs."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_S / 4):
            with suppress(Exception):  # it is lost, which the test will see by its board
                client.renew(lease.token)

    thread = threading.Thread(target=renew, name="focalloop-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
