"""How the few bytes that a window depends on are sent: a modulation and code rate for each channel.

Both ends know the channel that was planned for, and so take the same entry of `LADDER`.
``python -m benchmarks.radio.protection`` measures its thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.firmware_sim.radio.modulation import Order, bits_per_symbol, llrs, modulated
from focalloop.firmware_sim.radio.polar import PolarCode

MARGIN_DB = 0.5
"""What a planned SNR has to be above an entry's threshold."""

FADE_DB = 13.0
"""Further margin where one fade holds for a window: 5 % of fades are deeper.

Half as much would lose 20 % of the windows; twice as much takes as many symbols as the payload."""

_MIN_INFORMATION_BITS = PolarCode(HEADER_BYTES, 1 << 16).information_bits
"""Shorter payloads are coded as long as the header, since short codes are weaker."""


@dataclass(frozen=True)
class Protection:
    """A modulation and code rate.

    Attributes
    ----------
    order : {4, 16, 64, 256}
        Points of the constellation.
    rate : int
        Code rate in 1/1024, as 3GPP counts it; checksums are part of the information.
    awgn_db, rayleigh_db : float
        SNR at which fewer than 1 of 1,000 headers or rate maps are lost, without fading and with
        one fade per symbol.
    """

    order: Order
    rate: int
    awgn_db: float
    rayleigh_db: float

    def code(self, payload_bytes: int) -> PolarCode:
        """Return the code of a payload of this size; its bits fill whole symbols."""
        least = PolarCode(payload_bytes, 1 << 30).information_bits
        per_symbol = bits_per_symbol(self.order)
        symbols = -(-max(least, _MIN_INFORMATION_BITS) * 1024 // (self.rate * per_symbol))
        return PolarCode(payload_bytes, symbols * per_symbol)

    def symbols(self, payload_bytes: int) -> int:
        """Return the number of symbols of a payload of this size."""
        return self.code(payload_bytes).coded_bits // bits_per_symbol(self.order)

    def send(self, payload: bytes) -> NDArray[np.complex64]:
        """Return the symbols of a payload, of mean power 1 over random payloads."""
        return modulated(self.code(len(payload)).encode(payload), self.order)

    def receive(
        self,
        symbols: NDArray[np.complex64],
        noise_variance: NDArray[np.float32],
        payload_bytes: int,
    ) -> bytes | None:
        """Return the payload of equalised symbols and their noise, or None if its CRC is wrong."""
        return self.code(payload_bytes).decode(llrs(symbols, noise_variance, self.order))


LADDER = (
    Protection(4, 40, -9.8, -9.7),
    Protection(4, 64, -7.9, -7.4),
    Protection(4, 96, -6.1, -5.6),
    Protection(4, 128, -4.7, -4.1),
    Protection(4, 192, -2.9, -1.9),
    Protection(4, 256, -1.2, 0.0),
    Protection(4, 340, 0.0, 1.5),
    Protection(4, 448, 1.8, 4.0),
    Protection(4, 560, 3.0, 5.9),
    Protection(16, 336, 4.8, 6.6),
    Protection(16, 420, 6.3, 9.1),
    Protection(16, 512, 8.1, 10.9),
    Protection(16, 600, 9.2, 12.8),
    Protection(16, 690, 10.3, 14.3),
    Protection(16, 780, 11.4, 16.3),
    Protection(16, 880, 12.9, 20.2),
)
"""From the most robust to the cheapest. Larger constellations would save under 1 % of a window's
symbols, and hardly bear that its power is not quite that of their points (`transmission`)."""


def protection(planned: Channel) -> Protection:
    """Return the cheapest entry that loses fewer than 1 of 1,000 payloads on a channel.

    With one fade per window no entry can: it is then the cheapest that survives fades of `FADE_DB`.
    Below the threshold of the most robust entry, it is that.
    """
    best = LADDER[0]
    for entry in LADDER:
        needed = {
            "awgn": entry.awgn_db,
            "rayleigh": entry.rayleigh_db,
            "rayleigh-block": entry.awgn_db + FADE_DB,
        }[planned.kind]
        if needed + MARGIN_DB <= planned.snr_db:
            best = entry
    return best
