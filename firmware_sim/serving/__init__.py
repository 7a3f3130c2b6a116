"""Serving an emulated board on a pseudo-terminal or a TCP port.

- `transport`: `PtyServer` and `TcpServer`, which a host opens by their URL.
- `server`: the loop under both, which moves bytes between board and line.
- `pseudo_terminal`: whether this system has any.
- `pacer`: the pace of a serial line.
"""
