"""A bitstream over 5G LDPC codes: really coded, sent and decoded, or by measured block errors.

`LdpcLink` runs the codes of Sionna, which comes with the extra ``radio``, and takes seconds to load
when the first block is coded. `MeasuredLink` needs neither: it draws the errors of each block at
the rate that `block_errors` holds. Either way a bitstream of which a block fails is lost: nothing
after the gap could be decoded.
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
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.firmware_sim.radio.modulation import llrs, modulated
from focalloop.firmware_sim.radio.protection import protection
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.host.radio.block_errors import drawn_error_rate

ITERATIONS = 20
"""Iterations of the decoder, with exact ("boxplus") check nodes: min-sum fails at 10 dB."""

_BLOCKS_AT_ONCE = 16

_LENGTH_BYTES = 4

MAX_LABEL_BYTES = HEADER_BYTES - _LENGTH_BYTES
"""Bytes beside the length of a bitstream that go before it, protected like an analog header."""


@dataclass(frozen=True)
class Bitstream:
    """A bitstream as it arrived.

    Attributes
    ----------
    data : bytes or None
        What was sent; None if a block failed.
    label : bytes or None
        What was sent before it, padded with zeros; None if that failed.
    bits : int
        Bits of the bitstream, without checksums and padding.
    symbols : SymbolCount
        What it took: the blocks as payload, and length and label as header.
    block_errors : int
        Blocks whose checksum failed, or 1 if that of the label did.
    """

    data: bytes | None
    label: bytes | None
    bits: int
    symbols: SymbolCount
    block_errors: int


def symbols_of(size: int, scheme: CodedModulation, channel: Channel) -> SymbolCount:
    """Return the symbols that a bitstream of `size` bytes, 1 or more, takes on a channel."""
    blocks = TransportBlocks.of(8 * size, scheme)
    return SymbolCount(blocks.symbols, 0, protection(channel).symbols(HEADER_BYTES))


class CodedLink(Protocol):
    """Both ends of the air for a bitstream."""

    scheme: CodedModulation

    def send(
        self, data: bytes, channel: Channel, rng: np.random.Generator, label: bytes = b""
    ) -> Bitstream:
        """Send at least one byte.

        Parameters
        ----------
        data : bytes
            The bitstream.
        channel : Channel
            What it passes through; both ends know its kind and mean SNR.
        rng : numpy.random.Generator
            Source of noise and fading.
        label : bytes, optional
            At most `MAX_LABEL_BYTES`, which cost nothing.
        """
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

    def send(
        self, data: bytes, channel: Channel, rng: np.random.Generator, label: bytes = b""
    ) -> Bitstream:
        """Code, send and decode; as `CodedLink.send`."""
        scheme, robust = self.scheme, protection(channel)
        blocks = TransportBlocks.of(8 * len(data), scheme)
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        padded = np.pad(bits, (0, blocks.padding)).reshape(blocks.count, -1)
        code = _code(blocks.information, blocks.coded, scheme.bits_per_symbol)
        front = robust.send(_header(data, label))
        payload = modulated(code.encoded(padded).ravel(), scheme.order)
        received = channel.send(np.concatenate((front, payload)), rng)
        symbols, variance = received.equalised()

        start, count = len(front), symbols_of(len(data), scheme, channel)
        header = robust.receive(symbols[:start], variance[:start], HEADER_BYTES)
        if header is None:
            return Bitstream(None, None, blocks.bits, count, 1)
        length, label = header[:_LENGTH_BYTES], header[_LENGTH_BYTES:]
        blocks = TransportBlocks.of(8 * int.from_bytes(length, "little"), scheme)
        ratios = llrs(symbols[start:], variance[start:], scheme.order).reshape(blocks.count, -1)
        decoded, good = code.decoded(ratios)
        errors = int(np.count_nonzero(~good))
        whole = np.packbits(decoded.ravel()[: blocks.bits]).tobytes()
        return Bitstream(None if errors else whole, label, blocks.bits, count, errors)


class MeasuredLink:
    """A link that fails as often as `LdpcLink` was measured to, without coding anything.

    Parameters
    ----------
    scheme : CodedModulation, optional
        A measured one.
    """

    def __init__(self, scheme: CodedModulation = PUBLISHED) -> None:
        self.scheme = scheme

    def send(
        self, data: bytes, channel: Channel, rng: np.random.Generator, label: bytes = b""
    ) -> Bitstream:
        """Draw which blocks fail; as `CodedLink.send`."""
        blocks = TransportBlocks.of(8 * len(data), self.scheme)
        rate = drawn_error_rate(self.scheme, channel, rng)
        errors = int(rng.binomial(blocks.count, rate))
        count = symbols_of(len(data), self.scheme, channel)
        label = _header(data, label)[_LENGTH_BYTES:]
        return Bitstream(None if errors else data, label, blocks.bits, count, errors)


def _header(data: bytes, label: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH_BYTES, "little") + label.ljust(MAX_LABEL_BYTES, b"\0")


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
