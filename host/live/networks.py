"""Where the networks of a session run: in its own process, or in one that many sessions share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.reconstruct import NetworkFree, Reconstructor


class NetworksAwayError(FocalloopError):
    """What runs the networks does not answer at present; later windows may be rebuilt again."""


class Network(Reconstructor, Protocol):
    """A bundle's network, wherever it runs."""

    def told(self, noise: tuple[float, float]) -> Reconstructor:
        """Return the network, told that the reads have this s_ss and s_r."""
        ...


class Networks(Protocol):
    """What rebuilds windows, one at a time.

    Attributes
    ----------
    network_free : Reconstructor
        As `NetworkFree`.
    """

    network_free: Reconstructor

    def turn(self) -> AbstractContextManager[None]:
        """Wait until a window may be rebuilt, which is then done inside the block.

        Raises
        ------
        NetworksAwayError
            They are, now or at any time inside the block.
        """
        ...

    def load(self, name: str, bundle: Bundle) -> Network:
        """Load the network of a bundle; `name` is its name or path, as given.

        Raises
        ------
        BundleError, ReconstructError
            It cannot be used.
        """
        ...

    def close(self) -> None:
        """End every present and later `turn` of another thread with a NetworksAwayError."""
        ...


class OwnNetworks:
    """Networks in this process, which it has for itself.

    Parameters
    ----------
    threads : int, optional
        Threads inside one reconstruction; two give the lowest latency per window on two cores.
    """

    def __init__(self, threads: int = 2) -> None:
        self.network_free: Reconstructor = NetworkFree()
        self._threads = threads

    def turn(self) -> AbstractContextManager[None]:
        """Nobody else wants them."""
        return nullcontext()

    def load(self, name: str, bundle: Bundle) -> Network:
        """Load the network of a bundle into ONNX Runtime."""
        return bundle.reconstructor(self._threads)

    def close(self) -> None:
        """There is nothing to wait for."""
