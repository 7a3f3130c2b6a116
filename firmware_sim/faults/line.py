"""Faults applied to the bytes between a host and a board, without I/O; times are arguments."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from typing import Literal

from focalloop.firmware_sim.faults.settings import Direction, Faults, Times

AIR_BYTES = 1 << 20
"""Bytes that a delayed line holds per direction; a sender has to wait, or the excess is lost."""

BURST_WAIT_US = 20_000
"""How long a burst of noise waits for bytes; on an idle line it ends without effect."""

_NEVER = 1 << 62
"""A position that no stream reaches."""

Event = Literal["disconnect", "stall", "reset"]
EVENTS: tuple[Event, ...] = ("disconnect", "stall", "reset")

_NAMES = {
    "flips": "bits flipped",
    "drops": "bytes dropped",
    "doubles": "bytes doubled",
    "bursts": "bursts of noise",
    "disconnect": "disconnections",
    "stall": "stalls",
    "reset": "resets",
}
"""The faults in words, for a summary."""

_SINGULAR = {
    "flips": "bit flipped",
    "drops": "byte dropped",
    "doubles": "byte doubled",
    "bursts": "burst of noise",
    "disconnect": "disconnection",
    "stall": "stall",
    "reset": "reset",
}


class _Hits:
    """Positions in a stream that are hit independently with the same probability."""

    def __init__(self, probability: float, rng: random.Random) -> None:
        self._scale = 1 / math.log1p(-probability) if probability else None
        self._rng = rng
        self._next = 0 if self._scale else _NEVER
        self._step(0)

    def below(self, stop: int) -> list[int]:
        """Return the positions below `stop` that were not returned before, ascending."""
        places = []
        while self._next < stop:
            places.append(self._next)
            self._step(1)
        return places

    def _step(self, least: int) -> None:
        if self._scale:  # the distance between two hits is geometric
            gap = math.log(1 - self._rng.random()) * self._scale
            self._next += least + int(min(gap, _NEVER))


class _Schedule:
    """Moments at which a fault happens, counted from the first call on."""

    def __init__(self, times: Times | None, rng: random.Random) -> None:
        self._times = times
        self._rng = rng
        self.next_us: float | None = None

    def due(self, now_us: float) -> float | None:
        """Return the latest moment that has passed since the last call, or None."""
        if self._times is None:
            return None
        if self.next_us is None:
            self.next_us = now_us + self._gap_us()
        moment_us = None
        while self.next_us <= now_us:
            moment_us = self.next_us
            self.next_us += self._gap_us()
        return moment_us

    def _gap_us(self) -> float:
        assert self._times is not None
        even = 1.0 if self._times.even else -math.log(1 - self._rng.random())
        return max(1.0, even * 1e6 / self._times.per_s)


class Pipe:
    """One direction of a line: bytes go in, and come out late and damaged.

    Single bits and bytes are hit by their position in the stream, however it is cut into pieces;
    bursts happen at their times.

    Parameters
    ----------
    faults : Direction
        What goes wrong.
    seed : str
        Seed of everything random here.
    hits : Counter
        Counts the faults, by the names of the settings.
    """

    def __init__(self, faults: Direction, seed: str, hits: Counter[str]) -> None:
        self._faults = faults
        self._hits = hits
        self._flips, self._drops, self._doubles = (
            _Hits(getattr(faults, kind), random.Random(f"{seed} {kind}"))
            for kind in ("flips", "drops", "doubles")
        )
        self._bursts = _Schedule(faults.bursts, random.Random(f"{seed} bursts"))
        self._noise = random.Random(f"{seed} noise")
        self._noise_left = 0
        self._noise_until_us = 0.0
        self._place = 0
        self._air: deque[tuple[float, bytes | memoryview]] = deque()
        self._held = 0

    @property
    def room(self) -> int:
        """Bytes that can be put in now."""
        return AIR_BYTES - self._held

    @property
    def due_us(self) -> float | None:
        """When the next bytes arrive; None if none are on their way."""
        return self._air[0][0] if self._air else None

    def put(self, data: bytes | memoryview, now_us: float) -> None:
        """Send bytes; those beyond `room` are lost."""
        data = self._damaged(data[: self.room], now_us)
        if data:
            self._air.append((now_us + self._faults.delay_s * 1e6, data))
            self._held += len(data)

    def take(self, now_us: float) -> bytes | memoryview:
        """Return the bytes that have arrived by now."""
        arrived: list[bytes | memoryview] = []
        while self._air and self._air[0][0] <= now_us:
            arrived.append(self._air.popleft()[1])
            self._held -= len(arrived[-1])
        return arrived[0] if len(arrived) == 1 else b"".join(arrived)

    def clear(self) -> None:
        """Drop what is on its way, as when the cable is unplugged."""
        self._air.clear()
        self._held = 0

    def _damaged(self, data: bytes | memoryview, now_us: float) -> bytes | memoryview:
        start, stop = self._place, self._place + len(data)
        self._place = stop
        flips = self._flips.below(8 * stop)
        drops, doubles = self._drops.below(stop), set(self._doubles.below(stop))
        burst_us = self._bursts.due(now_us)
        if now_us > self._noise_until_us:
            self._noise_left = 0
        if burst_us is not None and now_us <= burst_us + BURST_WAIT_US:
            self._noise_until_us = burst_us + BURST_WAIT_US
            self._noise_left = self._faults.burst_bytes
            self._hits["bursts"] += 1
        if not (flips or drops or doubles or self._noise_left):
            return data
        self._hits.update(flips=len(flips), drops=len(drops), doubles=len(doubles))
        out = bytearray(data)
        noisy = min(self._noise_left, len(out))
        out[:noisy] = self._noise.randbytes(noisy)
        self._noise_left -= noisy
        for bit in flips:
            out[bit // 8 - start] ^= 1 << bit % 8
        gone = set(drops)
        for place in sorted(gone | doubles, reverse=True):  # backwards: earlier places stay valid
            at = place - start
            out[at : at + 1] = out[at : at + 1] * ((place not in gone) + (place in doubles))
        return bytes(out)


class FaultyLine:
    """Both directions of a line, and the faults of the whole line.

    Parameters
    ----------
    faults : Faults
        What goes wrong.

    Attributes
    ----------
    to_host, to_board : Pipe
    hits : Counter
        How often each fault has happened.
    """

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.hits: Counter[str] = Counter()
        self.to_host = Pipe(faults.to_host, f"{faults.seed} to-host", self.hits)
        self.to_board = Pipe(faults.to_board, f"{faults.seed} to-board", self.hits)
        self._schedules = {
            event: _Schedule(getattr(faults, event), random.Random(f"{faults.seed} {event}"))
            for event in EVENTS
        }

    @property
    def next_us(self) -> float | None:
        """When the next fault is due or the next bytes arrive."""
        moments = [schedule.next_us for schedule in self._schedules.values()]
        moments += [self.to_host.due_us, self.to_board.due_us]
        return min((moment for moment in moments if moment is not None), default=None)

    def events(self, now_us: float) -> list[Event]:
        """Return the faults of the whole line that are due now."""
        happened = [
            event for event, schedule in self._schedules.items() if schedule.due(now_us) is not None
        ]
        self.hits.update(happened)
        return happened

    def skip(self, now_us: float) -> None:
        """Leave out the faults of the whole line that came due while nobody was connected."""
        for schedule in self._schedules.values():
            schedule.due(now_us)

    def clear(self) -> None:
        """Drop what is on its way, in both directions."""
        self.to_host.clear()
        self.to_board.clear()

    def __str__(self) -> str:
        """Return a summary of the faults so far."""
        told = [
            f"{hits} {_SINGULAR[kind] if hits == 1 else name}"
            for kind, name in _NAMES.items()
            if (hits := self.hits[kind])
        ]
        return ", ".join(told) or "none"
