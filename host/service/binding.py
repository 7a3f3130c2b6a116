"""Where the service listens: a safe address to bind to, and a free port there."""

from __future__ import annotations

import ipaddress
import socket

from focalloop.firmware_sim.errors import FocalloopError

DEFAULT_PORT = 8000
_MAX_PORTS_TRIED = 20


class ServiceError(FocalloopError):
    """The service cannot be started with these settings."""


def is_loopback(host: str) -> bool:
    """Return whether an address to bind to can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int | None) -> socket.socket:
    """Open the socket on which the service will listen.

    Parameters
    ----------
    host : str
        Name or address to bind to.
    port : int or None
        Port; 0 for any free one; None for `DEFAULT_PORT` or, if that is taken, the next free one.

    Raises
    ------
    ServiceError
        If the port is taken or not permitted, or the address is not one of this machine.
    """
    tried = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + _MAX_PORTS_TRIED)
    taken = OSError("no port was tried")
    for number in tried:
        try:
            info = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            sock = socket.create_server(info[4][:2], family=info[0])
        except OSError as error:
            taken = error
        except UnicodeError:
            raise ServiceError(f"cannot serve on {host!r}: it is not the name of a host") from None
        else:
            # Connections inherit it. Without it a body waits up to 40 ms for the ACK of its head:
            # asyncio leaves a socket alone that does not name its protocol.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    where = f"{host}:{port}" if port is not None else f"{host}:{tried[0]}-{tried[-1]}"
    raise ServiceError(
        f"cannot serve on {where}: {taken.strerror or taken}; give another --http-host or "
        "--http-port, or --http-port 0 for any free port"
    )


def check_exposure(host: str, token: str | None) -> None:
    """Refuse to serve beyond this machine without a token.

    Raises
    ------
    ServiceError
        If `host` is not a loopback address and there is no token.
    """
    if not is_loopback(host) and not token:
        raise ServiceError(
            f"serving on {host} gives other machines access: give --token SECRET as well, or serve "
            "on 127.0.0.1"
        )


def host_names(host: str) -> tuple[str, ...] | None:
    """Return the names that the Host header may carry if the service binds to `host`; None for any.

    On loopback another name means DNS rebinding: a foreign name that resolves to this machine.
    """
    if not is_loopback(host):
        return None
    bound = f"[{host}]" if ":" in host else host
    return tuple(dict.fromkeys((bound, "localhost", "127.0.0.1", "[::1]")))


def address_of(sock: socket.socket) -> str:
    """Return the URL of the page behind a listening socket."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
