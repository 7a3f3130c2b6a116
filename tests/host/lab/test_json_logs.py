"""Requests in the log: one JSON line each, with an id that the answer carries too."""

import io
import json
import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from focalloop.host.lab.json_logs import RequestLog, log_as_json


@pytest.fixture
def lines():
    """What is logged, as documents; the loggers are as before afterwards."""
    loggers = [logging.getLogger(name) for name in ("focalloop", "uvicorn.error")]
    before = [(each, each.handlers, each.level, each.propagate) for each in loggers]
    written = io.StringIO()
    log_as_json(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def client():
    app = FastAPI()
    app.add_middleware(RequestLog)

    @app.get("/warned")
    async def get_warned() -> str:
        logging.getLogger("focalloop.lab").warning("of the\nrequest")
        return ""

    return TestClient(app)


def test_a_request_and_what_it_logged_have_the_same_id(client, lines):
    answer = client.get("/warned?token=secret")
    warned, answered = lines()
    assert warned["request"] == answered["request"] == answer.headers["X-Request-Id"]
    assert (warned["level"], warned["message"]) == ("warning", "of the\nrequest")
    assert (answered["method"], answered["path"], answered["status"]) == ("GET", "/warned", 200)
    assert "secret" not in json.dumps(answered)


@pytest.mark.parametrize(("given", "kept"), [("ab-1.2", True), ("a b", False), ("x" * 65, False)])
def test_the_id_of_a_proxy_is_kept_if_it_is_one(given, kept, client, lines):
    answer = client.get("/nothing", headers={"X-Request-Id": given})
    [answered] = lines()
    assert answered["status"] == 404
    assert answered["request"] == answer.headers["X-Request-Id"]
    assert (answered["request"] == given) is kept
