"""Finishing recordings that were cut off, or writing anew what is left of damaged ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, cast

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import written_whole
from focalloop.host.errors import RecordingError
from focalloop.host.recording import messages
from focalloop.host.recording.chunks import structure_of
from focalloop.host.recording.finishing import end_of_whole, finish
from focalloop.host.recording.mcap_file import (
    SUFFIX,
    UNFINISHED,
    is_locked,
    lock,
    new_mcap,
    sync_folder,
)
from focalloop.host.recording.recording import Recording


def recover(path: str | Path, output: str | Path | None = None) -> tuple[Path, tuple[str, ...]]:
    """Write every intact chunk of a recording to a finished one, and a note that says so.

    Parameters
    ----------
    path : str or Path
        A recording, cut off or damaged.
    output : str or Path, optional
        Where to write. Without it a file that was cut off gets its end and the name that it was to
        have, without a copy where only its end is missing; a damaged one needs another name.

    Returns
    -------
    Path
        The finished file.
    tuple of str
        What is missing in it.

    Raises
    ------
    RecordingError
        The recording is being written, nothing of it is left, or the output exists.
    WriteError
        The output cannot be written.
    """
    path = Path(path)
    cut_off = path.name.endswith(SUFFIX + UNFINISHED)
    if output is None and not cut_off:
        raise RecordingError(f"{path} has its name already: give another by --output")
    target = path.with_name(path.name.removesuffix(UNFINISHED)) if output is None else Path(output)
    if target.exists():
        raise RecordingError(f"{target} exists already: choose another name by --output")
    if output is None and (missing := _finished_in_place(path, target)) is not None:
        return target, missing
    with Recording(path) as recording:
        with path.open("rb", buffering=0) as file:
            if is_locked(file):
                raise RecordingError(f"{path} is being written: stop that recording instead")
        with written_whole(target) as partial, partial.open("xb") as file_out:
            mcap = new_mcap(cast("IO[bytes]", file_out))
            for entries in recording.chunks():
                for entry in entries:
                    mcap.add_message(
                        entry.channel.number,
                        entry.log_ns,
                        entry.data,
                        entry.publish_ns,
                        entry.sequence,
                    )
                mcap.flush()  # type: ignore[no-untyped-call]
            missing = recording.damage
            end_ns = recording.end_ns
            mcap.add_message(messages.NOTE.number, end_ns, _note(missing), end_ns)
            mcap.finish()  # type: ignore[no-untyped-call]
    if output is None:
        path.unlink()
    return target, missing


def _note(missing: tuple[str, ...]) -> bytes:
    text = f"Recovered: {'; '.join(missing) or 'nothing is missing'}."
    return messages.pack_json({"text": text, "recovered": True})


def _finished_in_place(path: Path, target: Path) -> tuple[str, ...] | None:
    """Finish a file that lacks nothing but its end, and give it its name; None for any other."""
    with Recording(path) as recording:
        missing = recording.damage
    try:
        with path.open("r+b") as file:
            if not lock(file):
                raise RecordingError(f"{path} is being written: stop that recording instead")
            structure = structure_of(file)
            if not structure.finished:
                whole = end_of_whole(file, structure)
                if whole is None:
                    return None
                finish(file, *whole, _note(missing))
                file.flush()
                os.fsync(file.fileno())
        path.replace(target)
    except OSError as error:
        raise RecordingError(f"{path} cannot be finished ({error.strerror or error})") from None
    sync_folder(target.parent)
    return missing


def recover_all(folder: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Recover every recording of a folder that was cut off and that nobody writes.

    Returns
    -------
    list of tuple of Path and tuple of str
        The finished files, with what is missing in each; one that cannot be recovered keeps its
        name, and is told with the reason.
    """
    done: list[tuple[Path, tuple[str, ...]]] = []
    for path in sorted(folder.glob(f"*{SUFFIX}{UNFINISHED}")):
        try:
            with path.open("rb", buffering=0) as file:
                if is_locked(file):
                    continue
            done.append(recover(path))
        except FileNotFoundError:  # finished or recovered meanwhile
            continue
        except OSError as error:
            done.append((path, (f"{path} cannot be read ({error.strerror or error})",)))
        except FocalloopError as error:
            done.append((path, (str(error),)))
    return done
