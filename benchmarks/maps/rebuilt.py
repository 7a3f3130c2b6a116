"""Fixed level 1 with a random aperture and without, rebuilt by what sees any aperture.

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


def rows(way: str, clips: Clips, tested_on: dict[str, Any], threads: int) -> list[dict[str, Any]]:
    """Score clips with the random aperture and without.

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
        Two rows of the file of scores, under the method and profile `way`.
    """
    reconstruct: Reconstructor = GapTv()
    if way != GAP_TV:
        reconstruct = Bundle.load(way).reconstructor(threads)
    plain = RatioMap.uniform(1, clips.clips.shape[2:])
    profile, seed = preset(tested_on["noise"]), tested_on["seed"]
    found = []
    for ratio_map in (plain, plain.with_random_aperture(APERTURE_SEED)):
        score = evaluate(clips, ratio_map, reconstruct, profile, name=way, seed=seed)
        coded = ratio_map.aperture is not None
        found.append(
            {
                "name": f"fixed-1-random-aperture, {way}" if coded else f"fixed-1, {way}",
                "method": way,
                "budget": 1.0,
                "aperture": coded,
                "profile": way,
                "seed": seed,
                "r_avg": ratio_map.ratio,
                "measurements": ratio_map.mean_level,
                "psnr": [round(clip.psnr, 4) for clip in score.clips],
                "ssim": [round(clip.ssim, 4) for clip in score.clips],
                "map": {"tile": [[1]]},
            }
        )
    return found
