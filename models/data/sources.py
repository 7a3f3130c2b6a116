"""The sources of training data: files of public packages, each with licence and SHA-256.

`training_sources.sha256` lists them: photographs to pan a camera over, cut-outs to move in front,
and some real video. None of them shows the scene of a test clip, and every file, including a user's
own footage, is checked against `excluded_sources.sha256` before it is used.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from focalloop.firmware_sim.scenes.folders import ARRAY_SUFFIXES, found_in, listed
from focalloop.models.data.packages import Package, PackagedFile, obtain
from focalloop.models.data.test_set import EXCLUDED_SOURCE_SHA256
from focalloop.models.errors import SourceError

Role = Literal["photograph", "cutout", "video"]


@dataclass(frozen=True)
class Source:
    """One file that windows are made from.

    Attributes
    ----------
    name : str
        ``package/file``, or the name of the file alone if it is the user's own.
    path : Path
        Path of the file.
    sha256 : str
        Hexadecimal; for a ``.gz``, of the unpacked content.
    role : Role
        Photograph to pan over, cut-out to move in front of one, or video.
    licence : str
        Licence of the file, as its package states it.
    validation : bool
        Whether only the validation split uses it.
    white : float or None
        The value of white, where the file does not say.
    """

    name: str
    path: Path
    sha256: str
    role: Role
    licence: str
    validation: bool = False
    white: float | None = None


@dataclass(frozen=True)
class ListedFile:
    """One entry of `training_sources.sha256`."""

    file: PackagedFile
    role: Role
    licence: str
    validation: bool


def listed_files() -> list[ListedFile]:
    """Read `training_sources.sha256`."""
    return list(_parse(Path(__file__).with_name("training_sources.sha256").read_text("utf-8")))


def _parse(text: str) -> Iterator[ListedFile]:
    """Yield the files of every ``# registry package release | role | split | licence`` section."""
    section = ["", "", "", ""]
    for line in text.splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ").split(" | ")
            continue
        package, role, split, licence = section
        registry, name, version = package.split()
        digest, member = line.split(maxsplit=1)
        yield ListedFile(
            PackagedFile(Package(registry, name, version), member, digest),  # type: ignore[arg-type]
            cast(Role, role),
            licence,
            split == "validation",
        )


def package_sources(
    cache: Path,
    *,
    folder: Path | None = None,
    on_package: Callable[[Package], None] = lambda package: None,
) -> list[Source]:
    """Obtain every listed file.

    Parameters
    ----------
    cache : Path
        Folder for fetched files.
    folder : Path or None, optional
        Take the files from anywhere below this folder, and fetch nothing.
    on_package : callable, optional
        Called with each package before its files are looked for.

    Raises
    ------
    PackageError
        If a package cannot be fetched, or a file differs from the recipe.
    """
    listed = {entry.file: entry for entry in listed_files()}
    paths = obtain(listed, cache, sources=folder, on_package=on_package)
    return [
        checked_source(
            paths[file],
            f"{file.package.name}/{file.member}",
            entry.role,
            licence=entry.licence,
            validation=entry.validation,
        )
        for file, entry in listed.items()
    ]


def folder_sources(
    folder: Path,
    *,
    white: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[Source]:
    """List the pictures and videos below `folder`, a user's own footage, all for training.

    Raises
    ------
    SourceError
        If there is neither, or a file shows the scene of a test clip.
    """
    found = found_in(folder)
    roles: dict[Path, Role] = {}
    for source in found.sources:
        if isinstance(source, tuple):
            roles |= dict.fromkeys(source, "photograph")
        elif source.suffix.lower() in ARRAY_SUFFIXES:
            found.left_out.append(f"{source.relative_to(folder)} (an array)")
        else:
            roles[source] = "video"
    if found.left_out:
        note(f"left out: {listed(found.left_out)}")
    licence = "the user's own"
    sources = [
        replace(checked_source(path, path.name, role, licence=licence), white=white)
        for path, role in sorted(roles.items())
    ]
    if not sources:
        raise SourceError(f"{folder} holds no picture and no video")
    return sources


def checked_source(
    path: Path, name: str, role: Role, *, licence: str, validation: bool = False
) -> Source:
    """Return `path` as a source, after checking it against the excluded files, also unpacked.

    Raises
    ------
    SourceError
        If it shows the scene of a test clip, or a ``.gz`` is damaged.
    """
    return Source(name, path, checked_sha256(path), role, licence, validation)


def checked_sha256(path: Path) -> str:
    """Return the SHA-256 of a file (of a ``.gz``, unpacked) if it may be used for training.

    Raises
    ------
    SourceError
        As `checked_source`, or if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            digests = [hashlib.file_digest(file, "sha256").hexdigest()]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as unpacked:
                digests.append(hashlib.file_digest(unpacked, "sha256").hexdigest())
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path} cannot be unpacked: {error}") from None
    if not EXCLUDED_SOURCE_SHA256.isdisjoint(digests):
        raise SourceError(
            f"{path} shows the scene of a test clip and must not be trained on: remove it"
        )
    return digests[-1]
