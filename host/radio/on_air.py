"""Windows from the transmitter to a recording, and from a received recording back to video."""

from __future__ import annotations

from cmath import phase
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import degrees

import numpy as np

from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.transmission import DecodedWindow
from focalloop.host.radio.methods import Method, Sensing, lost_video
from focalloop.host.radio.recording import RecordedWindow, Recording
from focalloop.host.radio.semcom import SemCom, Transmitted
from focalloop.host.radio.send import Outgoing
from focalloop.host.reconstruction.reconstruct import Float32

_CLEAN = 1e-4
"""Variance of the noise of a clean channel."""

_MAX_POWER_RATIO = 2.0
"""Largest ratio of the power of a received window to that of symbols and noise, either way."""

_MAX_GAIN_ERROR = 0.15
"""Largest difference of a window's gain from 1, besides that of noise."""


def analog(method: Method) -> SemCom:
    """Return a method whose symbols are made and read apart from a channel.

    Raises
    ------
    RadioError
        It is not one.
    """
    if not isinstance(method, SemCom):
        raise RadioError(f"{method.name} has no symbols to record: choose semcom or semcom-noran")
    return method


def recorded(
    windows: Iterable[Outgoing],
    method: SemCom,
    channel: Channel,
    *,
    symbols: int | None = None,
    first: int = 0,
) -> Iterator[RecordedWindow]:
    """Make the symbols of windows, numbered from `first` on.

    Parameters
    ----------
    windows : iterable of Outgoing
        Windows of the size and map of the method.
    method : SemCom
        Transmitter.
    channel : Channel
        What they are sent for: it decides how header and rate map are protected.
    symbols : int, optional
        Complex symbols per window, as for `Method.send`.

    Yields
    ------
    RecordedWindow
        Its facts are what a receiver without noise decodes.
    """
    for number, window in enumerate(windows, first):
        sent = method.transmit(window.reads, channel, symbols, number)
        yield RecordedWindow(window.name, number, sent.symbols, _facts(method, sent, channel))


def _facts(method: SemCom, sent: Transmitted, channel: Channel) -> dict[str, object]:
    """Return what header and rate map of a window decode to without noise, as JSON values."""
    clean = Received(sent.symbols, np.ones(len(sent.symbols), np.complex64), _CLEAN)
    found = method.receive(clean, channel)
    assert found is not None
    return {
        "number": found.number,
        "mixed": found.mixed,
        "rate_map": ["".join(map(str, row)) for row in found.rate_map],
        "header_symbols": sent.count.header,
        "rate_map_symbols": sent.count.rate_map,
        "payload_symbols": sent.count.payload,
    }


@dataclass(frozen=True, eq=False)
class ReceivedWindow:
    """A window of a recording as the receiver shows it.

    Attributes
    ----------
    name : str
    number : int
        As recorded.
    video : ndarray of float32, shape (T, H, W)
        Mid-grey if it was lost.
    lost : bool
        Whether header or rate map could not be decoded.
    symbols : int
        Samples of the window.
    """

    name: str
    number: int
    video: Float32
    lost: bool
    symbols: int


def rebuilt(
    recording: Recording, method: SemCom, sensing: Sensing, *, snr_db: float | None = None
) -> Iterator[ReceivedWindow]:
    """Decode the windows of a recording, one after the other.

    Parameters
    ----------
    recording : Recording
        Synchronised and equalised symbols, one per sample.
    method : SemCom
        Receiver.
    sensing : Sensing
        Reconstructs the windows.
    snr_db : float, optional
        Es/N0 at the receiver; by default what the windows were sent for.

    Raises
    ------
    RadioError
        The windows are of another map, method or networks, their power is not that of such
        symbols, or they are scaled or turned.
    """
    check_same(recording, method, sensing)
    sent_for = Channel(recording.kind, recording.snr_db)
    noise = (sent_for if snr_db is None else Channel("awgn", snr_db)).noise_variance
    for window in recording.windows:
        power = float(np.mean(np.square(np.abs(window.symbols), dtype=np.float64)))
        if not 1 / _MAX_POWER_RATIO <= power / (1 + noise) <= _MAX_POWER_RATIO:
            raise RadioError(
                f"window {window.number} has a mean power of {power:.3g}, but symbols of power 1 "
                f"with this noise have {1 + noise:.3g}: scale the samples, or give the SNR at the "
                "receiver with --snr"
            )
        gain = np.ones(len(window.symbols), np.complex64)
        found = method.receive(Received(window.symbols, gain, noise), sent_for)
        if found is None:
            video = lost_video(sensing.ratio_map)
        else:
            _check_gain(window.number, found)
            video = sensing.reconstruct(method.decode(found), sensing.ratio_map)
        yield ReceivedWindow(window.name, window.number, video, found is None, len(window.symbols))


def _check_gain(number: int, found: DecodedWindow) -> None:
    """Refuse values that are scaled or turned: header and rate map survive that, they do not."""
    if abs(found.gain - 1) > _MAX_GAIN_ERROR + 4 * found.gain_deviation:
        raise RadioError(
            f"window {number} is {abs(found.gain):.2f} times what was sent, turned by "
            f"{round(degrees(phase(found.gain)))} degrees: scale and turn the samples back, as an "
            "equaliser does"
        )


def check_same(recording: Recording, method: SemCom, sensing: Sensing) -> None:
    """Check that windows were sent under this map, by this method and these networks.

    Raises
    ------
    RadioError
        They were not.
    """
    for what, theirs, ours in (
        ("by another method", recording.method, method.name),
        ("under another ratio map", recording.map_hash, sensing.ratio_map.hash_hex),
        ("by other networks", recording.model_hash, method.model_hash),
    ):
        if theirs != ours:
            raise RadioError(
                f"the windows were sent {what} ({theirs[:12]} instead of {ours[:12]}): use what "
                "sent them"
            )
