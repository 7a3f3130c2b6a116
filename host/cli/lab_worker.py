"""The worker of a board of a lab, as ``focalloop lab`` starts it: a session without an end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.main import end_in_order
from focalloop.host.cli.output import ignore_lost_complaints, print_error

if TYPE_CHECKING:
    from focalloop.host.lab.settings import BoardSettings
    from focalloop.host.live.board_source import BoardSource

_JSON_LOGS = "--json-logs"


def worker_command(settings: BoardSettings, folder: Path, json_logs: bool) -> list[str]:
    """Return the command line of the worker of a board."""
    module = [sys.executable, "-P", "-m", "focalloop.host.cli.lab_worker"]
    return [*module, str(folder), settings.to_json(), *([_JSON_LOGS] if json_logs else [])]


def work(settings: BoardSettings, folder: Path) -> None:
    """Run the session of a board and its service until SIGTERM."""
    from focalloop.host.cli import board_memory
    from focalloop.host.cli.arguments import load_map
    from focalloop.host.cli.preview_run import recordings_of, share_heaps
    from focalloop.host.lab.pooled_networks import PooledNetworks
    from focalloop.host.lab.unix_sockets import pool_socket
    from focalloop.host.lab.worker import run_worker
    from focalloop.host.live.session import LiveSession

    share_heaps()
    pool = pool_socket(folder)
    session = LiveSession(
        _source(settings),
        bundle=settings.bundle,
        ratio_map=None if settings.map is None else load_map(settings.map),
        correct=board_memory.correction_for,
        recordings=recordings_of(Path(settings.recordings), settings.quota_gb),
        unattended=True,
        board_memory=board_memory,
        networks=PooledNetworks(pool, watched=True),
    )
    run_worker(session, settings, folder, PooledNetworks(pool, watched=False))


def _source(settings: BoardSettings) -> BoardSource:
    from focalloop.host.cli.emulator_process import EmulatorProcess
    from focalloop.host.lab.board_by_serial import BoardBySerial
    from focalloop.host.live.board_source import BoardAt

    if settings.emulate is not None:
        return EmulatorProcess(*settings.emulate)
    if settings.serial is not None:
        return BoardBySerial(settings.serial)
    assert settings.port is not None
    return BoardAt(settings.port)


def _main() -> None:
    from focalloop.host.lab.json_logs import log_as_json
    from focalloop.host.lab.settings import BoardSettings

    ignore_lost_complaints()
    end_in_order()
    if _JSON_LOGS in sys.argv[3:]:
        log_as_json()
    settings = BoardSettings.from_json(sys.argv[2])
    try:
        work(settings, Path(sys.argv[1]))
    except FocalloopError as error:
        print_error(f"{settings.name}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    _main()
