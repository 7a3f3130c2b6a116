"""Options that the commands of a lab share."""

from __future__ import annotations

from typing import Annotated

import typer

from focalloop.host.lab.client import DEFAULT_URL

LabOption = Annotated[
    str,
    typer.Option(
        "--lab", metavar="URL", envvar="FOCALLOOP_LAB", help="Address of the lab's gateway."
    ),
]
LAB = DEFAULT_URL
LabTokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TEXT",
        envvar="FOCALLOOP_TOKEN",
        help="Bearer token that the lab asks for.",
        show_default="none",
    ),
]
LeaseOption = Annotated[
    str,
    typer.Option(
        "--lease",
        metavar="TOKEN",
        envvar="FOCALLOOP_LEASE",
        help="The lease, as `focalloop lab lease` prints it.",
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(
        "--seconds", metavar="S", min=1, help="Length of the lease.", show_default="the lab's own"
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name", metavar="WHO", help="Who asks, for others to see.", show_default="USER@HOST"
    ),
]


def who(name: str | None) -> str:
    """Return the name that a user goes by."""
    import getpass
    import socket

    return name or f"{getpass.getuser()}@{socket.gethostname()}"
