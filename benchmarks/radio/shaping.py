"""What happens to the payload of a window between SemCom and the channel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.power import peak_to_average_db, rounded_to_qam
from focalloop.host.radio.methods import Delivery
from focalloop.host.radio.semcom import SemCom
from focalloop.host.reconstruction.reconstruct import Float32

Symbols = NDArray[np.complex64]
Undo = Callable[[Received, int], Received]
Shape = Callable[[Symbols], tuple[Symbols, Undo]]
"""Changes the payload of a window; returns what the receiver does to what it received, of which so
many symbols come before the payload."""


def as_made(payload: Symbols) -> tuple[Symbols, Undo]:
    """Send the payload as it is."""
    return payload, lambda received, front: received


def on_a_grid(payload: Symbols) -> tuple[Symbols, Undo]:
    """Round the payload to the points of a scaled 256-QAM."""
    made, gain = rounded_to_qam(payload, 256)
    return made, partial(_known, gain)


def _known(gain: float, received: Received, front: int) -> Received:
    """Let the receiver know a gain of the payload, which costs nothing.

    It could be part of the scale in the header.
    """
    gains = received.gain.copy()
    gains[front:] *= gain
    return Received(received.symbols, gains, received.noise_variance)


class ShapedSemCom:
    """SemCom with something between its payload and the channel.

    Attributes
    ----------
    peaks_db : list of float
        Peak-to-average power of every window that was sent.
    """

    def __init__(self, method: SemCom, shape: Shape) -> None:
        self.name, self._method, self._shape = method.name, method, shape
        self.peaks_db: list[float] = []

    def send(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Delivery:
        """See `focalloop.host.radio.methods.Method`."""
        made = self._method.transmit(reads, channel, symbols)
        front = made.count.total - made.count.payload
        payload, undo = self._shape(made.symbols[front:])
        on_air = np.concatenate((made.symbols[:front], payload))
        self.peaks_db.append(peak_to_average_db(on_air))
        found = self._method.receive(undo(channel.send(on_air, rng), front), channel)
        decoded = None if found is None else self._method.decode(found)
        rates = None if found is None else found.rate_map
        return Delivery(decoded, None, made.count, None, int(found is None), rates)
