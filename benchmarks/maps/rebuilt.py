"""Fixed level 1 and a learned map, with an aperture and without, rebuilt by what sees any aperture.

A random aperture covers the whole array, so no network of the comparison, each trained for a tile,
can take part under it. GAP-TV needs no training, and the networks of bundles for any aperture had
theirs; they join the comparison as columns of their own.
"""

from __future__ import annotations

from typing import Any

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import evaluate
from focalloop.host.reconstruction.gap_tv import GAP_TV, GapTv
from focalloop.host.reconstruction.reconstruct import Reconstructor

APERTURE_SEED = 0


LEARNED = "learned, "
"""Precedes the way in the method of a bundle's own map."""


def rows(way: str, clips: Clips, tested_on: dict[str, Any], threads: int) -> list[dict[str, Any]]:
    """Score clips with an aperture and without: fixed level 1, and the map that a bundle has.

    Parameters
    ----------
    way : str
        `GAP_TV`, or a bundle for any aperture by its name or path.
    clips : Clips
        The clips of the comparison.
    tested_on : dict
        Noise and seed of the comparison, as its file states them.
    threads : int
        Processor threads of a network.

    Returns
    -------
    list of dict
        Two rows for each map, of the file of scores, under the profile `way`.
    """
    shape = clips.clips.shape[2:]
    fixed = RatioMap.uniform(1, shape)
    maps = [("fixed-1", way, fixed, fixed.with_random_aperture(APERTURE_SEED))]
    reconstruct: Reconstructor = GapTv()
    if way != GAP_TV:
        bundle = Bundle.load(way)
        reconstruct = bundle.reconstructor(threads)
        own = bundle.ratio_map.tiled_to(*shape)
        maps.append(("learned-1", LEARNED + way, own.with_aperture(None), own))
    profile, seed = preset(tested_on["noise"]), tested_on["seed"]
    found = []
    for name, method, plain, coded in maps:
        for ratio_map in (plain, coded):
            score = evaluate(clips, ratio_map, reconstruct, profile, name=way, seed=seed)
            with_one = ratio_map is coded
            found.append(
                {
                    "name": f"{name}-random-aperture, {way}" if with_one else f"{name}, {way}",
                    "method": method,
                    "budget": 1.0,
                    "aperture": with_one,
                    "profile": way,
                    "seed": seed,
                    "r_avg": ratio_map.ratio,
                    "measurements": ratio_map.mean_level,
                    "psnr": [round(clip.psnr, 4) for clip in score.clips],
                    "ssim": [round(clip.ssim, 4) for clip in score.clips],
                    "map": {"tile": ratio_map.tile.tolist()},
                }
            )
    return found
