"""The web service: REST and a preview socket over one live session, and the page that uses them."""

from host.service.api import create_app

__all__ = ["create_app"]
