"""Access control: the checks before any route, and the security headers of every answer.

On loopback the threat is a foreign web page that makes the user's own browser talk to this service:
the Host header is checked against DNS rebinding, and Origin against cross-site requests and
sockets. Beyond loopback a bearer token is needed as well. A browser that brings it in the address
of the page gets it as a cookie, and is sent to the address without it, which can be shown.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from focalloop.host.service.public_url import Origin, origin_of

_OPEN_PATHS = ("/", "/healthz")
_OPEN_PREFIX = "/web/"
"""The files of the page hold no secret; everything else needs the token."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


class AccessControl:
    """ASGI middleware that refuses requests without access.

    Parameters
    ----------
    app : ASGIApp
        Application behind it.
    token : str or None
        Bearer token, expected in ``Authorization``, the cookie or ``?token=``; None for no token.
    host_names : iterable of str or None
        Names that the Host header may carry, without port; None allows any.
    public_origin : Origin or None
        Origin of the page where a proxy or a tunnel offers it: allowed besides the Host header's.
    path_of : callable, optional
        Returns the path of a request as the service of one board has it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        host_names: Iterable[str] | None,
        public_origin: Origin | None,
        path_of: Callable[[str], str] = str,
    ) -> None:
        self._app = app
        self._token = token.encode() if token is not None else None
        # Services on other ports of this host have cookies of their own.
        self._cookie = f"focalloop-{sha256(self._token or b'').hexdigest()[:8]}"
        self._host_names = None if host_names is None else frozenset(host_names)
        self._public_origin = public_origin
        self._path_of = path_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then pass it on or refuse it with one sentence."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None and self._brings_token(scope):
            await self._without_token(scope)(scope, receive, _with_headers(send))
        elif refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            status, sentence = refusal
            answer = JSONResponse({"detail": sentence}, status)
            if status == 401:
                answer.headers["WWW-Authenticate"] = "Bearer"
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._host_names is not None and _host_name(host) not in self._host_names:
            names = " or ".join(sorted(self._host_names))
            return 421, (
                f"This service answers only to the names {names}, not to {host!r}; behind a proxy "
                "or a tunnel, start it with --public-url."
            )
        origin = headers.get("origin")
        checked = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if checked and origin is not None and not self._is_own(origin, host):
            return (
                403,
                f"Requests from the page {origin} are refused: open the page of this service or, "
                "if a proxy or a tunnel offers it there, start the service with --public-url.",
            )
        if self._token is not None and not self._is_open(scope):
            given = self._given_token(headers, scope)
            if given is None or not hmac.compare_digest(given, self._token):
                return 401, (
                    "This service needs its token: append ?token=... to the address of the page or "
                    "send the header 'Authorization: Bearer ...'."
                )
        return None

    def _given_token(self, headers: Headers, scope: Scope) -> bytes | None:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return value.strip().encode()
        cookie = re.search(rf"(?:^|; *){self._cookie}=([^;]*)", headers.get("cookie", ""))
        if cookie is not None:
            return unquote(cookie[1]).encode()
        return _token_of_address(scope)

    def _brings_token(self, scope: Scope) -> bool:
        """Whether a browser opens the page with the token in its address."""
        is_page = scope["type"] == "http" and self._path_of(scope["path"]) == "/"
        given = _token_of_address(scope) if is_page and self._token is not None else None
        return given is not None and hmac.compare_digest(given, self._token or b"")

    def _without_token(self, scope: Scope) -> Response:
        """Return the answer that keeps the token as a cookie, and takes it out of the address."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        answer = Response(status_code=303, headers={"Location": f"./?{rest}" if rest else "./"})
        assert self._token is not None
        # Without a path, it is that of the page as the browser sees it, behind a proxy too.
        secure = self._public_origin is not None and self._public_origin[0] == "https"
        answer.set_cookie(
            self._cookie,
            quote(self._token, safe=""),
            path=None,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether a page of this origin is that of the service."""
        try:
            return urlsplit(origin).netloc == host or origin_of(origin) == self._public_origin
        except ValueError:  # not a URL
            return False

    def _is_open(self, scope: Scope) -> bool:
        path = self._path_of(scope["path"])
        return scope["type"] == "http" and (path in _OPEN_PATHS or path.startswith(_OPEN_PREFIX))


def _host_name(host: str) -> str:
    """Return the name in a Host header without its port; IPv6 keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _token_of_address(scope: Scope) -> bytes | None:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return query["token"][0].encode() if "token" in query else None


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return with_headers
