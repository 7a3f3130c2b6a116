"""Several processes that train one network together, as ``torchrun`` starts them.

Each takes its share of every batch, and gradients are averaged, so all keep the same weights. The
first process decides what must be equal everywhere (how much of a budget is spent, whether to
stop), and it alone writes files. In a single process every function here does nothing, or answers
for that process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn

from focalloop.models.errors import TrainError

BACKENDS = "cpu:gloo,cuda:nccl"


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the processes that ``torchrun`` started, if it did, for the duration.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``, which is CUDA where there is any.

    Yields
    ------
    str
        The device of this process; with CUDA, each process of a machine has its own.

    Raises
    ------
    TrainError
        If CUDA is asked for and not available, or has too few devices.
    """
    device = _available(device)
    together = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    if together:
        if device == "cuda":
            device = f"cuda:{_local_rank()}"
            torch.cuda.set_device(device)
        distributed.init_process_group(BACKENDS if device != "cpu" else "gloo")
    try:
        yield device
    finally:
        if together:
            distributed.destroy_process_group()


def _available(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainError(
            f"there is no CUDA device, or this PyTorch ({torch.__version__}) cannot use it: "
            "train with --device cpu, or install PyTorch for CUDA from pytorch.org"
        )
    return device


def _local_rank() -> int:
    local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= devices:
        raise TrainError(
            f"{local + 1} or more processes on a machine with {devices} CUDA devices: "
            f"start it with  torchrun --nproc_per_node {devices}"
        )
    return local


def active() -> bool:
    """Return whether this process trains together with others."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if active() else 0


def count() -> int:
    """Return how many processes there are."""
    return distributed.get_world_size() if active() else 1


def from_first(*values: float) -> list[float]:
    """Return the `values` of the first process."""
    if not active():
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64)
    distributed.broadcast(shared, src=0)
    return [float(value) for value in shared]


def average_gradients(module: nn.Module) -> None:
    """Average the gradients of a module that is not wrapped for distributed training."""
    if not active():
        return
    for parameter in module.parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad.div_(count())


def anywhere(condition: bool) -> bool:
    """Return whether `condition` holds in any process."""
    if not active():
        return condition
    found = torch.tensor(float(condition))
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return bool(found)


def wait() -> None:
    """Wait until all processes have called this."""
    anywhere(False)
