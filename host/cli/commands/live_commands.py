"""``focalloop live`` and ``focalloop serve``: the preview over an emulated or a given board."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SHAPE, DEFAULT_SLOTS
from focalloop.firmware_sim.maps.ratio_map import RatioMapError
from focalloop.host.cli.arguments import load_map
from focalloop.host.cli.output import JsonFlag
from focalloop.host.cli.preview_run import PageSettings, has_display, run_preview
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE

DEMO_CLIP = "box.mp4"

BundleOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        help="Shipped bundle or path of one (a folder or .zip), or network-free. "
        "Default: the shipped default bundle.",
    ),
]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map", help="Ratio map: a file, a named tile or a bundle's. Default: the bundle's own."
    ),
]
HttpPortOption = Annotated[
    int | None,
    typer.Option(
        "--http-port",
        min=0,
        max=65535,
        help="Port of the page; 0 for any free one. Default: 8000, or the next free one.",
    ),
]
OpenOption = Annotated[
    bool | None,
    typer.Option("--open/--no-open", help="Open a browser. Default: where there is a display."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(live)
    app.command()(serve)


def live(
    scene: Annotated[
        str | None,
        typer.Option(help="camera:N, a clip, or synthetic. Default: a clip that comes along."),
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="Another board instead of the emulated one: device or URL.")
    ] = None,
    bundle: BundleOption = None,
    map_: MapOption = None,
    profile: Annotated[
        str, typer.Option(help="Noise of the emulated board: ideal, paper, scamp5 or a JSON file.")
    ] = "paper",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Array of the emulated board. Default: 256x256, or that of a map that fits no "
            "other.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the emulated noise.")] = 0,
    slot_rate: Annotated[
        float, typer.Option(min=0, help="Frame slots a second of the emulated board; 0 is unpaced.")
    ] = 240.0,
    http_port: HttpPortOption = None,
    open_: OpenOption = None,
    json_output: JsonFlag = False,
) -> None:
    """Watch an emulated sensor capture a real clip, rebuilt live in the browser.

    Starts an emulated board as a process of its own behind a serial device, uploads the map of
    the bundle over it, streams, reconstructs, and serves a page on this machine. Ctrl-C ends it
    all. With --json, one document is printed when the first window has been rebuilt.

    Example: focalloop live --scene camera:0 --profile scamp5
    """
    from focalloop.host.cli.emulator_process import EmulatorProcess
    from focalloop.host.live.board_source import BoardAt, BoardSource
    from focalloop.host.live.session import LiveSession

    ratio_map = None if map_ is None else load_map(map_)
    source: BoardSource
    if port is not None:
        if scene is not None or size is not None:
            raise typer.BadParameter("--scene and --size are of the emulated board, not of --port")
        source, scene_words, profile_words = BoardAt(port), "", ""
    else:
        scene_spec = scene or str(_demo_clip())
        source = EmulatorProcess(
            f"--scene={scene_spec}",
            f"--profile={profile}",
            f"--seed={seed}",
            f"--slot-rate={slot_rate}",
            *_array_options(map_ or (None if bundle == NETWORK_FREE else bundle), size),
        )
        scene_words, profile_words = Path(scene_spec).name, Path(profile).name
    page = PageSettings(
        port=http_port, open=has_display() if open_ is None else open_, json=json_output
    )
    run_preview(
        lambda: LiveSession(
            source,
            bundle=bundle,
            ratio_map=ratio_map,
            scene=scene_words,
            profile=profile_words,
        ),
        page,
    )


def serve(
    port: Annotated[str, typer.Option(help="Board to serve: device name or URL.")],
    bundle: BundleOption = None,
    map_: MapOption = None,
    http_host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    http_port: HttpPortOption = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="FOCALLOOP_TOKEN",
            help="Bearer token; needed where --http-host is not of this machine alone.",
        ),
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Serve the page and the interfaces of one board, here or to a network.

    Example: focalloop serve --port /dev/ttyACM0 --http-host 0.0.0.0 --token SECRET
    """
    from focalloop.host.live.board_source import BoardAt
    from focalloop.host.live.session import LiveSession

    page = PageSettings(host=http_host, port=http_port, token=token, json=json_output)
    ratio_map = None if map_ is None else load_map(map_)
    run_preview(lambda: LiveSession(BoardAt(port), bundle=bundle, ratio_map=ratio_map), page)


def _demo_clip() -> Path:
    """Path of the clip that comes with the package."""
    return Path(str(files("focalloop.host") / "clips" / DEMO_CLIP))


def _array_options(map_spec: str | None, size: str | None) -> list[str]:
    """Options that give the emulated board its size, and the T and levels that a map needs."""
    options = [] if size is None else [f"--size={size}"]
    if map_spec is None:
        return options
    ratio_map = load_map(map_spec)
    if size is None:
        height, width = DEFAULT_SHAPE
        try:
            ratio_map.tiled_to(height, width)
        except RatioMapError:
            height, width = ratio_map.shape
        options.append(f"--size={width}x{height}")
    if (ratio_map.slots, ratio_map.level_set) != (DEFAULT_SLOTS, DEFAULT_LEVEL_SET):
        options.append(f"--map={map_spec}")
    return options
