"""``focalloop radio export`` and ``import``: windows as SigMF recordings, out and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from focalloop.host.cli.output import activity, counted, print_json, print_result, progress_bar
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
    SeedOption,
    ThreadsOption,
    WhiteOption,
    WindowsArgument,
    check_exists,
    output_option,
    setting,
)

MethodOption = Annotated[
    Literal["semcom", "semcom-noran"], typer.Option(help="How the windows are sent.")
]


def export(
    source: WindowsArgument,
    output: Annotated[Path, output_option("Description to write; the samples lie beside it.")],
    channel: ChannelOption = "awgn",
    snr: SnrOption = 10.0,
    method: MethodOption = "semcom",
    symbols: SymbolsOption = None,
    max_papr: PaprOption = None,
    sample_rate: Annotated[
        float,
        typer.Option(metavar="HZ", min=1, max=1e12, help="Symbols per second, one per sample."),
    ] = 1e6,
    model: ModelOption = None,
    bundle: SensingOption = None,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    limit: LimitOption = None,
    white: WhiteOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Write windows as a SigMF recording, for another radio to send.

    The samples are complex symbols of mean power 1 in every window (cf32_le). The description has
    an annotation per window with what its header and rate map decode to.

    Example: focalloop radio export clips.npz --snr 10 -o windows.sigmf-meta
    """
    from focalloop.firmware_sim.radio.channel import Channel
    from focalloop.host.cli.arguments import load_profile
    from focalloop.host.cli.interruption import all_or_nothing
    from focalloop.host.cli.radio_windows import outgoing
    from focalloop.host.radio.methods import load_method
    from focalloop.host.radio.on_air import analog, recorded
    from focalloop.host.radio.recording import (
        RecordedWindow,
        Recording,
        files_of,
        require_sigmf,
        write_recording,
    )

    with setting("--snr"):
        through = Channel(channel, snr)
    require_sigmf()
    load_profile(profile)
    check_exists(source, "CAPTURE|CLIPS")
    windows = outgoing(source, bundle, profile, seed, limit, white, threads)
    with activity(f"loading {method}"):
        loaded = load_method(method, windows.sensing, model, max_papr_db=max_papr)
        transmitter = analog(loaded)
    done: list[RecordedWindow] = []
    with (
        progress_bar() as bar,
        all_or_nothing(lambda: f"{len(done)} of {len(windows.names)} windows"),
        within_budget(),
    ):
        made = recorded(windows.each, transmitter, through, symbols=symbols)
        for window in bar.track(made, len(windows.names), description=method):
            done.append(window)
    height, width = windows.sensing.ratio_map.shape
    write_recording(
        output,
        Recording(
            method=method,
            kind=channel,
            snr_db=through.snr_db,
            sample_rate_hz=sample_rate,
            height=height,
            width=width,
            map_hash=windows.sensing.ratio_map.hash_hex,
            model_hash=transmitter.model_hash,
            windows=done,
        ),
    )
    meta, data = files_of(output)
    samples = sum(len(window.symbols) for window in done)
    if json:
        print_json(
            {
                "output": str(meta),
                "data": str(data),
                "method": method,
                "channel": channel,
                "snr": through.snr_db,
                "sample_rate": sample_rate,
                "windows": len(done),
                "samples": samples,
            }
        )
    else:
        print_result(
            f"wrote {meta} and {data.name}: {counted(len(done), 'window')} in {samples:,} symbols, "
            f"{samples / sample_rate:.3g} s on the air"
        )


def import_(
    recording: Annotated[
        Path,
        typer.Argument(metavar="RECORDING", help="SigMF recording of what a radio has received."),
    ],
    output: Annotated[Path, output_option("Video to write: .mp4, .mkv or .npz.")],
    sent: Annotated[
        Path | None,
        typer.Option(
            metavar="RECORDING",
            help="What `export` wrote, where the received recording does not describe its windows.",
        ),
    ] = None,
    snr: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            help="Es/N0 at the receiver, -10 to 40 dB.",
            show_default="what the windows were sent for",
        ),
    ] = None,
    model: ModelOption = None,
    bundle: SensingOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Rebuild the video of windows that a radio has received.

    The samples are synchronised and equalised symbols, one per sample. Rates and scale are decoded
    from them; the description only says where each window begins. A window whose header or rate
    map cannot be decoded is lost, and shown as mid-grey.

    Example: focalloop radio import received.sigmf-meta --sent windows.sigmf-meta -o video.mp4
    """
    from focalloop.firmware_sim.radio.channel import Channel
    from focalloop.host.cli.interruption import all_or_nothing
    from focalloop.host.cli.radio_windows import sensing_of
    from focalloop.host.radio.methods import load_method
    from focalloop.host.radio.on_air import ReceivedWindow, analog, check_same, rebuilt
    from focalloop.host.radio.recording import files_of, read_recording, require_sigmf
    from focalloop.host.reconstruction.video import check_output, write_video

    with setting("--output"):
        check_output(output)
    if snr is not None:
        with setting("--snr"):
            Channel("awgn", snr)
    check_exists(files_of(recording)[0], "RECORDING")
    require_sigmf()
    received = read_recording(recording, sent)
    sensing = sensing_of(bundle, (received.height, received.width), threads)
    with activity(f"loading {received.method}"):
        receiver = analog(load_method(received.method, sensing, model))
    check_same(received, receiver, sensing)
    done: list[ReceivedWindow] = []
    with (
        progress_bar() as bar,
        all_or_nothing(lambda: f"{len(done)} of {len(received.windows)} windows"),
    ):
        windows = rebuilt(received, receiver, sensing, snr_db=snr)
        for window in bar.track(windows, len(received.windows), description=received.method):
            done.append(window)
    write_video(output, [each.video for each in done], [each.name for each in done])
    lost = sum(each.lost for each in done)
    if json:
        print_json(
            {
                "output": str(output),
                "method": received.method,
                "lost": lost,
                "windows": [
                    {
                        "name": each.name,
                        "window": each.number,
                        "symbols": each.symbols,
                        "lost": each.lost,
                    }
                    for each in done
                ],
            }
        )
    else:
        print_result(f"wrote {output}: {counted(len(done), 'window')}, {lost} of them lost")
