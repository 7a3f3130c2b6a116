"""The line to a board: ports, bytes, requests and reconnection."""
