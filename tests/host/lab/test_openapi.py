"""Requests drawn from the OpenAPI documents of the gateway and of a board's service."""

import contextlib
import threading

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from focalloop.host.service.api import create_app
from focalloop.host.service.binding import address_of, listen
from focalloop.host.service.server import Service
from tests.support.fake_session import FakeSession
from tests.support.running_lab import silent_lab

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@contextlib.contextmanager
def board_service(_):
    with listen("127.0.0.1", 0) as sock:
        service = Service(create_app(FakeSession()), sock)
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            yield address_of(sock)
        finally:
            service.stop()
            thread.join(10)


@pytest.mark.parametrize("serve", [silent_lab, board_service])
def test_no_request_breaks_it_and_every_answer_is_documented(serve, tmp_path):
    with serve(tmp_path) as url:
        schema = schemathesis.openapi.from_url(f"{url}openapi.json")
        tried = set()
        for found in schema.get_all_operations():
            operation = found.ok()
            tried.add(operation.label)

            @settings(
                max_examples=4,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
                database=None,
                derandomize=True,
            )
            @given(operation.as_strategy())
            def check(case):
                case.call_and_validate(checks=CHECKS)

            check()
    assert "GET /healthz" in tried
    assert len(tried) >= 9
