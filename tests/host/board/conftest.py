"""What the tests of a board share."""

import pytest

from tests.support.served import on_pty, on_tcp


@pytest.fixture(params=[on_pty, on_tcp])
def url(request):
    """The same tests on every kind of line."""
    with request.param() as server:
        yield server.url
