"""What a network that is told the noise gives away against one fine-tuned for that noise.

``python -m benchmarks.fine_tuning RUN --clips public_test.npz``, where RUN is a folder of
``focalloop train --map random-tiles --noise PROFILE --start edge-universal-told``, finished or not:
both reconstruct the same reads under that noise, and the differences are bootstrapped over clips.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.maps.scores import Interval
from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.noise import PRESETS
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import Evaluation, evaluate
from focalloop.models.export.bundle import export_run
from focalloop.models.zoo import DEFAULT_BUNDLE, TOLD_BUNDLE

MAX_LOSS_DB = 0.3
"""How far the network that is told the noise may be below the one that is fine-tuned."""


def main(
    run: Annotated[Path, typer.Argument(help="Folder of the fine-tuning.")],
    clips: Annotated[Path, typer.Option(help="Clips of 16 frames.")],
    told: Annotated[str, typer.Option(help="Bundle that is told the noise.")] = TOLD_BUNDLE,
    map_of: Annotated[str, typer.Option(help="Bundle under whose map.")] = DEFAULT_BUNDLE,
) -> None:
    """Print the PSNR of both, and how far the first is above the second."""
    ratio_map = Bundle.load(map_of).ratio_map
    with scratch_folder() as folder:
        export_run(run, folder / "tuned", first_map=ratio_map)
        tuned = Bundle.load(folder / "tuned")
    one, noise = Bundle.load(told), tuned.noise_profile
    paper, loaded = PRESETS["paper"], load_clips(clips, ratio_map.slots)
    typer.echo(
        f"noise {noise.name}: shot x {noise.s_ss / paper.s_ss:.3g}, read x "
        f"{noise.s_r / paper.s_r:.3g} of paper's; map of {map_of}; {len(loaded)} clips"
    )
    training = tuned.meta["training"]
    names = {
        one: f"{told}, told",
        tuned: f"fine-tuned for {training['result']['step']} steps, "
        f"from {training['settings']['start']}",
    }
    scores: list[Evaluation] = []
    for bundle, name in names.items():
        network = bundle.reconstructor(noise=noise.shot_and_read())
        scores.append(evaluate(loaded, ratio_map, network, noise, name=name))
        loss = bundle.meta["export"]["int8_loss_db"]
        narrow = "" if loss is None else f"; 8 bits cost {loss:.2f} dB of it"
        typer.echo(f"{scores[-1].psnr:6.2f} dB / {scores[-1].ssim:.3f}  {name}{narrow}")
    first, second = (np.array([clip.psnr for clip in score.clips]) for score in scores)
    difference = Interval.of(first - second).text(2, "+")
    typer.echo(f"difference {difference} dB, allowed -{MAX_LOSS_DB:g} or more")


if __name__ == "__main__":
    typer.run(main)
