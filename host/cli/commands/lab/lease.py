"""``focalloop lab lease`` and what follows: renew, release, takeover, line."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.host.cli.commands.lab.options import (
    LAB,
    LabOption,
    LabTokenOption,
    LeaseOption,
    NameOption,
    SecondsOption,
    who,
)
from focalloop.host.cli.output import print_json, print_notice, print_result
from focalloop.host.cli.shared_options import JsonOption

if TYPE_CHECKING:
    from focalloop.host.lab.client import HeldLease

BoardArgument = Annotated[str, typer.Argument(metavar="BOARD", help="Name of the board.")]


def lease(
    board: Annotated[
        str | None,
        typer.Argument(metavar="BOARD", help="Name of the board.", show_default="any free one"),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="What the board must have; may be repeated."),
    ] = None,
    seconds: SecondsOption = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="S", min=0, help="How long to wait in the queue.")
    ] = 0.0,
    name: NameOption = None,
    lab: LabOption = LAB,
    token: LabTokenOption = None,
    json: JsonOption = False,
) -> None:
    """Lease a board, waiting for one if need be.

    The token of the lease is printed, which the other commands take as --lease or FOCALLOOP_LEASE.

    Example: focalloop lab lease --tag scamp5 --seconds 600 --wait 60
    """
    from focalloop.host.lab.client import LabClient

    if board is not None and tag:
        raise typer.BadParameter(f"{board} is asked for by its name", param_hint="--tag")
    client = LabClient(lab, token)
    _print(client.lease(who(name), board, tag or (), seconds=seconds, wait_s=wait), json)


def takeover(
    board: BoardArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="What its holder is told.")
    ],
    seconds: SecondsOption = None,
    name: NameOption = None,
    lab: LabOption = LAB,
    token: LabTokenOption = None,
    json: JsonOption = False,
) -> None:
    """Take a board over from whoever has it.

    Example: focalloop lab takeover north --reason "the demonstration begins"
    """
    from focalloop.host.lab.client import LabClient

    _print(LabClient(lab, token).take_over(board, who(name), reason, seconds), json)


def renew(
    lease: LeaseOption,
    seconds: SecondsOption = None,
    lab: LabOption = LAB,
    token: LabTokenOption = None,
    json: JsonOption = False,
) -> None:
    """Let a lease last longer.

    Example: focalloop lab renew --lease TOKEN --seconds 600
    """
    from focalloop.host.lab.client import LabClient

    _print(LabClient(lab, token).renew(lease, seconds), json)


def release(
    lease: LeaseOption,
    lab: LabOption = LAB,
    token: LabTokenOption = None,
    json: JsonOption = False,
) -> None:
    """Give a board back, or leave the queue.

    Example: focalloop lab release --lease TOKEN
    """
    from focalloop.host.lab.client import LabClient

    LabClient(lab, token).release(lease)
    if json:
        print_json({"released": True})
    else:
        print_notice("given back: the board gets its resting map")


def line(
    lease: LeaseOption,
    close: Annotated[
        bool, typer.Option("--close", help="Close it, so that the board's session goes on.")
    ] = False,
    lab: LabOption = LAB,
    token: LabTokenOption = None,
    json: JsonOption = False,
) -> None:
    """Open the raw line of a leased board as a TCP port.

    The address is printed as --port of other commands takes it. One client has the line at a time.

    Example: focalloop lab line --lease TOKEN
    """
    from focalloop.host.lab.client import LabClient

    client = LabClient(lab, token)
    held = client.look(lease)
    if close:
        client.close_line(held)
        url = None
    else:
        url = client.open_line(held)
    if json:
        print_json({"board": held.board, "url": url})
    elif url is not None:
        print_result(url)


def _print(held: HeldLease, json: bool) -> None:
    if json:
        print_json(asdict(held))
        return
    print_notice(f"{held.board} is yours for {held.remaining_s:.0f} s")
    print_result(held.token)
