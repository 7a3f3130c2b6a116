"""Whether the ``train`` extra is installed."""

from __future__ import annotations

from importlib.util import find_spec

from focalloop.firmware_sim.errors import FocalloopError

PACKAGES = ("torch", "onnx", "onnxscript", "safetensors", "matplotlib")


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
            "training and export need more packages than the other commands, and there is no "
            f"{', no '.join(missing)} here: run  pip install 'focalloop[train]'"
        )
