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
        Literal["capture", "npz", "tiff", "mp4", "h5", "ome-zarr", "rrd"],
        typer.Option(
            "--to",
            help="A capture folder; reads as arrays, for NumPy or as HDF5; the light of each "
            "window as a page, as a frame of a video or of an OME-Zarr image; or a log for rerun.",
        ),
    ],
    output: Annotated[Path, output_option("File or, for a capture and OME-Zarr, folder to write.")],
    json: JsonOption = False,
) -> None:
    """Write a recording as a capture, as arrays, as pictures, as a video or as a log.

    h5, ome-zarr and rrd need the extra packages of `pip install 'focalloop[recordings]'`.
    `focalloop reconstruct FILE` makes the video of all frames.

    Example: focalloop recording export night.mcap --to capture -o captures/night
    """
    from focalloop.host.recording.export import FORMS, export as exported
    from focalloop.host.recording.recording import Recording

    form = FORMS[to]
    if not output.name.lower().endswith(form.suffixes or ("",)):
        raise typer.BadParameter(
            f"--to {to} writes NAME{form.suffixes[0]}, not {output.name}", param_hint="--output"
        )
    if form.folder:
        check_new(output, "--output")
    else:
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
