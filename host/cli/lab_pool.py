"""The pool of a lab, as ``focalloop lab`` starts it: it rebuilds the windows of all boards."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.output import ignore_lost_complaints, print_error

_JSON_LOGS = "--json-logs"
_NICE = 5
"""Links, recordings and pages go first: a picture may be late, and a window must not. In a session
of its own, which Linux may weigh as one, the pool leaves each of them its share in any case."""


def pool_command(folder: Path, json_logs: bool, count: int) -> list[str]:
    """Return the command line of a pool that rebuilds `count` windows at a time."""
    module = [sys.executable, "-P", "-m", "focalloop.host.cli.lab_pool"]
    return [*module, str(folder), str(count), *([_JSON_LOGS] if json_logs else [])]


def _main() -> None:
    from focalloop.host.lab.json_logs import log_as_json
    from focalloop.host.lab.pool import run_pool
    from focalloop.host.lab.unix_sockets import pool_socket

    ignore_lost_complaints()
    if _JSON_LOGS in sys.argv[3:]:
        log_as_json()
    os.nice(_NICE)
    try:
        run_pool(pool_socket(Path(sys.argv[1])), int(sys.argv[2]), sys.stdin.fileno())
    except FocalloopError as error:
        print_error(f"the pool for rebuilding: {error}")
        sys.exit(1)
    logging.shutdown()
    os._exit(0)  # whatever the threads of its clients are doing


if __name__ == "__main__":
    _main()
