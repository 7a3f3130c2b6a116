"""The scores that bundles state: fresh ones are the same, and so are those in the documents."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import evaluate
from focalloop.models import zoo

ROOT = Path(__file__).parents[2]
SHIPPED_CLIP = "box.mp4"
RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def scores_of(name: str) -> dict[str, dict[str, Any]]:
    return {score["set"]: score for score in Bundle.load(name).meta["scores"]}


@pytest.mark.parametrize("name", zoo.BUNDLES)
def test_a_fresh_evaluation_gives_the_stated_score(name: str) -> None:
    bundle, stated = Bundle.load(name), scores_of(name)[SHIPPED_CLIP]
    words = shlex.split(stated["command"])
    limit = int(words[words.index("--limit") + 1])
    clips = load_clips(ROOT / words[2], bundle.ratio_map.slots, max_clips=limit)
    noise, network = NoiseProfile.load(stated["profile"]), bundle.reconstructor(threads=2)
    fresh = evaluate(clips, bundle.ratio_map, network, noise, name=name, seed=stated["seed"])
    # 8-bit arithmetic differs by some 1e-4 dB between processors, other networks' by far more.
    assert fresh.psnr == pytest.approx(stated["psnr"], abs=0.01)
    assert fresh.ssim == pytest.approx(stated["ssim"], abs=1e-3)
    assert fresh.r_avg == stated["r_avg"]


@pytest.mark.parametrize("name", zoo.BUNDLES)
def test_every_score_is_of_its_own_bundle(name: str) -> None:
    bundle, scores = Bundle.load(name), scores_of(name)
    assert {"test_set.npz", "public_test.npz", SHIPPED_CLIP} == scores.keys()
    for score in scores.values():
        words = shlex.split(score["command"])
        assert words[words.index("--bundle") + 1] == name
        assert score["r_avg"] == pytest.approx(bundle.ratio_map.ratio)


def test_no_two_bundles_state_the_same_scores() -> None:
    stated = [(s["set"], s["psnr"]) for name in zoo.BUNDLES for s in scores_of(name).values()]
    assert len(set(stated)) == len(stated)


@pytest.mark.parametrize("name", zoo.BUNDLES)
def test_the_results_are_those_of_the_bundles(name: str) -> None:
    scores = scores_of(name)
    row = re.search(rf"^\| {re.escape(name)}[ ,].*", RESULTS, re.MULTILINE)
    assert row is not None
    for each in ("test_set.npz", "public_test.npz"):
        assert f"{scores[each]['psnr']:.2f} / {scores[each]['ssim']:.3f}" in row[0]
