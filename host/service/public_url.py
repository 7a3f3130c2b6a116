"""The address under which browsers reach the page through a proxy or a tunnel."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from focalloop.host.service.binding import ServiceError, is_loopback

_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]
"""Scheme, host name and port of a page."""


def origin_of(url: str) -> Origin:
    """Return the origin of an ``http`` or ``https`` URL, as browsers compare it.

    Raises
    ------
    ValueError
        If it is not such a URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} does not begin with http://HOST or https://HOST")
    name = parts.hostname
    if not name.isascii():
        name = name.encode("idna").decode()
    return parts.scheme, name, parts.port or _DEFAULT_PORTS[parts.scheme]


@dataclass(frozen=True)
class PublicUrl:
    """Where a proxy or a tunnel offers the page.

    Attributes
    ----------
    url : str
        Address of the page, with a ``/`` at its end: the page's own links are relative to it.
    origin : Origin
        What browsers send of it with requests of the page.
    """

    url: str
    origin: Origin

    @classmethod
    def parse(cls, text: str) -> PublicUrl:
        """Read an address as a user gives it, such as ``https://lab.example/sensor/``.

        Raises
        ------
        ServiceError
            If it is not the address of a page.
        """
        wanted = "give an address such as https://lab.example/sensor/"
        try:
            parts, origin = urlsplit(text), origin_of(text)
        except ValueError as error:
            raise ServiceError(
                f"{text!r} is not an address of a page ({error}): {wanted}"
            ) from None
        if parts.query or parts.fragment or "@" in parts.netloc or any(map(str.isspace, text)):
            raise ServiceError(
                f"{text!r} has more than scheme, host, port and path: {wanted}, and the token as "
                "--token"
            )
        return cls(text.rstrip("/?#") + "/", origin)

    @property
    def host_name(self) -> str:
        """Name in the Host header of requests under this address; IPv6 keeps its brackets."""
        name = self.origin[1]
        return f"[{name}]" if ":" in name else name

    @property
    def path(self) -> str:
        """Path of the address without a ``/`` at its end."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether only this machine has the page under this address."""
        return is_loopback(self.origin[1])
