"""Semantic communication in ONNX Runtime: reads to symbols, and received symbols to reads.

The encoder turns each location of 16x16 pixels into reals of falling importance and predicts the
error of the video at every rate; the rate map that meets the budget says how many of them a
location sends (CRL section 4). The decoder takes what arrived, with the variance of its noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.firmware_sim.radio.rate_map import kept
from focalloop.firmware_sim.radio.transmission import DecodedWindow, SymbolCount, Transmission
from focalloop.host.radio.graph import Graph
from focalloop.host.radio.methods import Delivery, Sensing, SymbolBudgetError, default_symbols
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.tiles import tiles_of, whole_locations
from focalloop.host.reconstruction.reconstruct import Float32

_MAX_ROUNDS = 5
"""Rate maps tried for a budget; the second meets it nearly always."""

_SPARE = 0.005
"""Share of a budget that may be left."""

Allocation = Callable[[Float32, Sequence[int], float], NDArray[np.uint8]]
"""Log errors (L, h, w), reals of a location at each rate, and the reals to send in all, to the rate
map (h, w) that sends as many or just fewer."""


@dataclass(frozen=True, eq=False)
class Transmitted:
    """A window as the transmitter sends it.

    Attributes
    ----------
    symbols : ndarray of complex64, shape (n,)
        Of mean power 1.
    count : SymbolCount
        What they are.
    rate_map : ndarray of uint8, shape (h, w)
        Rate of each location.
    """

    symbols: NDArray[np.complex64]
    count: SymbolCount
    rate_map: NDArray[np.uint8]


def uniform_rates(log_error: Float32, rates: Sequence[int], reals: float) -> NDArray[np.uint8]:
    """Give all locations the same rate, whatever their errors; an `Allocation`.

    What the budget leaves raises rows of locations to the next rate, evenly spread, and then
    locations of one more row: the coded map stays small.
    """
    height, width = log_error.shape[1:]
    low = int(np.searchsorted(rates, reals / (height * width), side="right")) - 1
    low = min(max(low, 0), len(rates) - 1)
    chosen = np.full((height, width), low, np.uint8)
    if low + 1 < len(rates):
        raised = int((reals - rates[low] * chosen.size) // (rates[low + 1] - rates[low]))
        rows, rest = divmod(max(raised, 0), width)
        spread = ((np.arange(rows) + 0.5) * height / max(rows, 1)).astype(int)
        chosen[spread] += 1
        if rest:
            chosen[np.setdiff1d(np.arange(height), spread)[0], :rest] += 1
    return chosen


class SemCom:
    """Both ends of semantic communication for windows of one ratio map.

    Parameters
    ----------
    name : str
        Name of the method.
    bundle : RadioBundle
        Its networks.
    ratio_map : RatioMap
        Map of the windows.
    allocate : callable, optional
        Chooses the rate map; by default the one with the least predicted error.
    threads : int, optional
        Threads within one run of a network.
    mixed, max_papr_db : bool and float, optional
        How the payload is sent; see `Transmission`.

    Raises
    ------
    RadioError
        The networks are for another map, or are not those of this method.
    """

    def __init__(
        self,
        name: str,
        bundle: RadioBundle,
        ratio_map: RatioMap,
        *,
        allocate: Allocation = rates_for_budget,
        threads: int = 2,
        mixed: bool = True,
        max_papr_db: float | None = None,
    ) -> None:
        bundle.check_fits(ratio_map)
        self.name = name
        self.rates = bundle.rates
        self.model_hash = bundle.digest.hex()
        self._map = ratio_map
        self._cell, self._location = len(bundle.tile), bundle.location
        height, width = ratio_map.shape
        self._locations = -(-height // self._location), -(-width // self._location)
        self._planes = max(ratio_map.level_set)
        self._allocate = allocate
        self._hashes = bundle.digest[:4], ratio_map.hash()[:4]
        self._mixed, self._max_papr_db = mixed, max_papr_db
        self._encoder = Graph(
            bundle.network("semcom_encoder.onnx"),
            "encoder",
            {"reads": "tensor(float)", "snr_db": "tensor(float)"},
            ("x", "log_error", "emphasis"),
            threads=threads,
        )
        self._decoder = Graph(
            bundle.network("semcom_decoder.onnx"),
            "decoder",
            {"received": "tensor(float)", "noise": "tensor(float)", "rate_map": "tensor(uint8)"},
            ("reads",),
            threads=threads,
        )

    def send(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Delivery:
        """See `focalloop.host.radio.methods.Method`."""
        return self.depart(reads, channel, rng, symbols)()

    def depart(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Callable[[], Delivery]:
        """See `focalloop.host.radio.methods.StreamMethod`."""
        sent = self.transmit(reads, channel, symbols)
        return partial(self._arrive, channel.send(sent.symbols, rng), channel, sent.count)

    def _arrive(self, received: Received, channel: Channel, count: SymbolCount) -> Delivery:
        found = self.receive(received, channel)
        return Delivery(
            reads=None if found is None else self.decode(found),
            video=None,
            symbols=count,
            bits=None,
            block_errors=int(found is None),
            rate_map=None if found is None else found.rate_map,
        )

    def transmit(
        self, reads: Float32, channel: Channel, symbols: int | None = None, number: int = 0
    ) -> Transmitted:
        """Make the symbols of one window.

        Parameters
        ----------
        reads : ndarray of float32, shape (8, H, W)
            Its measurements, in signal units.
        channel : Channel
            What the window is sent for.
        symbols : int, optional
            Complex symbols to spend, never exceeded; if left out, `default_symbols` or the nearest
            that is possible.
        number : int, optional
            Number of the window in its header.

        Raises
        ------
        SymbolBudgetError
            Even the lowest rates need more symbols, or the highest fewer.
        """
        x, log_error, emphasis = self._encoded(reads, channel.snr_db)
        air = self._air(channel)

        def sent_at(rate_map: NDArray[np.uint8]) -> Transmitted:
            sent = kept(rate_map, self.rates)
            values = x[sent] * emphasis[rate_map].transpose(2, 0, 1)[sent]
            made, count = air.encode_window(values, rate_map, number)
            return Transmitted(made, count, rate_map)

        places = x[0].size
        ends = [air.uniform_count(places, rate) for rate in (0, len(self.rates) - 1)]
        least, most = (count.total for count in ends)
        if symbols is None:
            wanted = min(max(default_symbols(*reads.shape[1:]), least), most)
        elif least <= symbols <= most:
            wanted = symbols
        else:
            raise SymbolBudgetError(self.name, symbols, least, most)
        # The rate map follows from what its own code leaves of the budget.
        best, overhead = None, ends[0].header
        for _ in range(_MAX_ROUNDS):
            reals = min(max(2 * (wanted - overhead), self.rates[0] * places), x.size)
            sent = sent_at(self._allocate(log_error, self.rates, reals))
            if sent.count.total <= wanted and (best is None or best.count.total < sent.count.total):
                best = sent
            if 0 <= wanted - sent.count.total <= _SPARE * wanted:
                break
            overhead = sent.count.total - sent.count.payload
        return best or sent_at(np.zeros(x.shape[1:], np.uint8))

    def receive(self, received: Received, channel: Channel) -> DecodedWindow | None:
        """Decode header and rate map of a window, and scale its reals; None if it is lost.

        Parameters
        ----------
        received : Received
            The symbols of one window, as they arrived.
        channel : Channel
            What the window was sent for.

        Raises
        ------
        RadioError
            It was sent under another map, or by other networks.
        """
        found = self._air(channel).decode_window(received)
        if found is not None and found.rate_map.shape != self._locations:
            raise RadioError(
                f"a window of {found.rate_map.shape} locations was received, where this link has "
                f"{self._locations}"
            )
        return found

    def decode(self, found: DecodedWindow) -> Float32:
        """Return the measurements (8, H, W) of a window that was received."""
        rate_map = found.rate_map
        sent = kept(rate_map, self.rates)
        x, noise = np.zeros(sent.shape, np.float32), np.ones(sent.shape, np.float32)
        x[sent], noise[sent] = found.values, found.noise_variance
        height, width = (self._location * count for count in self._locations)
        reads = np.empty((self._planes, height, width), np.float32)
        for tile in tiles_of(*self._locations):
            seen = (np.newaxis, slice(None), *tile.seen())
            rates = rate_map[tile.seen()]
            (rebuilt,) = self._decoder(
                (1, self._planes, *(self._location * count for count in rates.shape)),
                received=x[seen],
                noise=noise[seen],
                rate_map=rates[np.newaxis],
            )
            here, middle = tile.given(self._location), tile.middle(self._location)
            reads[:, *here] = rebuilt[0][:, *middle]
        rows, columns = self._map.shape
        return reads[:, :rows, :columns]

    def _air(self, channel: Channel) -> Transmission:
        return Transmission(channel, self.rates, *self._hashes, self._mixed, self._max_papr_db)

    def _encoded(self, reads: Float32, snr_db: float) -> tuple[Float32, Float32, Float32]:
        """Return reals (C, h, w) and log errors (L, h, w) of all locations, emphasis (L, C)."""
        padded = whole_locations(reads, self._cell, self._location)
        x = np.empty((self.rates[-1], *self._locations), np.float32)
        log_error = np.empty((len(self.rates), *self._locations), np.float32)
        for tile in tiles_of(*self._locations):
            part = padded[:, *tile.seen(self._location)]
            locations = tuple(side // self._location for side in part.shape[1:])
            found_x, found_error, (emphasis,) = self._encoder(
                (1, self.rates[-1], *locations),
                (1, len(self.rates), *locations),
                (1, len(self.rates), self.rates[-1]),
                reads=part[np.newaxis],
                snr_db=np.array([snr_db], np.float32),
            )
            x[:, *tile.given()] = found_x[0][:, *tile.middle()]
            log_error[:, *tile.given()] = found_error[0][:, *tile.middle()]
        return x, log_error, emphasis


def semcom(
    sensing: Sensing,
    model: str | Path | None = None,
    *,
    max_papr_db: float | None = None,
    threads: int = 2,
) -> SemCom:
    """Make the method of this name; see `focalloop.host.radio.methods.METHODS`."""
    bundle = RadioBundle.load(model or "radio-semcom", ("semcom",))
    return SemCom("semcom", bundle, sensing.ratio_map, threads=threads, max_papr_db=max_papr_db)


def semcom_noran(
    sensing: Sensing, model: str | Path | None = None, *, max_papr_db: float | None = None
) -> SemCom:
    """Make the method of this name: the same networks, one rate for all locations."""
    bundle = RadioBundle.load(model or "radio-semcom", ("semcom",))
    return _of_one_rate("semcom-noran", bundle, sensing, max_papr_db)


def jscc(
    sensing: Sensing, model: str | Path | None = None, *, max_papr_db: float | None = None
) -> SemCom:
    """Make the method of this name: networks that were trained on the error of the reads."""
    bundle = RadioBundle.load(model or "radio-jscc", ("jscc",))
    return _of_one_rate("jscc", bundle, sensing, max_papr_db)


def _of_one_rate(
    name: str, bundle: RadioBundle, sensing: Sensing, max_papr_db: float | None
) -> SemCom:
    return SemCom(name, bundle, sensing.ratio_map, allocate=uniform_rates, max_papr_db=max_papr_db)
