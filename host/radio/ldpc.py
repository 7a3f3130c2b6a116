"""A bitstream over 5G LDPC codes: cut into transport blocks, coded, sent and decoded by Sionna.

Sionna comes with the extra ``radio`` and takes seconds to load, so it is loaded when the first
block is coded. A bitstream of which a block fails is lost: nothing after the gap could be decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.budget import PUBLISHED, CodedModulation, TransportBlocks
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import llrs, modulated

ITERATIONS = 20
"""Iterations of the decoder, with exact ("boxplus") check nodes: min-sum fails at 10 dB."""

_BLOCKS_AT_ONCE = 16


@dataclass(frozen=True)
class Bitstream:
    """A bitstream as it arrived.

    Attributes
    ----------
    data : bytes or None
        What was sent; None if a block failed.
    blocks : TransportBlocks
        How it was cut, and the symbols that it took.
    block_errors : int
        Blocks whose checksum failed.
    """

    data: bytes | None
    blocks: TransportBlocks
    block_errors: int


class CodedLink(Protocol):
    """Both ends of the air for a bitstream."""

    scheme: CodedModulation

    def send(self, data: bytes, channel: Channel, rng: np.random.Generator) -> Bitstream:
        """Send at least one byte; `rng` is the source of noise and fading."""
        ...


class LdpcLink:
    """Transport blocks with CRC-24, 5G LDPC codes (3GPP TS 38.212), and Gray-coded QAM.

    Parameters
    ----------
    scheme : CodedModulation, optional
        Constellation and code rate.

    Raises
    ------
    RadioError
        Sionna is not installed.
    """

    def __init__(self, scheme: CodedModulation = PUBLISHED) -> None:
        missing = [name for name in ("sionna", "torch") if find_spec(name) is None]
        if missing:
            raise RadioError(
                f"LDPC codes need more packages, and there is no {', no '.join(missing)} here: run "
                " pip install 'focalloop[radio]'"
            )
        self.scheme = scheme

    def send(self, data: bytes, channel: Channel, rng: np.random.Generator) -> Bitstream:
        """Code, send and decode at least one byte."""
        blocks = TransportBlocks.of(8 * len(data), self.scheme)
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        padded = np.pad(bits, (0, blocks.padding)).reshape(blocks.count, -1)
        code = _code(blocks.information, blocks.coded, self.scheme.bits_per_symbol)
        symbols = modulated(code.encoded(padded).ravel(), self.scheme.order)
        received, noise_variance = channel.send(symbols, rng).equalised()
        ratios = llrs(received, noise_variance, self.scheme.order).reshape(blocks.count, -1)
        decoded, good = code.decoded(ratios)
        errors = int(np.count_nonzero(~good))
        if errors:
            return Bitstream(None, blocks, errors)
        return Bitstream(np.packbits(decoded.ravel()[: blocks.bits]).tobytes(), blocks, 0)


@dataclass(frozen=True, eq=False)
class _Code:
    """One LDPC code with its checksum, as Sionna runs it."""

    crc: Any
    crc_check: Any
    encoder: Any
    decoder: Any

    def encoded(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Code (blocks, payload) to (blocks, coded)."""
        coded: NDArray[np.uint8] = self.encoder(self.crc(bits.astype(np.float32))).numpy()
        return coded.astype(np.uint8)

    def decoded(self, ratios: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Decode (blocks, coded) ratios to (blocks, payload), and whether each checksum holds."""
        bits, good = [], []
        for start in range(0, len(ratios), _BLOCKS_AT_ONCE):
            # Sionna's ratios are of ones over zeros.
            found = self.decoder(-ratios[start : start + _BLOCKS_AT_ONCE])
            payload, valid = self.crc_check(found)
            bits.append(payload.numpy().astype(np.uint8))
            good.append(valid.numpy()[:, 0].astype(bool))
        return np.concatenate(bits), np.concatenate(good)


@lru_cache(maxsize=256)
def _code(information: int, coded: int, bits_per_symbol: int) -> _Code:
    from sionna.phy.fec.crc import CRCDecoder, CRCEncoder
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    crc = CRCEncoder("CRC24A", device="cpu")
    encoder = LDPC5GEncoder(information, coded, num_bits_per_symbol=bits_per_symbol, device="cpu")
    decoder = LDPC5GDecoder(encoder, cn_update="boxplus", num_iter=ITERATIONS, device="cpu")
    return _Code(crc, CRCDecoder(crc), encoder, decoder)
