"""``focalloop radio encode`` and ``decode``: windows as a file of compressed packets, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from focalloop.host.cli.output import activity, counted, print_json, print_result, progress_bar
from focalloop.host.cli.radio_options import ModelOption, SensingOption
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
    refuse_unused,
    setting,
)


def encode(
    source: WindowsArgument,
    output: Annotated[Path, output_option("File to write.")],
    quality: Annotated[
        int,
        typer.Option(
            metavar="Q",
            min=0,
            max=255,
            help="0 for the fewest bits; the shipped codec goes to 127.",
        ),
    ] = 64,
    bits: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Most bits per window; each gets the best quality that takes no more.",
        ),
    ] = None,
    model: ModelOption = None,
    bundle: SensingOption = None,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    limit: LimitOption = None,
    white: WhiteOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Compress windows with the learned codec.

    `focalloop radio decode` reads the file on any machine.

    Example: focalloop radio encode clips.npz -o windows.flr --quality 64
    """
    from focalloop.firmware_sim.files import written_whole
    from focalloop.firmware_sim.radio.bitstream import CodedWindow, write
    from focalloop.host.cli.arguments import load_profile
    from focalloop.host.cli.interruption import all_or_nothing
    from focalloop.host.cli.radio_windows import outgoing
    from focalloop.host.radio.codec import Codec

    if bits is not None:
        refuse_unused(["quality"], "has no effect with --bits, which chooses it: leave one out")
    load_profile(profile)
    check_exists(source, "CAPTURE|CLIPS")
    windows = outgoing(source, bundle, profile, seed, limit, white, threads)
    with activity("loading the codec"):
        codec = Codec.load(model, threads=threads)
    made_with = codec.source(windows.sensing.ratio_map)
    with setting("--quality"):
        codec.check_quality(quality)
    done: list[CodedWindow] = []
    with (
        progress_bar() as bar,
        all_or_nothing(lambda: f"{len(done)} of {len(windows.names)} windows"),
    ):
        for window in bar.track(windows.each, len(windows.names), description="encode"):
            if bits is None:
                done.append(codec.encode(window.reads, quality))
            else:
                with setting("--bits"):
                    done.append(codec.encode_within(window.reads, bits))
    content = write(done, made_with)
    with written_whole(output) as partial:
        partial.write_bytes(content)
    mean_bits = sum(window.bits for window in done) / len(done)
    if json:
        print_json(
            {
                "output": str(output),
                "bytes": len(content),
                "bits": mean_bits,
                "windows": [
                    {"name": name, "quality": window.quality, "bits": window.bits}
                    for name, window in zip(windows.names, done, strict=True)
                ],
            }
        )
    else:
        print_result(
            f"wrote {output}: {counted(len(done), 'window')} in {len(content):,} bytes, "
            f"{mean_bits:,.0f} bits per window"
        )


def decode(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `encode` wrote.")],
    output: Annotated[Path, output_option("Video to write: .mp4, .mkv or .npz.")],
    model: ModelOption = None,
    bundle: SensingOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Restore the measurements in a compressed file, and rebuild the video.

    A file that is cut off or damaged in any bit is refused, and so is one of another map or codec.

    Example: focalloop radio decode windows.flr -o video.mp4
    """
    from focalloop.firmware_sim.radio.bitstream import check_source, read_file
    from focalloop.host.cli.interruption import all_or_nothing
    from focalloop.host.cli.radio_windows import sensing_of
    from focalloop.host.radio.codec import Codec
    from focalloop.host.reconstruction.reconstruct import Float32
    from focalloop.host.reconstruction.video import check_output, write_video

    with setting("--output"):
        check_output(output)
    check_exists(file, "FILE")
    windows, made_with = read_file(file)
    with activity("loading the codec"):
        codec = Codec.load(model, threads=threads)
    sensing = sensing_of(bundle, (windows[0].height, windows[0].width), threads)
    check_source(made_with, codec.source(sensing.ratio_map), codec.bundle.name)
    videos: list[Float32] = []
    with (
        progress_bar() as bar,
        all_or_nothing(lambda: f"{len(videos)} of {len(windows)} windows"),
    ):
        for window in bar.track(windows, len(windows), description="decode"):
            videos.append(sensing.reconstruct(codec.decode(window), sensing.ratio_map))
    write_video(output, videos, [f"window {place}" for place in range(len(videos))])
    mean_bits = sum(window.bits for window in windows) / len(windows)
    if json:
        print_json({"output": str(output), "windows": len(windows), "bits": mean_bits})
    else:
        print_result(f"wrote {output}: {counted(len(windows), 'window')} of {mean_bits:,.0f} bits")
