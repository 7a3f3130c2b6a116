"""A program's way to a lab: boards, leases and raw lines, over its REST routes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from focalloop.firmware_sim.errors import FocalloopError

DEFAULT_URL = "http://127.0.0.1:8000/"
_TIMEOUT_S = 60.0
_WAIT_S = 20.0
"""How long one request waits for a board, of which many follow one another."""


class LabError(FocalloopError):
    """The lab refused, or does not answer.

    Attributes
    ----------
    status : int
        Of HTTP; 0 where there was no answer.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class HeldLease:
    """A lease, or a place in the queue.

    Attributes
    ----------
    token : str
        Proves it.
    board : str or None
        Board that is lent; None while it waits.
    place : int
        In the queue, from 1; 0 once a board is lent.
    remaining_s : float
        Until it ends.
    """

    token: str
    board: str | None
    place: int
    remaining_s: float


class LabClient:
    """A lab at an address.

    Parameters
    ----------
    url : str
        Address of its gateway, such as ``https://lab.example/``.
    token : str or None, optional
        Bearer token, if it asks for one.
    """

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise LabError(f"{url!r} is not the address of a lab: give one such as {DEFAULT_URL}")
        self.url = url.rstrip("/") + "/"
        self._token = token

    def boards(self) -> dict[str, Any]:
        """Return the boards and the queue, as ``GET /api/boards`` does."""
        return dict(self.request("GET", "api/boards"))

    def reload(self) -> dict[str, Any]:
        """Have the lab read its lab.toml again; return its boards then."""
        return dict(self.request("POST", "api/reload"))

    def lease(
        self,
        name: str,
        board: str | None = None,
        tags: Collection[str] = (),
        *,
        seconds: float | None = None,
        wait_s: float = 0.0,
    ) -> HeldLease:
        """Lease a board by its name or by tags, and wait for it.

        Parameters
        ----------
        name : str
            Who asks, for others to see.
        board, tags : str and collection of str
            The board, or what it must have.
        seconds : float, optional
            Length of the lease; by default as the lab has it.
        wait_s : float, optional
            How long to wait in the queue, which is left after that.

        Raises
        ------
        LabError
            No board was free in time, or the lab refused.
        """
        wish = {"name": name, "board": board, "tags": list(tags), "seconds": seconds}
        lease = _lease(self.request("POST", "api/leases", wish))
        until_s = time.monotonic() + wait_s
        try:
            while lease.board is None:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise LabError(
                        f"no board was free within {wait_s:g} s, at place {lease.place} of the "
                        "queue: wait longer"
                    )
                lease = self.look(lease.token, min(left_s, _WAIT_S))
        except BaseException:
            self.release(lease.token)
            raise
        return lease

    def look(self, lease: str, wait_s: float = 0.0) -> HeldLease:
        """Return a lease by its token, as soon as it has a board or `wait_s` are over."""
        return _lease(self.request("GET", f"api/lease?wait_s={wait_s:g}", lease=lease))

    def renew(self, lease: str, seconds: float | None = None) -> HeldLease:
        """Let a lease last for its length, or another, from now on."""
        return _lease(self.request("POST", "api/lease/renew", {"seconds": seconds}, lease))

    def release(self, lease: str) -> None:
        """Give a board back; returns once it is at rest."""
        self.request("DELETE", "api/lease", lease=lease)

    def take_over(
        self, board: str, name: str, reason: str, seconds: float | None = None
    ) -> HeldLease:
        """Take a board over from whoever has it, who is told the reason."""
        wish = {"name": name, "reason": reason, "seconds": seconds}
        return _lease(self.request("POST", f"api/boards/{quote(board, safe='')}/takeover", wish))

    def open_line(self, lease: HeldLease) -> str:
        """Open the raw line of a leased board; return its URL, as ``--port`` takes it."""
        found = self.request("POST", f"api/boards/{lease.board}/line", lease=lease.token)
        host = found["host"]
        if host in ("0.0.0.0", "::"):
            host = urlsplit(self.url).hostname
        bracketed = f"[{host}]" if ":" in host else host
        return f"socket://{bracketed}:{found['port']}"

    def close_line(self, lease: HeldLease) -> None:
        """Close the raw line of a leased board, whose session then goes on."""
        self.request("DELETE", f"api/boards/{lease.board}/line", lease=lease.token)

    def request(
        self,
        method: str,
        path: str,
        document: Any = None,  # noqa: ANN401 - any JSON value
        lease: str | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON value
        """Send a request; return the document of the answer, or None where it has none.

        Raises
        ------
        LabError
            The lab refused, or does not answer.
        """
        headers = {"Content-Type": "application/json"} if document is not None else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if lease is not None:
            headers["Focalloop-Lease"] = lease
        body = None if document is None else json.dumps(document).encode()
        try:
            request = urllib.request.Request(self.url + path, body, headers, method=method)
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                data = answer.read()
            return json.loads(data) if data else None
        except urllib.error.HTTPError as refusal:
            raise LabError(_said(refusal), refusal.code) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise LabError(
                f"no lab answers at {self.url} ({reason}): start `focalloop lab`, or check --lab"
            ) from None


def _lease(found: dict[str, Any]) -> HeldLease:
    lease = found["lease"]
    return HeldLease(found["token"], lease["board"], lease["place"], lease["remaining_s"])


def _said(refusal: urllib.error.HTTPError) -> str:
    try:
        said = str(json.loads(refusal.read())["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"what answers at {refusal.url} is no lab (status {refusal.code}): check --lab"
    return said[:1].lower() + said[1:].rstrip(".")
