"""The radio link of a live session: every window is sent over it before it is reconstructed.

One thread calls `transmit` and another `receive`, so the ends work on two windows at the same
time; any other thread may call `choose` and `state`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.window import Window
from focalloop.host.errors import sentence
from focalloop.host.live.radio_state import RadioChoice, RadioState
from focalloop.host.live.telemetry import Durations
from focalloop.host.radio.methods import (
    Delivery,
    Sensing,
    StreamMethod,
    SymbolBudgetError,
    default_symbols,
    lost_video,
)
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.reconstruction.reconstruct import Float32, NetworkFree

LIVE_BUNDLE = "edge-learned-2.5of16-int8"
"""Bundle that a stream is sensed and rebuilt by where none is named."""

LIVE_MODEL = "radio-semcom-int8"
"""Radio bundle of ``semcom`` where none is named."""

LIVE_METHODS = ("semcom", "compr-ldpc")
"""Methods that a stream is sent by."""

MIN_SYMBOLS_PER_PIXEL, MAX_SYMBOLS_PER_PIXEL = 0.03, 0.36
"""Range that a page offers."""


class OnAir(NamedTuple):
    """A window between the two ends of the link."""

    window: Window
    choice: RadioChoice
    """How it was sent."""
    arrive: Callable[[], Delivery] | None
    """Does the receiver's part; None where the window could not be sent."""
    problem: str
    """Why it was not, or with other symbols than were chosen."""
    spent_s: float
    """Time of the transmitter."""


class Carried(NamedTuple):
    """A window at the other end of the link; all None where it could not be sent."""

    reads: Float32 | None = None
    """Its measurements (8, H, W), unless it was lost."""
    lost: Float32 | None = None
    """What is shown in its place (T, H, W) if it was."""
    choice: RadioChoice | None = None
    """How it was sent."""


