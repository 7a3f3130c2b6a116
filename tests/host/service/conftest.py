"""The service over a fake session, and on a socket of its own, as bytes reach it."""

import socket
import threading
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from focalloop.host.service.api import create_app
from focalloop.host.service.binding import listen
from focalloop.host.service.server import Service
from tests.support.fake_session import FakeSession

SESSION = FakeSession()


@pytest.fixture(scope="session")
def app():
    """One service for all tests: building it takes longer than most of what they ask of it."""
    return create_app(SESSION)


@pytest.fixture
def session():
    """The session of `app`, as new."""
    SESSION.renew()
    return SESSION


@pytest.fixture
def client(app, session):
    with TestClient(app) as client:  # one event loop for all its requests
        yield client


@contextmanager
def serving(app):
    """Serve an app; give a function that opens a connection to it."""
    sock = listen("127.0.0.1", 0)
    address = sock.getsockname()
    service = Service(app, sock)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield lambda: socket.create_connection(address, timeout=10)
    finally:
        service.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def connect(app, session):
    """Open a connection to the service over the fake session of the test."""
    with serving(app) as connect:
        yield connect
