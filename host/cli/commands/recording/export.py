"""``focalloop recording export``: a recording as what other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from focalloop.host.cli.output import (
    counted,
    print_json,
    print_result,
    print_warning,
    progress_bar,
)
from focalloop.host.cli.shared_options import (
    JsonOption,
    RecordingArgument,
    check_new,
    check_place,
    output_option,
)


def export(
    file: RecordingArgument,
    to: Annotated[
        Literal["capture", "npz", "tiff", "mp4"],
        typer.Option(
            "--to",
            help="A capture folder; reads as arrays; the light of each window as a page; or as a "
            "frame of a video.",
        ),
    ],
    output: Annotated[Path, output_option("File or, for a capture, folder to write.")],
    json: JsonOption = False,
) -> None:
    """Write a recording as a capture, as arrays, as a stack of pictures or as a video.

    `focalloop reconstruct FILE` makes the video of all frames.

    Example: focalloop recording export night.mcap --to capture -o captures/night
    """
    from focalloop.host.recording.export import export as exported
    from focalloop.host.recording.recording import Recording

    if to == "capture":
        check_new(output, "--output")
    else:
        suffixes = (".tif", ".tiff") if to == "tiff" else (f".{to}",)
        if output.suffix.lower() not in suffixes:
            raise typer.BadParameter(
                f"--to {to} writes NAME{suffixes[0]}, not {output.name}", param_hint="--output"
            )
        check_place(output, "FILE", "--output")
    with Recording(file) as recording:
        with progress_bar() as bar:
            task = bar.add_task("exporting", total=len(recording))
            done = exported(
                recording, to, output, lambda windows: bar.update(task, completed=windows)
            )
        damage = recording.damage
    if json:
        print_json({"output": str(output), "windows": done, "missing": list(damage)})
        return
    for each in damage:
        print_warning(each)
    print_result(f"wrote {output}: {counted(done, 'window')}")
