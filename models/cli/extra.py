"""Whether the ``train`` extra is installed."""

from __future__ import annotations

from importlib.util import find_spec

from focalloop.firmware_sim.errors import FocalloopError

PACKAGES = ("torch", "safetensors", "onnxscript", "matplotlib")


class MissingExtraError(FocalloopError):
    """PyTorch or one of its companions is not installed."""


def require_extra() -> None:
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
