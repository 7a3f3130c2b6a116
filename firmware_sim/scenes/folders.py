"""What a folder holds that is a clip by itself: one walk for every command that reads footage.

What a file is follows from its content, not from a list of suffixes. What is not read is returned
too, with the reason, so that nothing is left out in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.scenes.picture_files import is_stack

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".webp", ".avif", ".bmp", ".dib", ".tga"}
    | {".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".pbm", ".pfm"}
)
"""Files that make up a sequence if they lie in one folder, unless they are stacks of pages."""

ARRAY_SUFFIXES = frozenset({".npz", ".npy", ".mat"})

Source = Path | tuple[Path, ...]
"""A file that is a clip by itself, or the pictures of a folder in order."""

MAX_LISTED = 5
"""Names that are listed one by one in a note; the rest is counted."""


@dataclass
class Found:
    """What is at or below a folder.

    Attributes
    ----------
    sources : list of Source
        In order: files that are clips by themselves, and the pictures of each folder that has any.
    left_out : list of str
        What is not read, each with the reason.
    """

    sources: list[Source] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def found_in(folder: Path) -> Found:
    """Walk a folder; hidden files and folders are passed over.

    In the layout of Need for Speed, ``NAME/240/NAME/00001.jpg``, the copies at 30 frames per second
    are left out.
    """
    found = Found()
    _walk(folder, folder, found, set())
    return found


def numbered_images(folder: Path) -> list[Path]:
    """List the pictures of a folder that are not hidden, in the order of their names' numbers."""
    return [entry for entry in _entries(folder) if _is_picture(entry)]


def natural_order(path: Path) -> list[Any]:
    """Return a sort key that puts frame 10 after frame 9."""
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def _entries(folder: Path) -> list[Path]:
    shown = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(shown, key=natural_order)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not is_stack(path)


def _walk(folder: Path, root: Path, found: Found, seen: set[Path]) -> None:
    from focalloop.firmware_sim.scenes.videos import is_video

    seen.add(folder.resolve())
    entries = _entries(folder)
    pictures = tuple(entry for entry in entries if _is_picture(entry))
    if pictures:
        found.sources.append(pictures)
    # Need for Speed has every video at 30 and at 240 frames/s; a slot is 1/240 s.
    fast = any(entry.name == "240" and entry.is_dir() for entry in entries)
    for entry in entries:
        name = str(entry.relative_to(root))
        if entry in pictures:
            continue
        if fast and entry.name == "30" and entry.is_dir():
            found.left_out.append(f"{name} (the same video at 30 frames per second)")
        elif entry.is_symlink() and (not entry.exists() or entry.resolve() in seen):
            found.left_out.append(f"{name} (a link to what is read already, or to nothing)")
        elif entry.is_dir():
            if entry.resolve() not in seen:
                _walk(entry, root, found, seen)
        elif not entry.is_file():
            found.left_out.append(f"{name} (no file)")
        elif entry.suffix.lower() in ARRAY_SUFFIXES or is_stack(entry) or is_video(entry):
            seen.add(entry.resolve())
            found.sources.append(entry)
        elif _claims_to_be_video(entry):
            found.sources.append(entry)  # damaged, as reading it will say
        else:
            found.left_out.append(f"{name} (no clip)")


def _claims_to_be_video(path: Path) -> bool:
    import mimetypes

    kind, packing = mimetypes.guess_type(path.name, strict=False)
    if kind is None:
        return packing == "gzip"
    return kind.startswith("video/") and path.suffix.lower() != ".ts"


def listed(names: list[str]) -> str:
    """Join names for a sentence, and only count those beyond `MAX_LISTED`."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
