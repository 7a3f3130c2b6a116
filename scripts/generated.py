"""The command line that the generators share: write the files, or check that they are current."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from focalloop.firmware_sim.files import written_whole


def update(files: Mapping[Path, bytes], command: str, *, check: bool) -> int:
    """Write generated files, or check the ones that are there.

    Parameters
    ----------
    files : mapping of Path to bytes
        What each file should contain.
    command : str
        Command that writes them.
    check : bool
        Write nothing; report the first file that differs on standard error.

    Returns
    -------
    int
        Exit status: 1 if `check` found a file that is missing or differs.
    """
    for path, content in files.items():
        if path.is_file() and path.read_bytes() == content:
            continue
        if check:
            name = os.path.relpath(path)
            print(f"{name} is stale: run `{command}` to renew it", file=sys.stderr)
            return 1
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_bytes(content)
    return 0
