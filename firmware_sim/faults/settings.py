"""The faults of a line, and their notation for users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from focalloop.firmware_sim.errors import FocalloopError

MAX_TIMES_PER_S = 1000.0
"""Highest rate of a fault; moments that pass between two steps of a server count as one."""

_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
_UNITS_BYTES = {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6}
_NUMBER = r"(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)"


class FaultsError(FocalloopError, ValueError):
    """A setting of a line's faults is invalid; the message says which and why."""


@dataclass(frozen=True)
class Times:
    """When a fault happens: at regular intervals or at random.

    Attributes
    ----------
    per_s : float
        Average rate per second, above 0 and at most `MAX_TIMES_PER_S`.
    even : bool
        True: every ``1 / per_s`` seconds. False: a Poisson process of that rate.
    """

    per_s: float
    even: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.per_s <= MAX_TIMES_PER_S:
            raise FaultsError(
                f"a fault happens more than 0 and at most {MAX_TIMES_PER_S:g} times per second, "
                f"not {self.per_s:g}"
            )

    def __str__(self) -> str:
        return f"every {1 / self.per_s:g} s" if self.even else f"{self.per_s:g}/s"


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Faults of the bytes in one direction.

    Attributes
    ----------
    flips : float
        Probability that a bit arrives inverted: the bit error rate.
    drops, doubles : float
        Probability that a byte does not arrive, and that it arrives twice.
    bursts : Times or None
        When noise replaces the next `burst_bytes` bytes.
    burst_bytes : int
        Length of a burst, 1 or more; 64 where there are no bursts.
    delay_s : float
        Time that every byte takes to arrive.
    slow_bytes_per_s : float
        Highest rate at which the receiving end takes bytes; 0 is no limit.
    """

    flips: float = 0.0
    drops: float = 0.0
    doubles: float = 0.0
    bursts: Times | None = None
    burst_bytes: int = 64
    delay_s: float = 0.0
    slow_bytes_per_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flips", "drops", "doubles"):
            probability = getattr(self, name)
            _check(name, "is a probability below 1", probability, 0 <= probability < 1)
        _check("bursts", "replace 1 byte or more", self.burst_bytes, self.burst_bytes >= 1)
        _check("delay", "is 0 to 10 s", self.delay_s, 0 <= self.delay_s <= 10)
        slow = self.slow_bytes_per_s
        _check("slow", "is 100 B/s or more", slow, slow == 0 or 100 <= slow < float("inf"))
        _forget_unused(self, bursts="burst_bytes")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Faults of a line; none by default.

    Attributes
    ----------
    to_host, to_board : Direction
        Faults of the bytes in each direction.
    disconnect : Times or None
        When the cable is unplugged: the port disappears for `disconnect_s`.
    stall : Times or None
        When the board stops for `stall_s`, even within a frame, and then continues.
    reset : Times or None
        When the board resets itself, leaving the current frame unfinished.
    disconnect_s, stall_s : float
        Duration in seconds, above 0; 1 if `disconnect` or `stall` is None.
    seed : int
        0 or more. The same seed has the same effect on the same bytes at the same times.

    Raises
    ------
    FaultsError
        If a value is out of its range.
    """

    to_host: Direction = field(default_factory=Direction)
    to_board: Direction = field(default_factory=Direction)
    disconnect: Times | None = None
    disconnect_s: float = 1.0
    stall: Times | None = None
    stall_s: float = 1.0
    reset: Times | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, seconds in (("disconnect", self.disconnect_s), ("stall", self.stall_s)):
            _check(name, "lasts more than 0 s and at most an hour", seconds, 0 < seconds <= 3600)
        _check("seed", "is 0 or more", self.seed, self.seed >= 0)
        _forget_unused(self, disconnect="disconnect_s", stall="stall_s")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a list of faults like ``flips=1e-5, to-host.delay=5 ms, disconnect=every 30 s``.

        Items are separated by commas; ``docs/link.md`` lists them. ``str()`` is the inverse.

        Raises
        ------
        FaultsError
            An item is invalid; the message says which, and what can be written instead.
        """
        settings: dict[str, Any] = {}
        ways: dict[str, dict[str, Any]] = {"to-host": {}, "to-board": {}}
        given: set[tuple[str, str]] = set()
        for item in filter(None, map(str.strip, text.split(","))):
            name, equals, value = (part.strip() for part in item.partition("="))
            way, dot, kind = name.rpartition(".")
            if not equals or (dot and way not in ways) or kind not in _KINDS:
                raise FaultsError(f"{item!r} is not a fault: write NAME=VALUE, {_names()}")
            kinds = _LINE_KINDS if kind in _LINE_KINDS else _WAY_KINDS
            if dot and kinds is _LINE_KINDS:
                raise FaultsError(f"{kind} affects the whole line: write it without {way}")
            goals = [way] if dot else [""] if kinds is _LINE_KINDS else list(ways)
            if given & {(goal, kind) for goal in goals}:
                raise FaultsError(f"{item!r} repeats an earlier item: leave one of them out")
            given |= {(goal, kind) for goal in goals}
            found = kinds[kind](kind, value)
            for goal in goals:
                ways.get(goal, settings).update(found)
        return cls(
            to_host=Direction(**ways["to-host"]), to_board=Direction(**ways["to-board"]), **settings
        )

    def __str__(self) -> str:
        """Return the text that `parse` reads back; empty without faults."""
        to_host, to_board = list(_written(self.to_host)), list(_written(self.to_board))
        both = to_host
        if to_host != to_board:
            both = [f"to-host.{item}" for item in to_host]
            both += [f"to-board.{item}" for item in to_board]
        for name, times, seconds in (
            ("disconnect", self.disconnect, self.disconnect_s),
            ("stall", self.stall, self.stall_s),
        ):
            if times is not None:
                both.append(f"{name}={times} for {seconds:g} s")
        if self.reset is not None:
            both.append(f"reset={self.reset}")
        return ", ".join([*both, f"seed={self.seed}"] if both else both)

    @property
    def active(self) -> bool:
        """Whether there are any faults."""
        return str(self) != ""


def _forget_unused(faults: Direction | Faults, **extents: str) -> None:
    """Set the extent of each fault that never happens to its default, so that equals are equal."""
    for name, extent in extents.items():
        if getattr(faults, name) is None:
            object.__setattr__(faults, extent, type(faults).__dataclass_fields__[extent].default)


def _written(way: Direction) -> Iterator[str]:
    for name in ("flips", "drops", "doubles"):
        if value := getattr(way, name):
            yield f"{name}={value!r}"
    if way.bursts is not None:
        yield f"bursts={way.bursts} of {way.burst_bytes} B"
    if way.delay_s:
        yield f"delay={way.delay_s * 1e3:g} ms"
    if way.slow_bytes_per_s:
        yield f"slow={way.slow_bytes_per_s:g} B/s"


def _check(name: str, rule: str, value: float, holds: bool) -> None:
    if not holds:
        raise FaultsError(f"{name} {rule}, not {value:g}")


def _match(kind: str, pattern: str, value: str, example: str) -> re.Match[str]:
    found = re.fullmatch(pattern, value)
    if found is None:
        raise FaultsError(f"{value!r} is not a value of {kind}: write {kind}={example}")
    return found


def _probability(kind: str, value: str) -> dict[str, Any]:
    return {kind: float(_match(kind, _NUMBER, value, "1e-5")[1])}


def _duration_s(number: str, unit: str) -> float:
    return float(number) * _UNITS_S[unit]


def _unit(units: dict[str, float]) -> str:
    return rf"\s*({'|'.join(units)})"


_TIMES = rf"(?:every\s+{_NUMBER}{_unit(_UNITS_S)}|{_NUMBER}\s*/\s*s)"


def _times(found: re.Match[str]) -> Times:
    if found[3] is not None:
        return Times(float(found[3]))
    period_s = _duration_s(found[1], found[2])
    return Times(1 / period_s if period_s else float("inf"), even=True)


def _bursts(kind: str, value: str) -> dict[str, Any]:
    found = _match(kind, rf"{_TIMES}(?:\s+of\s+(\d+)\s*B)?", value, "0.1/s, or every 10 s of 64 B")
    length = {} if found[4] is None else {"burst_bytes": int(found[4])}
    return {kind: _times(found), **length}


def _outage(kind: str, value: str) -> dict[str, Any]:
    pattern = rf"{_TIMES}(?:\s+for\s+{_NUMBER}{_unit(_UNITS_S)})?"
    found = _match(kind, pattern, value, "every 30 s, or 0.1/s for 500 ms")
    length = {} if found[4] is None else {f"{kind}_s": _duration_s(found[4], found[5])}
    return {kind: _times(found), **length}


def _reset(kind: str, value: str) -> dict[str, Any]:
    return {kind: _times(_match(kind, _TIMES, value, "every 30 s, or 0.1/s"))}


def _delay(kind: str, value: str) -> dict[str, Any]:
    found = _match(kind, _NUMBER + _unit(_UNITS_S), value, "5 ms")
    return {"delay_s": _duration_s(found[1], found[2])}


def _slow(kind: str, value: str) -> dict[str, Any]:
    found = _match(kind, _NUMBER + _unit(_UNITS_BYTES), value, "20 kB/s")
    return {"slow_bytes_per_s": float(found[1]) * _UNITS_BYTES[found[2]]}


def _seed(kind: str, value: str) -> dict[str, Any]:
    return {kind: int(_match(kind, r"(\d+)", value, "1")[1])}


_Reader = Callable[[str, str], dict[str, Any]]
_WAY_KINDS: dict[str, _Reader] = {
    "flips": _probability,
    "drops": _probability,
    "doubles": _probability,
    "bursts": _bursts,
    "delay": _delay,
    "slow": _slow,
}
_LINE_KINDS: dict[str, _Reader] = {
    "disconnect": _outage,
    "stall": _outage,
    "reset": _reset,
    "seed": _seed,
}
_KINDS = {**_WAY_KINDS, **_LINE_KINDS}


def _names() -> str:
    return (
        f"where NAME is {', '.join(_KINDS)}; the first {len(_WAY_KINDS)} may have to-host. or "
        "to-board. before them"
    )
