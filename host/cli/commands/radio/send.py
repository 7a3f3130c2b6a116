"""``focalloop radio send``: windows over a noisy radio channel, and the video at its other end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from focalloop.host.cli.output import activity, print_json, print_notice, progress_bar, stdout
from focalloop.host.cli.radio_options import (
    ChannelOption,
    ModelOption,
    PaprOption,
    SensingOption,
    SnrOption,
    SymbolsOption,
    within_budget,
)
from focalloop.host.cli.shared_options import (
    JsonOption,
    LimitOption,
    ProfileOption,
    ThreadsOption,
    WhiteOption,
    WindowsArgument,
    check_exists,
    check_place,
    output_option,
    setting,
)

if TYPE_CHECKING:
    from focalloop.host.radio.send import SentWindow


def send(
    source: WindowsArgument,
    channel: ChannelOption = "awgn",
    snr: SnrOption = 10.0,
    method: Annotated[
        Literal["semcom", "semcom-noran", "compr-cap", "compr-ldpc", "jscc", "h264-ldpc", "linear"],
        typer.Option(help="How the windows are sent."),
    ] = "semcom",
    symbols: SymbolsOption = None,
    max_papr: PaprOption = None,
    output: Annotated[Path | None, output_option("Video to write: .mp4, .mkv or .npz.")] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PNG to draw: the rate of each location of each window."),
    ] = None,
    model: ModelOption = None,
    bundle: SensingOption = None,
    profile: ProfileOption = "paper",
    seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Seed of the channel and of the sensor's noise."),
    ] = 0,
    limit: LimitOption = None,
    white: WhiteOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Send clips or a capture over a radio channel, and rebuild the video.

    Clips are first captured by the emulated sensor, and the video is scored against them. All
    symbols of a window count: its data, its rate map and its header. A window whose header or rate
    map is not received, or whose code fails, is lost: it is shown, and scored, as mid-grey.

    Example: focalloop radio send clips.npz --snr 10 --method linear -o video.mp4
    """
    from focalloop.firmware_sim.radio.channel import Channel
    from focalloop.host.cli.arguments import load_profile
    from focalloop.host.cli.interruption import Interruption, StoppedError
    from focalloop.host.cli.radio_windows import outgoing
    from focalloop.host.cli.views.radio_report import draw_rates, radio_report
    from focalloop.host.radio.methods import RATED, load_method
    from focalloop.host.radio.send import Report, sent
    from focalloop.host.reconstruction.video import check_output, write_video

    with setting("--snr"):
        through = Channel(channel, snr)
    if output is not None:
        with setting("--output"):
            check_output(output)
    check_place(picture, "FILE", "--picture")
    if picture is not None and method not in RATED:
        raise typer.BadParameter(
            f"{method} has no rates to draw, unlike {', '.join(RATED)}: leave it out",
            param_hint="--picture",
        )
    load_profile(profile)
    check_exists(source, "CAPTURE|CLIPS")
    windows = outgoing(source, bundle, profile, seed, limit, white, threads)
    with activity(f"loading {method}"):
        loaded = load_method(method, windows.sensing, model, max_papr_db=max_papr)
    done: list[SentWindow] = []
    with progress_bar() as bar, Interruption() as interruption:
        results = sent(windows.each, loaded, windows.sensing, through, symbols=symbols, seed=seed)
        for _ in bar.track(windows.names, description=method):
            with interruption.step(), within_budget():
                done.append(next(results))
    if not done:
        raise StoppedError("stopped before the first window was sent")
    report = Report(method, through, tuple(done))
    if output is not None:
        with activity(f"writing {output}"):
            write_video(output, [each.video for each in done], [each.name for each in done])
    if json:
        print_json(report.as_dict())
    else:
        stdout.print(radio_report(report))
        if output is not None:
            print_notice(f"wrote {output}")
    if picture is not None:
        draw_rates(picture, report)
    if interruption.wanted:
        raise StoppedError(f"stopped: {len(done)} of {len(windows.names)} windows were sent")
