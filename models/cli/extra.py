"""What the commands that need the ``train`` extra share."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from focalloop.firmware_sim.errors import FocalloopError

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]

PACKAGES = ("torch", "safetensors", "onnxscript", "matplotlib")


class MissingExtraError(FocalloopError):
    """PyTorch or one of its companions is not installed."""


def need_extra() -> None:
    """Check that the extra is installed, without loading it.

    Raises
    ------
    MissingExtraError
        Naming what is missing, and the command that installs it.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{' and '.join(missing)} not installed: run  pip install 'focalloop[train]'"
        )
