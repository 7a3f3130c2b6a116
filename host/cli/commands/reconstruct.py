"""``focalloop reconstruct``: a video from a capture, or from clips through the emulated sensor."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from focalloop.host.cli import completion
from focalloop.host.cli.command_tree import given_options
from focalloop.host.cli.output import activity, counted, print_json, print_result, progress_bar
from focalloop.host.cli.shared_options import (
    CorrectionOption,
    JsonOption,
    LimitOption,
    PatternOption,
    ProfileOption,
    SeedOption,
    ThreadsOption,
    WhiteOption,
    WindowsArgument,
    check_exists,
    map_option,
    output_option,
    refuse_unused,
    setting,
)


def reconstruct(
    source: WindowsArgument,
    output: Annotated[Path, output_option("File to write: .mp4, .mkv or .npz.")],
    bundle: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help="Shipped name or path of a bundle, network-free, or gap-tv.",
            show_default="a shipped one that suits the map",
            autocompletion=completion.bundles_or_without,
        ),
    ] = None,
    map_: Annotated[
        str | None,
        map_option(
            "Capture clips under this file, named tile or bundle's map, and reconstruct without a "
            "network, or with a bundle for any map."
        ),
    ] = None,
    profile: ProfileOption = "paper",
    seed: SeedOption = 0,
    pattern: PatternOption = None,
    correction: CorrectionOption = None,
    fps: Annotated[
        float, typer.Option(metavar="N", min=1, help="Frames per second of the video.")
    ] = 30.0,
    limit: LimitOption = None,
    white: WhiteOption = None,
    threads: ThreadsOption = 2,
    json: JsonOption = False,
) -> None:
    """Reconstruct a video from a capture, a recording or clips.

    Clips are first captured by the emulated sensor. The response of the sensor, if --profile has
    one, is undone before anything is reconstructed, and with --correction its fixed pattern too. A
    recording holds both, if they were known, and they are used unless one of the options is given.

    Example: focalloop reconstruct clips.npz --bundle edge-learned-2of16 -o video.mp4
    """
    from focalloop.host.cli.arguments import check_corrects, load_correction, load_pattern
    from focalloop.host.cli.interruption import Interruption, StoppedError
    from focalloop.host.cli.methods import (
        MethodsByMap,
        captured_windows,
        emulated_windows,
        method_for_clips,
        noise_of_reads,
    )
    from focalloop.host.reconstruction.memory import LastFrame
    from focalloop.host.reconstruction.video import check_output, write_video
    from focalloop.host.recording.correcting import correction_of
    from focalloop.host.recording.loading import holds_windows
    from focalloop.host.recording.recording import Recording, is_recording
    from focalloop.models.zoo import DEFAULT_BUNDLE

    with setting("--output"):
        check_output(output)
    if output.suffix.lower() == ".npz":
        refuse_unused(["fps"], "is for videos: frames in an .npz have no rate")
    own, corrected_by = load_pattern(pattern), load_correction(correction, profile)
    check_exists(source, "CAPTURE|CLIPS")
    noise = noise_of_reads(profile, corrected_by)
    if is_recording(source) and not {"profile", "correction"} & given_options.get().keys():
        with Recording(source) as recording:
            corrected_by, recorded = correction_of(recording)
        noise = recorded or noise
    methods: MethodsByMap | None = None
    if holds_windows(source):
        emulated = ("map_", "white", "seed", "pattern")
        refuse_unused(emulated, "is for clips: a capture is reconstructed as it was taken")
        (names, windows), captured_under = captured_windows(source, limit, corrected_by)
        methods = MethodsByMap(bundle, threads, noise)
        method = methods(captured_under)
    else:
        check_corrects(corrected_by, own)
        method = method_for_clips(bundle or DEFAULT_BUNDLE, map_, threads, noise)
        names, windows = emulated_windows(
            source, method.ratio_map, profile, seed, limit, white, own, corrected_by
        )
    pattern_undone = corrected_by is not None and corrected_by.pattern is not None
    started_s = perf_counter()
    video, used, last = [], [], LastFrame()
    with progress_bar() as bar, Interruption() as interruption:
        for reads, ratio_map, place, under_grid in bar.track(
            windows, len(names), description=method.name
        ):
            with interruption.step():
                if methods is not None:
                    method = methods(ratio_map, under_grid=under_grid)
                video.append(last.rebuild(method.reconstruct, reads, ratio_map, place))
                used.append(method.name)
    if not video:
        raise StoppedError(f"stopped before the first window: {output} is not written")
    with activity(f"writing {output}"):
        write_video(output, video, names[: len(video)], frames_per_s=fps)
    slots, height, width = video[0].shape
    made_by = " and ".join(dict.fromkeys(used))
    if json:
        print_json(
            {
                "output": str(output),
                "bundle": made_by,
                "corrected": pattern_undone,
                "windows": len(video),
                "slots": slots,
                "height": height,
                "width": width,
                "seconds": perf_counter() - started_s,
            }
        )
    else:
        print_result(
            f"wrote {output}: {counted(len(video), 'window')} of {slots} frames, "
            f"{width}x{height} pixels, reconstructed by {made_by}"
            f"{' from corrected reads' if pattern_undone else ''}"
        )
    if interruption.wanted:
        raise StoppedError(
            f"stopped: {len(video)} of {len(names)} windows are reconstructed, in {output}"
        )
