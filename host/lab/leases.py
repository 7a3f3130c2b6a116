"""Leases: who may change a board, until when, and who is next.

Nothing here waits or knows a network: `clock` has the time, and `on_end` does what follows from an
end. All calls come from one thread, the gateway's event loop.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.lab.settings import LabSettings

WAITING_S = 60.0
"""How long a request waits without being asked after: that of a program that died goes."""

MAX_WAITING = 1000
_MAX_ENDED = 1000
_TO_RENEW = "ask for a new one with `focalloop lab lease`"


class NoLeaseError(FocalloopError):
    """A request needs a lease that it does not have, or no longer."""


class UnknownBoardError(FocalloopError):
    """The lab has no such board."""


class LeaseRefusedError(FocalloopError):
    """What was asked for cannot be."""


@dataclass(frozen=True)
class Lease:
    """A board lent to somebody, or a place in the queue for one.

    Attributes
    ----------
    id : str
        Names it to everybody.
    token : str
        Is known to its holder alone, and proves it.
    name : str
        Who has it, as they call themselves.
    wanted : str or None
        Board that was asked for; None for any that has the `tags`.
    tags : tuple of str
    seconds : float
        Length from its grant, or from its last renewal.
    board : str or None
        Board that is lent; None while it waits.
    until_s : float
        When it ends; while it waits, when it leaves the queue unless it is asked after. By the
        clock of `time.monotonic`, which nobody sets.
    since_unix_s : float
        When it was granted or, while it waits, asked for.
    reason : str
        Why it was taken over from another; empty if it was not.
    recording : dict or None
        Body of the request by which its board is recorded; None if it is not.
    """

    id: str
    token: str
    name: str
    wanted: str | None
    tags: tuple[str, ...]
    seconds: float
    board: str | None
    until_s: float
    since_unix_s: float
    reason: str = ""
    recording: dict[str, Any] | None = None


class Leases:
    """The leases of a lab and the queue for them.

    Parameters
    ----------
    settings : callable
        Returns the lab as it is now.
    on_end : callable
        Takes a lease that has just ended; its board is not lent again before `rested`.
    clock : callable, optional
        Returns the time in seconds; it must be the same in a gateway that is started again.
    """

    def __init__(
        self,
        settings: Callable[[], LabSettings],
        on_end: Callable[[Lease], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._on_end, self._clock = settings, on_end, clock
        self._held: dict[str, Lease] = {}
        self._queue: list[Lease] = []
        self._resting: set[str] = set()
        self._ended: deque[tuple[str, str]] = deque(maxlen=_MAX_ENDED)

    @property
    def queue(self) -> tuple[Lease, ...]:
        """Who waits, the next one first."""
        return tuple(self._queue)

    def of_board(self, board: str) -> Lease | None:
        """Return the lease of a board."""
        return self._held.get(board)

    def remaining_s(self, lease: Lease) -> float:
        """Return how long a lease, or a place in the queue, still lasts."""
        return max(0.0, lease.until_s - self._clock())

    def ask(
        self, name: str, board: str | None, tags: Collection[str], seconds: float | None
    ) -> Lease:
        """Ask for a board by its name, or for any that has all of the tags.

        Returns
        -------
        Lease
            With its board if one is free, else its place in the queue.

        Raises
        ------
        UnknownBoardError, LeaseRefusedError
            No board of the lab is meant, the time is too long, or the queue is full.
        """
        seconds = self._checked_seconds(seconds)
        asked = self._new(name, board, tuple(tags), seconds)
        if not self._candidates(asked):
            raise UnknownBoardError(self._nothing_for(asked))
        if len(self._queue) >= MAX_WAITING:
            raise LeaseRefusedError(f"{MAX_WAITING} requests wait already: ask again later")
        self._queue.append(asked)
        self.tick()
        return self._found(asked.token)

    def look(self, token: str) -> Lease:
        """Return a lease; one that waits is kept in the queue by this.

        Raises
        ------
        NoLeaseError
            It has ended, or there never was one.
        """
        self.tick(asked_after=token)
        return self._found(token)

    def renew(self, token: str, seconds: float | None = None) -> Lease:
        """Let a lease last for its length, or another, from now on; errors as of `look`, `ask`."""
        lease = self.look(token)
        wanted = self._checked_seconds(seconds) if seconds is not None else lease.seconds
        renewed = replace(lease, seconds=wanted)
        if lease.board is None:
            self._queue[self._queue.index(lease)] = renewed
        else:
            renewed = replace(renewed, until_s=self._clock() + wanted)
            self._held[lease.board] = renewed
        return renewed

    def release(self, token: str) -> Lease:
        """End a lease, or leave the queue; errors as of `look`."""
        lease = self.look(token)
        self._end(lease, "was given back")
        self.tick()
        return lease

    def take_over(self, board: str, name: str, seconds: float | None, reason: str) -> Lease:
        """Get the lease of a board at once, whoever has it, for a reason that they are told.

        Raises
        ------
        UnknownBoardError, LeaseRefusedError
            As for `ask`.
        """
        if board not in self._settings().boards:
            raise UnknownBoardError(self._nothing_for(self._new(name, board, (), 0.0)))
        seconds = self._checked_seconds(seconds)
        before = self._held.get(board)
        if before is not None:
            self._end(before, f"was taken over by {name}: {reason}")
        taken = replace(self._new(name, board, (), seconds), reason=reason)
        self._grant(taken, board)
        return self._found(taken.token)

    def record(self, board: str, recording: dict[str, Any] | None) -> None:
        """Note how a board is recorded under its lease from now on."""
        if board in self._held:
            self._held[board] = replace(self._held[board], recording=recording)

    def check(self, token: str | None, board: str) -> Lease:
        """Return the lease by which a request may change a board.

        Raises
        ------
        NoLeaseError
            It gives no right to that.
        """
        if token is None:
            holder = self._held.get(board)
            by = f", which {holder.name} has" if holder is not None else ""
            raise NoLeaseError(
                f"changing the board {board} needs a lease of it{by}: {_TO_RENEW} and send its "
                "token in the header Focalloop-Lease"
            )
        lease = self.look(token)
        if lease.board is None:
            raise NoLeaseError(
                f"the lease {lease.id} still waits for a board: wait until it has one"
            )
        if lease.board != board:
            raise NoLeaseError(
                f"the lease {lease.id} is of the board {lease.board}, not of {board}"
            )
        return lease

    def tick(self, asked_after: str | None = None) -> None:
        """End what is over, and lend what is free to those who wait."""
        now_s, boards = self._clock(), self._settings().boards
        for lease in list(self._held.values()):
            if lease.board not in boards:
                self._end(lease, "has ended, since its board was removed from the lab")
            elif now_s >= lease.until_s:
                self._end(lease, f"has ended after {lease.seconds:g} s")
        for lease in self.queue:
            if not self._candidates(lease):
                self._end(lease, "has ended, since its board was removed from the lab")
            elif asked_after is not None and _same(lease.token, asked_after):
                place = self._queue.index(lease)
                self._queue[place] = lease = replace(lease, until_s=now_s + WAITING_S)
            elif now_s >= lease.until_s:
                self._end(lease, f"left the queue, as nobody asked after it for {WAITING_S:g} s")
                continue
            free = [each for each in self._candidates(lease) if self._is_free(each)]
            if free and lease in self._queue:
                self._queue.remove(lease)
                self._grant(lease, free[0])

    def rested(self, board: str) -> None:
        """Lend a board again, which has its resting map after the end of a lease."""
        self._resting.discard(board)

    def next_end_s(self) -> float | None:
        """Return how long nothing ends by itself; None if nothing does."""
        ends_s = [lease.until_s for lease in (*self._held.values(), *self._queue)]
        return max(0.0, min(ends_s) - self._clock()) if ends_s else None

    def dump(self) -> str:
        """Return the leases as text, for a gateway that is started again."""
        document = {
            "boot": _boot(),
            "leases": [asdict(lease) for lease in (*self._held.values(), *self._queue)],
        }
        return json.dumps(document)

    def restore(self, text: str) -> None:
        """Take up the leases that another gateway dumped since this machine was started.

        What has ended meanwhile ends now. A text that is damaged holds none.
        """
        try:
            document = json.loads(text)
            if document["boot"] != _boot():
                return
            leases = [Lease(**{**each, "tags": tuple(each["tags"])}) for each in document["leases"]]
        except (ValueError, KeyError, TypeError):
            return
        for lease in leases:
            if lease.board is None:
                self._queue.append(lease)
            else:
                self._held[lease.board] = lease
        self.tick()

    def _new(self, name: str, board: str | None, tags: tuple[str, ...], seconds: float) -> Lease:
        return Lease(
            id=secrets.token_hex(4),
            token=secrets.token_urlsafe(24),
            name=name,
            wanted=board,
            tags=tags,
            seconds=seconds,
            board=None,
            until_s=self._clock() + WAITING_S,
            since_unix_s=time.time(),
        )

    def _checked_seconds(self, seconds: float | None) -> float:
        settings = self._settings()
        if seconds is not None and not 0 < seconds <= settings.max_lease_s:
            raise LeaseRefusedError(
                f"a lease of {seconds:g} s is not possible here: ask for at most "
                f"{settings.max_lease_s:g} s, and renew it"
            )
        return seconds or settings.lease_s

    def _candidates(self, lease: Lease) -> list[str]:
        boards = self._settings().boards
        if lease.wanted is not None:
            return [lease.wanted] if lease.wanted in boards else []
        return [name for name, board in boards.items() if set(lease.tags) <= set(board.tags)]

    def _nothing_for(self, lease: Lease) -> str:
        boards = self._settings().boards
        if lease.wanted is not None:
            return f"there is no board {lease.wanted!r} here: choose one of {', '.join(boards)}"
        tags = sorted({tag for board in boards.values() for tag in board.tags})
        return (
            f"no board has the tags {', '.join(lease.tags)} together; there are {', '.join(tags)}"
        )

    def _is_free(self, board: str) -> bool:
        return board not in self._held and board not in self._resting

    def _grant(self, lease: Lease, board: str) -> None:
        until_s = self._clock() + lease.seconds
        self._held[board] = replace(lease, board=board, until_s=until_s, since_unix_s=time.time())

    def _end(self, lease: Lease, why: str) -> None:
        if lease.board is None:
            self._queue.remove(lease)
        else:
            del self._held[lease.board]
        self._ended.append((lease.token, f"the lease {lease.id} {why}: {_TO_RENEW}"))
        if lease.board is not None:
            self._resting.add(lease.board)
            self._on_end(lease)

    def _found(self, token: str) -> Lease:
        for lease in (*self._held.values(), *self._queue):
            if _same(lease.token, token):
                return lease
        for known, why in self._ended:
            if _same(known, token):
                raise NoLeaseError(why)
        raise NoLeaseError(f"this lab knows no lease with this token: {_TO_RENEW}")


def _same(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode())


def _boot() -> str:
    """Return what differs each time that this machine starts, as its monotonic clock then does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
