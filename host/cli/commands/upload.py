"""``focalloop upload``: a ratio map to a board."""

from __future__ import annotations

from focalloop.host.cli.output import print_json, print_result, progress_bar
from focalloop.host.cli.shared_options import (
    DEFAULT_WAIT_S,
    BaudOption,
    JsonOption,
    MapArgument,
    PortOption,
    WaitOption,
)
from focalloop.host.link.port import DEFAULT_BAUD


def upload(
    ratio_map: MapArgument,
    port: PortOption,
    baud: BaudOption = DEFAULT_BAUD,
    wait: WaitOption = DEFAULT_WAIT_S,
    json: JsonOption = False,
) -> None:
    """Upload a ratio map to a board.

    A periodic map is repeated to the board's array size. If anything goes wrong, the board keeps
    its old map.

    Example: focalloop upload tile-2of16 --port /dev/ttyACM0
    """
    from focalloop.host.cli import map_memory
    from focalloop.host.cli.arguments import load_map, open_board

    wanted = load_map(ratio_map, option="MAP")
    with open_board(port, baud, wait) as board, progress_bar() as bar:
        task = bar.add_task("uploading", total=None)
        before = board.status().map_hash
        active = board.upload(
            wanted, lambda done, total: bar.update(task, completed=done, total=total)
        )
    map_memory.remember(active)
    sent = active.hash() != before
    height, width = active.shape
    if json:
        print_json(
            {
                "port": port,
                "map_hash": active.hash_hex,
                "height": height,
                "width": width,
                "r_avg": active.ratio,
                "mean_level": active.mean_level,
                "sent": sent,
            }
        )
    else:
        print_result(
            f"{ratio_map} {'is now active' if sent else 'was already active'} on {width}x{height} "
            f"pixels: {active.mean_level:.2f} measurements per pixel, {active.hash_hex[:16]}"
        )
