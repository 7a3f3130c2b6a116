"""The user's side: serial bridge, client, reconstruction, service, web page and command line."""

from focalloop.host.board.client import Board
from focalloop.host.board.reception import Window

__all__ = ["Board", "Window"]
