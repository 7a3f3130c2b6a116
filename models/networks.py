"""The network profiles by name: what a checkpoint's settings are built into."""

from __future__ import annotations

from models.edge_network import EdgeNetwork, EdgeSettings

NetworkSettings = EdgeSettings
Network = EdgeNetwork


def default_settings() -> NetworkSettings:
    """Return the edge profile."""
    return EdgeSettings()


def build_network(settings: NetworkSettings) -> Network:
    """Build the network that `settings` describe, with random weights."""
    return EdgeNetwork(settings)
