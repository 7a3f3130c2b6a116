"""``focalloop emulate``: a virtual board behind a pseudo-terminal or a TCP port."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SHAPE, DEFAULT_SLOTS
from focalloop.host.cli.output import (
    activity,
    print_json,
    print_notice,
    print_result,
    print_warning,
)
from focalloop.host.cli.shared_options import (
    JsonOption,
    PatternOption,
    ProfileOption,
    ReplayOption,
    SceneRateOption,
    SeedOption,
    WhiteOption,
    check_place,
    map_option,
    refuse_unused,
    setting,
    size_option,
)

if TYPE_CHECKING:
    from focalloop.firmware_sim.faults import Faults
    from focalloop.firmware_sim.serving.server import BoardServer
    from focalloop.firmware_sim.virtual_board.board import VirtualBoard
    from focalloop.firmware_sim.virtual_board.settings import BoardSettings


def emulate(
    scene: Annotated[
        str,
        typer.Option(
            metavar="SCENE",
            help="What the sensor sees: synthetic, camera:N, or a clip (a video, a folder, an "
            ".npz).",
        ),
    ] = "synthetic",
    white: WhiteOption = None,
    profile: ProfileOption = "paper",
    map_: Annotated[
        str | None,
        map_option("Ratio map that is active from the start: a file, a named tile, or a bundle's."),
    ] = None,
    size: Annotated[str | None, size_option("256x256, or what the map needs")] = None,
    seed: SeedOption = 0,
    pattern: PatternOption = None,
    slot_rate: Annotated[
        float | None,
        typer.Option(
            metavar="HZ",
            min=0,
            help="Slots per second; 0 is as fast as possible.",
            show_default="0, or that of a recording",
        ),
    ] = None,
    scene_rate: SceneRateOption = None,
    baud: Annotated[
        int,
        typer.Option(
            metavar="RATE", min=0, help="Pace the line like a UART of this rate, bit/s; 0 does not."
        ),
    ] = 0,
    tcp: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve on this TCP port of the loopback interface; 0 for any free one.",
        ),
    ] = None,
    link: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Symbolic link to make to the device, for a name that stays."
        ),
    ] = None,
    replay: ReplayOption = None,
    faults: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Faults of the line, such as 'flips=1e-5, disconnect=every 30 s'; docs/link.md "
            "lists all.",
        ),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Serve a virtual board on a pseudo-terminal or a TCP port.

    Where the system has no pseudo-terminals, as Windows, the board is on a free TCP port.

    With --json, one document with the board's URL is printed as soon as it answers there. With
    --faults, each fault is reported as it happens, and the totals at the end.

    With --replay, the board is the recorded one, and plays what was recorded under the map that is
    uploaded, from the first window on at every start, over and over.

    Example: focalloop emulate --scene clip.mp4 --profile scamp5 --baud 921600
    """
    if link is not None and tcp is not None:
        raise typer.BadParameter("a TCP port has no device to link to", param_hint="--link")
    from focalloop.firmware_sim.serving.pseudo_terminal import has_pseudo_terminals

    if tcp is None and not has_pseudo_terminals():
        if link is not None:
            raise typer.BadParameter(
                "this system has no pseudo-terminals, so there is no device to link to: leave it "
                "out and give --tcp PORT for an address that stays",
                param_hint="--link",
            )
        print_warning("this system has no pseudo-terminals: the board is on a TCP port instead")
        tcp = 0
    check_place(link, "FILE", "--link")
    line = _faults(faults)
    if line.disconnect is not None and tcp is None and link is None:
        raise typer.BadParameter(
            "a device that is disconnected comes back under another name: give --link PATH, or "
            "--tcp PORT",
            param_hint="--faults",
        )
    from focalloop.firmware_sim.virtual_board.board import VirtualBoard
    from focalloop.host.cli.arguments import load_scene_rate, refuse_white, scene_opener

    if replay is not None:
        emulated = ("scene", "white", "scene_rate", "profile", "map_", "size", "seed", "pattern")
        refuse_unused(emulated, "is for an emulated sensor, not for --replay")
        _serve_replay(replay, slot_rate, baud, tcp, link, line, json=json)
        return
    settings, shape = _board_settings(map_, size, profile, seed, slot_rate or 0.0, baud, pattern)
    slots = DEFAULT_SLOTS if settings.ratio_map is None else settings.ratio_map.slots
    played_hz = load_scene_rate(scene_rate, scene, slot_rate or 0.0)
    opened = partial(scene_opener(white, played_hz, slot_rate), note=print_warning)
    with setting("--scene"):
        refuse_white(scene)
        view = opened(scene, *shape, slots, seed=seed)
    try:
        board = VirtualBoard(view, settings, open_scene=lambda text: opened(text, *shape, slots))
        with activity("compiling the emulator's kernels (once per machine)"):
            board.warm_up()
        server = _server(board, baud, tcp, link, line)
        document = {
            "url": server.url,
            "height": shape[0],
            "width": shape[1],
            "slots": slots,
            "profile": settings.profile.name,
            "scene": scene,
            "faults": str(line),
        }
        _serve(server, document, json, has_map=settings.ratio_map is not None)
    finally:
        view.close()


