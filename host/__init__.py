"""The user's side: serial bridge, client, reconstruction, service, web page and command line."""

from host.board import Board
from host.windows import Window

__all__ = ["Board", "Window"]
