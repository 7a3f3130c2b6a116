"""``focalloop live``: the preview page over an emulated board, or a given one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SHAPE, DEFAULT_SLOTS
from focalloop.host.cli.radio_options import (
    ChannelOption,
    ModelOption,
    PaprOption,
    SnrOption,
    SymbolsOption,
)
from focalloop.host.cli.shared_options import (
    DEFAULT_WAIT_S,
    BudgetOption,
    BundleMapOption,
    BundleOption,
    CorrectionOption,
    HttpPortOption,
    JsonOption,
    PatternOption,
    ProfileOption,
    PublicUrlOption,
    QuotaOption,
    RecordingsOption,
    ReplayOption,
    SceneRateOption,
    SeedOption,
    TokenOption,
    UncorrectedOption,
    WaitOption,
    WhiteOption,
    refuse_unused,
    setting,
    size_option,
)

if TYPE_CHECKING:
    from focalloop.firmware_sim.fixed_pattern import FixedPattern
    from focalloop.firmware_sim.maps.ratio_map import RatioMap
    from focalloop.firmware_sim.noise import NoiseProfile

DEMO_CLIP = "box.mp4"

MAX_KNOWN_PIXELS = 512 * 512
"""Of the array of a board whose clip is read here as well: at that size it takes up to 256 MiB."""


def live(
    scene: Annotated[
        str | None,
        typer.Option(
            metavar="SCENE",
            help="What the sensor sees: camera:N, synthetic, or a clip (a video, a folder, an "
            ".npz).",
            show_default="a clip that comes with focalloop",
        ),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Use the board at this device name or URL, not an emulated one."
        ),
    ] = None,
    replay: ReplayOption = None,
    wait: WaitOption = DEFAULT_WAIT_S,
    bundle: BundleOption = None,
    map_: BundleMapOption = None,
    budget: BudgetOption = None,
    white: WhiteOption = None,
    profile: ProfileOption = "paper",
    size: Annotated[str | None, size_option("256x256, or what the map needs")] = None,
    seed: SeedOption = 0,
    pattern: PatternOption = None,
    correction: CorrectionOption = None,
    uncorrected: UncorrectedOption = False,
    slot_rate: Annotated[
        float,
        typer.Option(
            metavar="HZ", min=0, help="Slots per second of the emulated board; 0 is unpaced."
        ),
    ] = 240.0,
    scene_rate: SceneRateOption = None,
    radio: Annotated[
        Literal["semcom", "compr-ldpc"] | None,
        typer.Option(help="Send the windows over a radio channel, by this method."),
    ] = None,
    channel: ChannelOption = "awgn",
    snr: SnrOption = 10.0,
    symbols: SymbolsOption = None,
    max_papr: PaprOption = None,
    model: ModelOption = None,
    recordings: RecordingsOption = None,
    recordings_quota: QuotaOption = None,
    http_port: HttpPortOption = None,
    public_url: PublicUrlOption = None,
    token: TokenOption = None,
    open_: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open", help="Open a browser.", show_default="where there is a display"
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Watch an emulated sensor, reconstructed live in the browser.

    Starts an emulated board as a process of its own behind a serial device, uploads the bundle's
    ratio map to it, streams windows, reconstructs them, and serves a page on this machine, until
    Ctrl-C. With --radio, windows pass through a radio channel before that, and the page steers its
    SNR and the symbols that are spent. With --json, one document is printed once the first window
    has been reconstructed.

    With --map adaptive, the map follows the scene: each block of the array is read as often as the
    last windows call for, within --budget.

    Reads are corrected by --correction, or by what `calibrate --remember` kept for the board.

    Example: focalloop live --scene camera:0 --profile scamp5
    """
    from focalloop.host.cli import board_memory
    from focalloop.host.cli.adaptive_maps import bundle_for_any_map, load_loop
    from focalloop.host.cli.arguments import (
        check_bundle,
        check_scene,
        load_map,
        load_pattern,
        load_profile,
        load_scene_rate,
        scene_opener,
    )
    from focalloop.host.cli.emulator_process import EmulatorProcess
    from focalloop.host.cli.output import print_notice
    from focalloop.host.cli.preview_run import PageSettings, has_display, recordings_of, run_preview
    from focalloop.host.live.board_source import BoardAt, BoardSource
    from focalloop.host.live.session import LiveSession
    from focalloop.host.reconstruction.reconstruct import NETWORK_FREE

    paced = ("slot_rate", "scene_rate")
    emulated = ("scene", "size", "white", "profile", "seed", *paced, "pattern")
    if replay is not None:
        unused = (*emulated, "port", "map_", "budget")
        refuse_unused(unused, "is for another board, not for that of a recording")
    elif port is not None:
        refuse_unused(emulated, "is for the emulated board, not for --port")
    if port is None:
        refuse_unused(["wait"], "is for the port of a board, and there is no --port")
    if scene is None:
        refuse_unused(["white"], "is for a clip of your own, and there is no --scene")
    noise = load_profile(profile)
    own_pattern, given = load_pattern(pattern), load_pattern(correction, "--correction")
    loop = load_loop(map_, budget)
    if loop is not None:
        refuse_unused(["radio"], "sends windows of one map, and an adaptive map changes")
    link = None
    if radio is None:
        for_radio = ["channel", "snr", "symbols", "max_papr", "model"]
        refuse_unused(for_radio, "is for --radio, and there is none")
    else:
        # Loads Numba, without which a host starts sooner.
        from focalloop.host.live.radio_link import (
            LIVE_BUNDLE,
            RadioLink,
            check_model,
            live_method,
        )

        load = partial(live_method, max_papr_db=max_papr)
        with setting("--snr"):
            link = RadioLink(radio, channel, snr, symbols, model=model, load=load)
        if model is not None:
            with setting("--model"):
                check_model(radio, model)
        bundle = bundle or LIVE_BUNDLE
    check_bundle(bundle)
    ratio_map: RatioMap | None = None
    recorded_noise: NoiseProfile | None = None
    if loop is not None:
        bundle = bundle_for_any_map(bundle, noise if port is None else None)
    elif replay is not None:
        ratio_map, recorded_noise = _recorded(replay)
    elif map_ is not None:
        ratio_map = load_map(map_)
    source: BoardSource
    scene_name = profile_name = footage = ""
    if replay is not None:
        source, scene_name = EmulatorProcess(f"--replay={replay}"), replay.name
    elif port is not None:
        source = BoardAt(port, wait, print_notice)
    else:
        shown_under = map_ or (None if bundle == NETWORK_FREE else bundle)
        needed: RatioMap | None
        if loop is not None:
            needed = loop.resting
        else:
            needed = ratio_map or (None if shown_under is None else load_map(shown_under))
        height, width = shape = _array_shape(needed, bundle, size, own_pattern)
        own = (DEFAULT_SLOTS, DEFAULT_LEVEL_SET)
        other = needed is not None and (needed.slots, needed.level_set) != own
        if other and loop is not None:
            raise typer.BadParameter(
                f"{map_} is for other slots or levels than those of the emulated board: give a "
                "board by --port",
                param_hint="--map",
            )
        slots = DEFAULT_SLOTS if needed is None else needed.slots
        if scene is not None:
            check_scene(scene, shape, slots, white)
        scene = scene or str(_demo_clip())
        from focalloop.firmware_sim.scenes.footage import footage_note
        from focalloop.firmware_sim.scenes.scene import is_clip

        played_hz = load_scene_rate(scene_rate, scene, slot_rate)
        footage = footage_note(Path(scene), shape, slot_rate, played_hz)
        scene_name, profile_name = Path(scene).name, Path(profile).name
        opened = partial(scene_opener(white, played_hz, slot_rate), scene, *shape, slots)
        source = EmulatorProcess(
            f"--scene={scene}",
            *([] if white is None else [f"--white={white}"]),
            *([] if played_hz is None else [f"--scene-rate={played_hz}"]),
            f"--profile={profile}",
            f"--seed={seed}",
            f"--slot-rate={slot_rate}",
            f"--size={width}x{height}",
            *([] if pattern is None else [f"--pattern={pattern}"]),
            *([f"--map={shown_under}"] if other else []),
            # To draw a synthetic picture again takes longer than to bring it over the line.
            open_clip=opened if is_clip(scene) and height * width <= MAX_KNOWN_PIXELS else None,
        )
    kept_in = recordings_of(recordings, recordings_quota)
    run_preview(
        lambda: LiveSession(
            source,
            bundle=bundle,
            ratio_map=ratio_map,
            scene=scene_name,
            footage=footage,
            profile=profile_name,
            radio=link,
            adaptive=loop,
            correct=partial(
                board_memory.correction_for,
                given=given,
                profile=recorded_noise if replay is not None else noise if port is None else None,
                kept=not uncorrected,
            ),
            recordings=kept_in,
            board_memory=board_memory,
        ),
        PageSettings(
            port=http_port,
            public_url=public_url,
            token=token,
            open=has_display() if open_ is None else open_,
            json=json,
        ),
    )


