"""Options that the radio commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from focalloop.host.cli import completion

ChannelOption = Annotated[
    Literal["awgn", "rayleigh", "rayleigh-block"],
    typer.Option("--channel", help="Noise alone, or one fade per symbol or per window as well."),
]

SnrOption = Annotated[
    float,
    typer.Option("--snr", metavar="DB", help="Es/N0 per complex symbol, -10 to 40 dB."),
]

SymbolsOption = Annotated[
    int | None,
    typer.Option(
        "--symbols",
        metavar="N",
        min=1,
        help="Complex symbols per window.",
        show_default="0.2 per pixel",
    ),
]

PaprOption = Annotated[
    float | None,
    typer.Option(
        "--max-papr",
        metavar="DB",
        min=3,
        max=20,
        help="Clip analog symbols to this peak-to-average power, as an amplifier does.",
        show_default="not clipped",
    ),
]

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="RADIO_BUNDLE",
        help="Shipped name or path of the method's networks.",
        show_default="the method's own",
    ),
]

SensingOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="BUNDLE",
        help="Shipped name or path of the bundle that captures and reconstructs.",
        show_default="edge-learned-2.5of16",
        autocompletion=completion.bundles,
    ),
]


@contextmanager
def within_budget() -> Iterator[None]:
    """Make symbols that a method cannot send a window with wrong usage, exit code 2."""
    from focalloop.host.radio.methods import SymbolBudgetError

    try:
        yield
    except SymbolBudgetError as error:
        raise typer.BadParameter(str(error), param_hint="--symbols") from error
