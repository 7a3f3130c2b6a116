"""Serving an emulated board on a pseudo-terminal or a TCP port."""
