"""Bundles: everything that deployment needs, in one folder or zip.

A bundle is a ratio map and the network trained for it or for any map;
`focalloop.host.reconstruction.bundle_files` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.fixed_pattern import MAX_DEFECT_SHARE
from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.noise import NoiseProfile, NoiseProfileError
from focalloop.firmware_sim.window import Window
from focalloop.host.reconstruction.bundle_files import (
    MANIFEST,
    BundleError as BundleError,
    read_files,
)
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.noise_cost import WORTH_DB, NoiseCost
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor
from focalloop.host.reconstruction.reconstruct import ReconstructError
from focalloop.host.reconstruction.video import Reconstruction
from focalloop.models import zoo
from focalloop.models.zoo import (
    ADAPTIVE_BUNDLE,
    APERTURE_BUNDLE,
    DEFAULT_BUNDLE,
    UNIVERSAL_BUNDLE,
)

OPEN_TEST_SET = "test_set.npz"
"""Clips that anybody can rebuild (``docs/test-set.md``), and on which bundles are compared."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A ratio map and the network that reconstructs windows captured under it.

    Attributes
    ----------
    name : str
        As in ``bundle.json``, e.g. ``edge-learned-2of16``.
    ratio_map : RatioMap
        The map that the network was trained for, or, if it was trained for any map, one to begin
        with; `RatioMap.tiled_to` fits it to another array size.
    network : bytes
        Contents of ``reconstruct.onnx``.
    noise_profile : NoiseProfile
        The noise it was trained with.
    meta : dict of str to any
        All of ``bundle.json``: training recipe, data, scores and the commands that gave them.
    """

    name: str
    ratio_map: RatioMap
    network: bytes
    noise_profile: NoiseProfile
    meta: dict[str, Any]

    @classmethod
    def load(cls, name_or_path: str | Path = DEFAULT_BUNDLE) -> Bundle:
        """Load a shipped bundle by name, or any bundle by the path of its folder or zip.

        Raises
        ------
        BundleError
            If it does not exist, or is incomplete, damaged or of another version.
        """
        path = _find(name_or_path)
        meta, contents = read_files(path)
        try:
            level_set = tuple(meta["level_set"])
            if not all(type(level) is int for level in level_set):
                raise BundleError(f"{path}: 'level_set' in {MANIFEST} must hold integers alone")
            ratio_map = map_files.decode(contents[meta["ratio_map"]], meta["slots"], level_set)
            noise_profile = NoiseProfile.from_dict(meta["noise_profile"])
        except (RatioMapError, NoiseProfileError, TypeError, ValueError) as error:
            raise BundleError(f"{path}: {error}") from None
        if (ratio_map.slots, ratio_map.level_set) != (meta["slots"], level_set):
            raise BundleError(
                f"{path}: its ratio map has T={ratio_map.slots} and levels {ratio_map.level_set}, "
                f"but {MANIFEST} says T={meta['slots']} and {level_set}"
            )
        return cls(meta["name"], ratio_map, contents[meta["network"]], noise_profile, meta)

    @property
    def reach(self) -> int | None:
        """Pixels within which one must be measured, for a network of any map; None for one map."""
        reach: int | None = self.meta.get("reach")
        return reach

    @property
    def noise_range(self) -> dict[str, tuple[float, float]] | None:
        """Range of s_ss and of s_r for which a network that is told the noise was trained.

        None for a network that is not told, which was trained for `noise_profile` alone.
        """
        stated = self.meta.get("noise_range")
        return stated and {name: (low, high) for name, (low, high) in stated.items()}

    @property
    def noise_cost(self) -> NoiseCost | None:
        """What other noise costs a network that is not told it; None where it was not measured."""
        stated = self.meta.get("noise_cost")
        return None if stated is None else NoiseCost.from_manifest(stated)

    def told_instead(self, noise: NoiseProfile) -> str | None:
        """Return the shipped bundle that is told the noise, where this one loses to it."""
        cost = self.noise_cost
        if cost is None or cost.against not in zoo.BUNDLES:
            return None
        return cost.against if cost.at(*noise.shot_and_read()) >= WORTH_DB else None

    @property
    def any_aperture(self) -> bool:
        """Whether the network can be used with any coded aperture, and without one."""
        return bool(self.meta.get("any_aperture", False))

    def suits(self, ratio_map: RatioMap) -> bool:
        """Return whether the network can be used under a ratio map.

        The bundle's own map, fitted to any size, suits, also where defective pixels of a sensor,
        at most `MAX_DEFECT_SHARE`, have level 0. A bundle with a `reach` suits every map of its T,
        aperture and levels that measures something within `reach` pixels of each pixel.
        """
        if ratio_map.slots != self.ratio_map.slots:
            return False
        try:
            own = self.ratio_map.tiled_to(*ratio_map.shape)
        except RatioMapError:
            return False
        if own.aperture is None or ratio_map.aperture is None:
            same_light = own.aperture is ratio_map.aperture
        else:
            same_light = np.array_equal(own.aperture, ratio_map.aperture)
        if not same_light and not self.any_aperture:
            return False
        if self.reach is None:
            different = own.levels != ratio_map.levels
            only_defects = not ratio_map.levels[different].any()
            return bool(only_defects and different.mean() <= MAX_DEFECT_SHARE)
        known = np.isin(ratio_map.levels, self.ratio_map.level_set)
        return bool(known.all() and _measured_within(self.reach, ratio_map.measured).all())

    @property
    def psnr_db(self) -> float | None:
        """Mean PSNR on the clips of `OPEN_TEST_SET`, dB; None if the bundle does not state it."""
        for score in self.meta["scores"]:
            if isinstance(score, dict) and score.get("set") == OPEN_TEST_SET:
                stated = score.get("psnr")
                if isinstance(stated, int | float) and isfinite(stated):
                    return float(stated)
        return None

    def reconstruct(
        self,
        window: Window,
        correction: Correction | None = None,
        noise: NoiseProfile | None = None,
        after: Reconstruction | None = None,
    ) -> Reconstruction:
        """Reconstruct the video behind a window.

        Parameters
        ----------
        window : Window
            A window of a board, capture or emulator, taken under a map that suits the bundle.
        correction : Correction, optional
            Corrects its reads first.
        noise : NoiseProfile, optional
            Noise of the reads, for a network that is told it; by default `noise_profile`.
        after : Reconstruction, optional
            Of the window before, for a network with memory. Another one does not count.

        Returns
        -------
        Reconstruction
            The video (T, H, W), which NumPy takes as an array and a notebook plays.

        Raises
        ------
        ReconstructError
            If the network is for another ratio map.
        FixedPatternError
            If the correction is for another array size.
        """
        if not isinstance(window, Window):
            raise ReconstructError(
                f"a bundle reconstructs one Window at a time, not a {type(window).__name__}"
            )
        reads, ratio_map = window.reads, window.ratio_map
        if correction is not None:
            reads, ratio_map = correction(reads, ratio_map)
        if not self.suits(ratio_map):
            universal = universal_for(ratio_map)
            fits = Bundle.load(universal).suits(ratio_map)
            raise ReconstructError(
                f"the bundle {self.name} is not for the ratio map of window {window.number} "
                f"({window.ratio_map.summary}): capture under the bundle's map"
                + (f", or reconstruct with {universal}" if fits else "")
            )
        memory = LastFrame()
        if after is not None:
            memory.keep(after.video, Place.of(after.window))
        network = self._network.told((noise or self.noise_profile).shot_and_read())
        video = memory.rebuild(network, reads, ratio_map, Place.of(window))
        return Reconstruction(video, window, self.name)

    @cached_property
    def _network(self) -> OnnxReconstructor:
        return self.reconstructor(threads=2)

    def __repr__(self) -> str:
        made_for = self.ratio_map.summary if self.reach is None else "any map"
        psnr = "" if self.psnr_db is None else f"; {self.psnr_db:.2f} dB on {OPEN_TEST_SET}"
        return f"<Bundle {self.name!r} for {made_for}{psnr}>"

    def reconstructor(
        self, threads: int = 1, noise: tuple[float, float] | None = None
    ) -> OnnxReconstructor:
        """Load the network into ONNX Runtime.

        Parameters
        ----------
        threads : int, optional
            Threads within one reconstruction.
        noise : tuple of float, optional
            s_ss and s_r of the reads (`NoiseProfile.shot_and_read`), for a network that is told
            the noise; by default those of `noise_profile`.

        Raises
        ------
        ReconstructError
            If the network is damaged, or does not have the inputs and outputs of a bundle's.
        """
        noise = noise or self.noise_profile.shot_and_read()
        return OnnxReconstructor(
            self.network, threads=threads, noise=noise, any_aperture=self.any_aperture
        )


def universal_for(ratio_map: RatioMap) -> str:
    """Return the shipped bundle for maps that have no network of their own.

    Under noise that it does not know, `Bundle.told_instead` names a better one.
    """
    return UNIVERSAL_BUNDLE if ratio_map.aperture is None else APERTURE_BUNDLE


def adaptive_bundle(noise: NoiseProfile | None = None) -> str:
    """Return the shipped bundle for adaptive maps under this noise, or a usual one."""
    if ADAPTIVE_BUNDLE in zoo.BUNDLES:
        return ADAPTIVE_BUNDLE
    usual = Bundle.load(UNIVERSAL_BUNDLE)
    return (None if noise is None else usual.told_instead(noise)) or UNIVERSAL_BUNDLE


def _measured_within(reach: int, measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each pixel whether one within `reach` rows and columns of it is measured."""
    near = np.pad(measured, reach)
    for axis, length in enumerate(measured.shape):
        shifts = [near.take(range(k, k + length), axis) for k in range(2 * reach + 1)]
        near = np.logical_or.reduce(shifts)
    return near


def _find(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if text in zoo.BUNDLES:
        return zoo.FOLDER / text
    path = Path(name_or_path)
    if exists(path):
        return path
    shipped = ", ".join(zoo.BUNDLES)
    raise BundleError(
        f"there is no bundle {text!r}: give a folder or zip, or a shipped name ({shipped})"
    )
