"""From information bits to complex symbols: at capacity, and as transport blocks that are sent.

A bitstream of `l_b` bits costs `l_b / C` symbols at capacity C, and `l_b / (r_c log2(order))` at a
code rate and modulation: in the method's paper, 0.289 and 0.375 symbols per bit at 10 dB. What is
really sent costs more, as every transport block carries a checksum, and some bits are padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log2

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import Order, bits_per_symbol

CRC_BITS = 24
"""Bits of the checksum of a transport block."""

MAX_BLOCK_BITS = 1024
"""Most information bits of a transport block, with its checksum."""

_BLOCK_STEP = 8
"""Information bits of a block are a multiple of it, so that few codes are ever needed."""

CODE_RATES = tuple(Fraction(text) for text in ("1/2", "2/3", "3/4", "5/6"))
"""Code rates that are measured and chosen from."""


@dataclass(frozen=True, order=True)
class CodedModulation:
    """A constellation and the rate of the code whose bits it carries.

    Parameters
    ----------
    order : {4, 16, 64, 256}
        Points of the constellation.
    rate : Fraction
        Information bits per coded bit, between 1/5 and 9/10.

    Raises
    ------
    RadioError
        There is no such constellation or rate.
    """

    order: Order
    rate: Fraction

    def __post_init__(self) -> None:
        bits_per_symbol(self.order)
        if not Fraction(1, 5) <= self.rate <= Fraction(9, 10):
            raise RadioError(f"a code rate is 1/5 to 9/10, not {self.rate}")

    @property
    def bits_per_symbol(self) -> int:
        """Coded bits that a symbol carries: log2 of the order."""
        return bits_per_symbol(self.order)

    @property
    def efficiency(self) -> float:
        """Information bits per complex symbol, checksums and padding not counted."""
        return float(self.rate * self.bits_per_symbol)

    def __str__(self) -> str:
        name = "QPSK" if self.order == 4 else f"{self.order}-QAM"
        return f"{name} {self.rate}"


PUBLISHED = CodedModulation(16, Fraction(2, 3))
"""What the method's paper sends its bitstreams with."""


@dataclass(frozen=True)
class TransportBlocks:
    """How a bitstream is cut into equal blocks, as in 3GPP TS 38.212, Section 5.2.2.

    Attributes
    ----------
    bits : int
        Bits of the bitstream.
    count : int
        Transport blocks.
    information : int
        Information bits of each: a share of the bitstream, padding, and `CRC_BITS`.
    coded : int
        Coded bits of each, a multiple of the bits per symbol.
    symbols : int
        Complex symbols of all of them.
    """

    bits: int
    count: int
    information: int
    coded: int
    symbols: int

    @property
    def padding(self) -> int:
        """Bits sent that carry neither bitstream nor checksum."""
        return self.count * (self.information - CRC_BITS) - self.bits

    @classmethod
    def of(cls, bits: int, scheme: CodedModulation) -> TransportBlocks:
        """Cut `bits` bits, at least 1, into as few equal blocks as possible.

        Raises
        ------
        RadioError
            There are no bits.
        """
        if bits < 1:
            raise RadioError(f"a bitstream has at least 1 bit, not {bits}")
        count = ceil(bits / (MAX_BLOCK_BITS - CRC_BITS))
        share = ceil(bits / count) + CRC_BITS
        information = _BLOCK_STEP * ceil(share / _BLOCK_STEP)
        symbols = ceil(information / (scheme.rate * scheme.bits_per_symbol))
        return cls(bits, count, information, symbols * scheme.bits_per_symbol, count * symbols)


def capacity(channel: Channel) -> float:
    """Return Shannon's capacity of a channel in bits per complex symbol.

    With fading it is the mean over the fades, ``E log2(1 + |h|^2 SNR)``. A code reaches that with
    one fade per symbol; with one fade per window only a sender that knows the fade does, so there
    it flatters whoever is charged by it.
    """
    snr = 1 / channel.noise_variance
    if channel.kind == "awgn":
        return log2(1 + snr)
    from numpy import exp, log
    from scipy.special import exp1

    return float(exp(1 / snr) * exp1(1 / snr) / log(2))


def capacity_symbols(bits: int, channel: Channel) -> int:
    """Return the complex symbols of `bits` bits at capacity."""
    return ceil(bits / capacity(channel))
