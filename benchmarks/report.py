"""What every benchmark prints: figures, and the ratio of each to a peer or a limit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One figure beside its peer.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
        Its value, in `unit`.
    unit : str
        Empty for a number without one.
    peer : str
        What it is compared with.
    peer_value : float
        The peer's value, in the same unit.
    ratio : float
        `value` over `peer_value`; a benchmark of times may invert it, so that more is faster.
    """

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float
    ratio: float

    @classmethod
    def of(cls, name: str, value: float, unit: str, peer: str, peer_value: float) -> Row:
        """Return a row whose ratio is `value` over `peer_value`."""
        return cls(name, value, unit, peer, peer_value, value / peer_value)


def main(description: str, measure: Callable[[], Iterable[Row]]) -> None:
    """Run `measure` and print its rows as a table, or as one JSON document with ``--json``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    as_json = parser.parse_args().json
    show(list(measure()), as_json)


def show(rows: Iterable[Row], as_json: bool) -> None:
    """Print rows as a table or as one JSON document."""
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2))
        return
    rows = list(rows)
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        print(
            f"{row.name:<{width}} {_figure(row.value):>9} {row.unit:<9} "
            f"{row.ratio:>7.3g} x {row.peer} ({_figure(row.peer_value)})"
        )


def _figure(value: float) -> str:
    """Write a number with five significant digits, and never with an exponent if it is large."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.5g}"
