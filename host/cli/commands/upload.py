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
    its old map. An adaptive map, by its file or as adaptive, is run at rest until a program sets
    its grids, as live and serve do.

    Example: focalloop upload tile-2of16 --port /dev/ttyACM0
    """
    from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
    from focalloop.host.cli import map_memory
    from focalloop.host.cli.adaptive_maps import load_any_map
    from focalloop.host.cli.arguments import open_board

    wanted = load_any_map(ratio_map, option="MAP")
    with open_board(port, baud, wait) as board, progress_bar() as bar:
        task = bar.add_task("uploading", total=None)
        before = board.status().map_hash
        active = board.upload(
            wanted, lambda done, total: bar.update(task, completed=done, total=total)
        )
    map_memory.remember(active)
    sent = active.hash() != before
    height, width = active.shape
    at_rest = active.resting if isinstance(active, AdaptiveMap) else active
    if json:
        print_json(
            {
                "port": port,
                "map_hash": active.hash_hex,
                "height": height,
                "width": width,
                "r_avg": at_rest.ratio,
                "mean_level": at_rest.mean_level,
                "adaptive": at_rest is not active,
                "sent": sent,
            }
        )
    else:
        print_result(
            f"{ratio_map} {'is now active' if sent else 'was already active'} on {width}x{height} "
            f"pixels: {at_rest.mean_level:.2f} measurements per pixel"
            f"{'' if at_rest is active else ' at rest'}, {active.hash_hex[:16]}"
        )