def _recorded(file: Path) -> tuple[RatioMap, NoiseProfile | None]:
    """Return the map that a recording plays first, and the noise of its board where it is known."""
    from focalloop.host.recording.recording import Recording
    from focalloop.host.recording.replay import RecordedReplay

    with Recording(file) as recording:
        return RecordedReplay(recording).maps[0], recording.profile()


def _demo_clip() -> Path:
    """Return the path of the clip that comes with the package."""
    from importlib.resources import files

    return Path(str(files("focalloop.host") / "clips" / DEMO_CLIP))


def _array_shape(
    needed: RatioMap | None, bundle: str | None, size: str | None, pattern: FixedPattern | None
) -> tuple[int, int]:
    """Return the size (H, W) of the emulated array, on which the first map fits.

    Raises
    ------
    typer.BadParameter
        Map or pattern do not fit the size that was asked for, or each other.
    """
    from focalloop.firmware_sim.maps.ratio_map import RatioMapError
    from focalloop.host.cli.arguments import array_shape, load_map
    from focalloop.host.live.deployment import DEFAULT_TILE
    from focalloop.host.reconstruction.reconstruct import NETWORK_FREE
    from focalloop.models.zoo import DEFAULT_BUNDLE

    if size is None and pattern is not None:
        height, width = pattern.shape
        size = f"{width}x{height}"
    if size is not None:
        shape = array_shape(size)
        if pattern is not None:
            with setting("--pattern"):
                pattern.check_fits(shape)
        if needed is None:
            first = DEFAULT_TILE if bundle == NETWORK_FREE else DEFAULT_BUNDLE
            load_map(first, shape, option="--size")
        else:
            with setting("--size"):
                needed.tiled_to(*shape)
        return shape
    if needed is None:
        return DEFAULT_SHAPE
    try:
        return needed.tiled_to(*DEFAULT_SHAPE).shape
    except RatioMapError:
        return needed.shape