class RadioLink:
    """Both ends of a radio link, and its channel.

    Parameters
    ----------
    method, channel : str
        One of `LIVE_METHODS`, and a kind of channel.
    snr_db : float
        Es/N0 per complex symbol, dB.
    symbols : int or None, optional
        Complex symbols per window; by default `default_symbols` of the first window's size.
    model : str or Path or None, optional
        Radio bundle of the method, by name or path; by default its own.
    load : callable, optional
        Loads a method by name; `live_method` by default.

    Raises
    ------
    RadioError
        There is no such method or channel, or the SNR is out of range.
    """

    def __init__(
        self,
        method: str,
        channel: str,
        snr_db: float,
        symbols: int | None = None,
        *,
        model: str | Path | None = None,
        load: Callable[[str, Sensing, str | Path | None], StreamMethod] | None = None,
    ) -> None:
        self._load, self._model, self._modelled = load or live_method, model, method
        self._lock = threading.Lock()
        self._rng = np.random.default_rng()
        self._loaded_for = b""
        self._methods: dict[str, StreamMethod | FocalloopError] = {}
        """Those of the map whose hash is `_loaded_for`, or why they cannot be used."""
        self._times = Durations(kept=60)
        chosen = _checked(RadioChoice(method, channel, snr_db, symbols or 0))
        self._state = RadioState(chosen, LIVE_METHODS, 1, 1)

    def choose(self, choice: RadioChoice) -> None:
        """Send the windows like this from now on.

        Raises
        ------
        RadioError
            There is no such method or channel, or a number is out of range.
        """
        checked = _checked(choice)
        if checked.symbols < 1:
            raise RadioError(f"a window is sent with 1 symbol or more, not {choice.symbols}")
        with self._lock:
            self._state = replace(
                self._state, choice=checked, problem="", windows_sent=0, windows_lost=0
            )

    def state(self) -> RadioState:
        """Return a snapshot of the link."""
        with self._lock:
            return self._state

    def transmit(self, window: Window, reads: Float32) -> OnAir:
        """Send a window as it is chosen now.

        Why it could not be sent is the `problem` of the state once it is received.

        Parameters
        ----------
        window : Window
        reads : ndarray of float32, shape (8, H, W)
            Its measurements, corrected or as they are.
        """
        choice = self._choice_for(window)
        started_s = time.monotonic()
        arrive, problem = None, ""
        try:
            method = self._method(choice.method, window)
            channel = Channel(choice.channel, choice.snr_db)  # type: ignore[arg-type]  # checked
            try:
                arrive = method.depart(reads, channel, self._rng, choice.symbols)
            except SymbolBudgetError as error:
                problem = sentence(error)
                within = min(max(choice.symbols, error.least), error.most)
                arrive = method.depart(reads, channel, self._rng, within)
        except FocalloopError as error:
            problem = sentence(error)
        return OnAir(window, choice, arrive, problem, time.monotonic() - started_s)

    def receive(self, sent: OnAir) -> Carried:
        """Receive a window that was sent."""
        started_s = time.monotonic()
        try:
            if sent.arrive is None:
                self._note(sent.choice, problem=sent.problem)
                return Carried()
            delivery = sent.arrive()
        except FocalloopError as error:
            self._note(sent.choice, problem=sentence(error))
            return Carried()
        self._times.add(sent.spent_s + time.monotonic() - started_s)
        self._note(sent.choice, delivery, sent.problem)
        lost = lost_video(sent.window.ratio_map) if delivery.lost else None
        return Carried(delivery.reads, lost, sent.choice)

    def _choice_for(self, window: Window) -> RadioChoice:
        """Return the present choice; the first window's size decides what symbols are offered."""
        height, width = window.ratio_map.shape
        with self._lock:
            state = self._state
            chosen = state.choice
            if not chosen.symbols:
                chosen = replace(chosen, symbols=default_symbols(height, width))
            pixels = height * width
            self._state = replace(
                state,
                choice=chosen,
                min_symbols=round(MIN_SYMBOLS_PER_PIXEL * pixels),
                max_symbols=round(MAX_SYMBOLS_PER_PIXEL * pixels),
            )
            return chosen

    def _method(self, name: str, window: Window) -> StreamMethod:
        map_hash = window.ratio_map.hash()
        if map_hash != self._loaded_for:
            self._loaded_for, self._methods = map_hash, {}
        if name not in self._methods:
            try:
                sensing = Sensing(window.ratio_map, NetworkFree())
                model = self._model if name == self._modelled else None
                self._methods[name] = self._load(name, sensing, model)
            except FocalloopError as error:  # not tried again with every window
                self._methods[name] = error
        method = self._methods[name]
        if isinstance(method, FocalloopError):
            raise method
        return method

    def _note(
        self, choice: RadioChoice, delivery: Delivery | None = None, problem: str = ""
    ) -> None:
        """Record what became of a window, unless another choice has been made meanwhile."""
        with self._lock:
            state = self._state
            if state.choice != choice:
                return
            if delivery is None:
                self._state = replace(
                    state,
                    problem=problem,
                    payload_symbols=None,
                    rate_map_symbols=None,
                    header_symbols=None,
                    rate_map=(),
                    lost=False,
                )
                return
            self._state = replace(
                state,
                problem=problem,
                payload_symbols=delivery.symbols.payload,
                rate_map_symbols=delivery.symbols.rate_map,
                header_symbols=delivery.symbols.header,
                lost=delivery.lost,
                windows_sent=state.windows_sent + 1,
                windows_lost=state.windows_lost + delivery.lost,
                link_ms=self._times.quantile_ms(0.5),
                rate_map=_digits(delivery.rate_map),
            )


def check_model(method: str, model: str | Path) -> None:
    """Refuse a radio bundle that is none of a live method's, before there is a window to send.

    Raises
    ------
    RadioError
        There is no such bundle, it is damaged, or one of another kind.
    """
    RadioBundle.load(model, ("semcom" if method == "semcom" else "codec",))


def live_method(
    name: str,
    sensing: Sensing,
    model: str | Path | None = None,
    *,
    max_papr_db: float | None = None,
) -> StreamMethod:
    """Load one of `LIVE_METHODS`, as `load_method` does; LDPC codes fail as they were measured to.

    So neither torch nor Sionna is loaded, and no window waits for a decoder. Networks run on one
    thread each, since the ends of the link and the reconstruction work side by side.

    Raises
    ------
    RadioError
        Its networks cannot be used, or are for another map.
    """
    if name == "semcom":
        from focalloop.host.radio.semcom import semcom

        return semcom(sensing, model or LIVE_MODEL, max_papr_db=max_papr_db, threads=1)
    from focalloop.host.live.steady_compression import SteadyCompression
    from focalloop.host.radio.codec import Codec

    return SteadyCompression(sensing, Codec.load(model, threads=1))


def _checked(choice: RadioChoice) -> RadioChoice:
    if choice.method not in LIVE_METHODS:
        raise RadioError(
            f"a live link sends by {' or '.join(LIVE_METHODS)}, not by {choice.method!r}"
        )
    channel = Channel(choice.channel, choice.snr_db)  # type: ignore[arg-type]  # checks them
    return replace(choice, snr_db=channel.snr_db)


def _digits(rate_map: NDArray[np.uint8] | None) -> tuple[str, ...]:
    if rate_map is None:
        return ()
    return tuple("".join(str(rate) for rate in row) for row in rate_map)
