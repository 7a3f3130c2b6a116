"""Logs as one JSON document per line, which carry the id of the request that they are of."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-Id"

_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_request: ContextVar[str | None] = ContextVar("request", default=None)
_log = logging.getLogger("focalloop.lab.requests")


def log_as_json(stream: TextIO | None = None) -> None:
    """Write what focalloop and its server log as JSON, from level INFO on.

    Parameters
    ----------
    stream : text stream, optional
        Where to; by default standard error.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines())
    for name in ("focalloop", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger("focalloop").setLevel(logging.INFO)


class RequestLog:
    """ASGI middleware that gives each request an id, and logs how it was answered.

    An id in the header `REQUEST_ID` is kept, as a proxy sets it; every answer carries its id there.

    Parameters
    ----------
    app : ASGIApp
        Application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it at its end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        status, began_s = 0, time.monotonic()

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request
            await send(message)

        token = _request.set(request)
        try:
            await self._app(scope, receive, with_id)
        finally:
            facts = {
                "method": scope.get("method", "WEBSOCKET"),
                "path": scope["path"],  # without the query, in which there may be a token
                "status": status,
                "client": scope["client"][0] if scope.get("client") else None,
                "ms": round(1000 * (time.monotonic() - began_s), 1),
            }
            _log.info("answered", extra={"facts": facts})
            _request.reset(token)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if (request := _request.get()) is not None:
            line["request"] = request
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
