"""``focalloop recording recover``: a finished file of what is left of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from focalloop.host.cli.output import activity, print_json, print_result, print_warning
from focalloop.host.cli.shared_options import JsonOption, RecordingArgument, output_option


def recover(
    file: RecordingArgument,
    output: Annotated[
        Path | None,
        output_option("Where to write; by default the name that the file was to have."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Finish a recording that was cut off, or save what is left of a damaged one.

    A file that was cut off is replaced by the finished one, unless --output names another.

    Example: focalloop recording recover night.mcap.unfinished
    """
    from focalloop.host.recording.recovery import recover as recovered

    with activity(f"reading {file}"):
        target, missing = recovered(file, output)
    if json:
        print_json({"output": str(target), "missing": list(missing)})
        return
    for each in missing:
        print_warning(each)
    print_result(f"wrote {target}")