def _server(
    board: VirtualBoard, baud: int, tcp: int | None, link: Path | None, line: Faults
) -> BoardServer:
    from focalloop.firmware_sim.serving.transport import PtyServer, TcpServer

    if tcp is None:
        return PtyServer(board, baud=baud, link=link, faults=line, on_fault=print_notice)
    return TcpServer(board, port=tcp, baud=baud, faults=line, on_fault=print_notice)


def _serve_replay(
    file: Path,
    slot_rate: float | None,
    baud: int,
    tcp: int | None,
    link: Path | None,
    line: Faults,
    *,
    json: bool,
) -> None:
    """Serve a board that plays a recording, whose maps are then known here."""
    from focalloop.firmware_sim.virtual_board.board import VirtualBoard
    from focalloop.firmware_sim.virtual_board.replay import NoScene, replay_settings
    from focalloop.firmware_sim.wire import DEFAULT_MAX_PAYLOAD, LARGE_MAX_PAYLOAD
    from focalloop.host.cli import map_memory
    from focalloop.host.recording.recording import Recording
    from focalloop.host.recording.replay import RecordedReplay

    with Recording(file) as recording:
        with activity(f"reading {file}"):
            replay = RecordedReplay(recording, print_warning)
        for ratio_map in replay.maps:
            map_memory.remember(ratio_map)
        info = replay.board
        rate_hz = info.slot_rate_hz if slot_rate is None else slot_rate
        payload = DEFAULT_MAX_PAYLOAD if baud else LARGE_MAX_PAYLOAD
        settings = replay_settings(replay, rate_hz, payload)
        board = VirtualBoard(NoScene(info), settings, replay=replay)
        server = _server(board, baud, tcp, link, line)
        document = {
            "url": server.url,
            "height": info.height,
            "width": info.width,
            "slots": info.slots,
            "replay": str(file),
            "maps": [ratio_map.hash_hex for ratio_map in replay.maps],
            "windows": sum(map(replay.count, replay.maps)),
            "faults": str(line),
        }
        _serve(server, document, json, has_map=True)


def _faults(text: str) -> Faults:
    from focalloop.firmware_sim.faults import Faults, FaultsError

    try:
        return Faults.parse(text)
    except FaultsError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from None


def _board_settings(
    map_spec: str | None,
    size: str | None,
    profile: str,
    seed: int,
    slot_rate: float,
    baud: int,
    pattern_path: Path | None,
) -> tuple[BoardSettings, tuple[int, int]]:
    """Return the settings of the virtual board, and the size (H, W) of its array."""
    from focalloop.firmware_sim.virtual_board.settings import NO_SERIAL, BoardSettings
    from focalloop.firmware_sim.wire import DEFAULT_MAX_PAYLOAD, LARGE_MAX_PAYLOAD
    from focalloop.host.cli.arguments import array_shape, load_map, load_pattern, load_profile

    pattern = load_pattern(pattern_path)
    shape = None if size is None else array_shape(size)
    if pattern is not None:
        with setting("--pattern"):
            pattern.check_fits(shape or pattern.shape)
        shape = pattern.shape
    ratio_map = None if map_spec is None else load_map(map_spec, shape)
    noise = load_profile(profile, DEFAULT_SLOTS if ratio_map is None else ratio_map.slots)
    with setting("--pattern"):
        settings = BoardSettings(
            profile=noise,
            seed=seed,
            slot_rate_hz=slot_rate,
            ratio_map=ratio_map,
            level_set=DEFAULT_LEVEL_SET if ratio_map is None else ratio_map.level_set,
            # On a slow line a long frame would keep every answer waiting.
            max_payload=DEFAULT_MAX_PAYLOAD if baud else LARGE_MAX_PAYLOAD,
            pattern=pattern,
            serial=NO_SERIAL if pattern is None else pattern.serial or NO_SERIAL,
        )
    return settings, shape or (DEFAULT_SHAPE if ratio_map is None else ratio_map.shape)


def _serve(server: BoardServer, document: dict[str, object], json: bool, *, has_map: bool) -> None:
    """Serve until Ctrl-C; say where, and what the line did if it is a faulty one."""
    from focalloop.firmware_sim.serving.transport import stop_on_signals

    with server, stop_on_signals(server):
        if json:
            print_json(document)
        else:
            print_result(server.url)
            print_notice(
                f"a virtual board of {document['width']}x{document['height']} pixels answers there "
                f"until Ctrl-C{'' if has_map else '; it has no ratio map yet: upload one'}"
            )
        faulty = server.cable.faults.active
        if faulty:
            print_notice(f"the line is faulty: {document['faults']}")
        server.serve_forever()
        if faulty:
            print_notice(f"faults injected: {server.cable}")
