"""``focalloop lab boards`` and ``reload``: the boards of a lab, and who has them."""

from __future__ import annotations

from typing import Any

from focalloop.host.cli.commands.lab.options import LAB, LabOption, LabTokenOption
from focalloop.host.cli.output import print_json, print_result, stdout
from focalloop.host.cli.shared_options import JsonOption


def boards(lab: LabOption = LAB, token: LabTokenOption = None, json: JsonOption = False) -> None:
    """List the boards of a lab, and who has them.

    Example: focalloop lab boards --lab https://lab.example/
    """
    from focalloop.host.lab.client import LabClient

    _show(LabClient(lab, token).boards(), json)


def reload(lab: LabOption = LAB, token: LabTokenOption = None, json: JsonOption = False) -> None:
    """Make a lab read its lab.toml again.

    Boards are added and removed; all others go on undisturbed.

    Example: focalloop lab reload
    """
    from focalloop.host.lab.client import LabClient

    _show(LabClient(lab, token).reload(), json)


def _show(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    if not found["boards"]:
        print_result("the lab has no boards: add some to its lab.toml, then `focalloop lab reload`")
        return
    from rich.table import Table

    table = Table("board", "tags", "state", "windows/s", "recording", "lease")
    for board in found["boards"]:
        recording, lease = board["recording"], board["lease"]
        recorded = ""
        if recording is not None and recording["recording"]:
            recorded = f"{recording['windows']:,} windows, {recording['seconds']:.0f} s"
        table.add_row(
            board["name"],
            " ".join(board["tags"]),
            board["phase"],
            f"{board['received_per_s']:.1f}",
            recorded,
            "free" if lease is None else f"{lease['name']}, {lease['remaining_s']:.0f} s",
        )
    stdout.print(table)
    for board in found["boards"]:
        if board["phase"] == "lost" and board["activity"]:
            print_result(f"{board['name']}: {board['activity']}")
    for lease in found["queue"]:
        wanted = lease["wanted"] or "any " + " ".join(lease["tags"])
        print_result(f"{lease['place']}. in the queue: {lease['name']}, for {wanted.strip()}")
