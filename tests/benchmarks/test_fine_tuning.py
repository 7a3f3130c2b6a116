"""The benchmark of fine-tuning, on two small clips and networks of a few nodes."""

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import fine_tuning
from focalloop.firmware_sim.noise import preset
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle

PAPER = preset("paper")
LOUD = replace(PAPER, name="loud", s_ss=2 * PAPER.s_ss, s_r=4 * PAPER.s_r)
GAIN = 0.5 / sum(LOUD.shot_and_read())


def test_both_reconstruct_the_same_reads_and_the_difference_is_that_of_the_clips(
    tmp_path, monkeypatch, capsys
):
    exported = {
        "noise_profile": LOUD.as_dict(),
        "training": {"result": {"step": 12}, "settings": {"start": "told@abc"}},
        "export": {"int8_loss_db": None},
    }
    monkeypatch.setattr(
        fine_tuning,
        "export_run",
        lambda run, folder, first_map: write_tiny_bundle(
            folder, first_map, network=tiny_network(factor=0.25), name=run.name, **exported
        ),
    )
    own = write_tiny_bundle(tmp_path / "own")
    told = write_tiny_bundle(
        tmp_path / "told",
        network=tiny_network(noise=True, factor=GAIN),  # 0.5 where it is told this noise
        noise_range={"s_ss": [1e-4, 1.0], "s_r": [1e-4, 1.0]},
        export={"int8_loss_db": 0.15},
    )
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 16)).astype(np.uint8)
    np.savez(tmp_path / "clips.npz", clips=clips)
    fine_tuning.main(tmp_path / "run", tmp_path / "clips.npz", str(told), str(own))
    first, *both, last = capsys.readouterr().out.splitlines()
    assert first.startswith("noise loud: shot x 2, read x 4 of paper's; map of ")
    assert both[0].endswith("told; 8 bits cost 0.15 dB of it")
    assert both[1].endswith("fine-tuned for 12 steps, from told@abc")
    one, other = (float(line.split()[0]) for line in both)
    found = re.fullmatch(r"difference (.+) \[(.+), (.+)\] dB, allowed -0.3 or more", last)
    mean, low, high = map(float, found.groups())
    assert mean == pytest.approx(one - other, abs=0.011)
    assert abs(mean) > 0.5
    assert low <= mean <= high
