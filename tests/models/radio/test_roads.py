"""Roads of rate allocation: trained, kept in files of their own, and used for the right ends."""

import numpy as np
import pytest

from focalloop.models.errors import TrainError
from focalloop.models.radio.codec_bits import InformedRun
from focalloop.models.radio.pipeline import no_transform, trained
from focalloop.models.radio.policy_run import PolicyRun
from focalloop.models.radio.roads import SHIPPED, keep_road, trained_road
from focalloop.models.radio.run import noisy_windows
from focalloop.models.radio.semcom import SemCom
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun, encoded
from focalloop.models.training.run import RunSettings
from focalloop.models.training.starting_weights import Start


@pytest.fixture(scope="module")
def ends(sensing):
    return trained("radio-semcom", sensing)


@pytest.fixture(scope="module")
def window(data, sensing, ends):
    (_, cells), *_ = noisy_windows(data.validation, sensing, 1)
    return encoded(ends, cells, 10.0)[0], cells


def a_run(kind, folder, ends, sensing, data):
    weights = ends.state_dict()
    start = Start.of("ends", weights).name
    settings = RunSettings(
        steps=2, batch=2, crop=32, warm_up_steps=1, learning_rate=0.1, start=start
    )
    parts = ends.settings, sensing, data, settings
    if kind.startswith("regressed"):
        run = InformedRun(kind.partition("-")[2], LinkTraining("allocation"), *parts)
    else:
        gradient, _, reward = kind.partition("-")
        expected = gradient == "expected"
        run = PolicyRun(reward, no_transform(sensing), *parts, expected=expected)
    run.start_from(weights)
    run.train(folder)


@pytest.mark.parametrize("kind", ["sampled-published", "expected-psnr", "regressed-codec"])
def test_a_kept_file_is_the_road_of_its_run(kind, data, sensing, ends, window, tmp_path):
    a_run(kind, tmp_path / "run", ends, sensing, data)
    file = tmp_path / "kept" / "road.safetensors"
    keep_road(tmp_path / "run", file)
    assert file.stat().st_size < 100_000
    budget = 48 * 16
    rates = np.array(ends.settings.rates)
    maps = []
    for path in (tmp_path / "run", file):
        name, road = trained_road(path, ends, sensing)
        assert name == kind
        maps.append(road(*window, 10.0)(budget))
        assert rates[maps[-1]].sum() <= budget
    np.testing.assert_array_equal(*maps)


def test_a_road_is_for_the_ends_it_was_trained_for(data, sensing, ends, tmp_path):
    a_run("sampled-psnr", tmp_path, ends, sensing, data)
    others = SemCom(no_transform(sensing), ends.settings)
    with pytest.raises(TrainError, match="a road for other ends"):
        trained_road(tmp_path, others, sensing)


def test_a_run_of_ends_is_no_road(sensing, ends, data, tmp_path):
    settings = RunSettings(steps=1, batch=1, crop=32, warm_up_steps=1)
    run = SemComRun(
        no_transform(sensing), LinkTraining("allocation"), ends.settings, sensing, data, settings
    )
    run.learner.start_from(ends.state_dict())
    run.train(tmp_path)
    for use in (
        lambda: trained_road(tmp_path, ends, sensing),
        lambda: keep_road(tmp_path, tmp_path / "x"),
    ):
        with pytest.raises(TrainError, match="holds no road"):
            use()


def test_the_shipped_roads_are_for_the_shipped_ends(sensing, ends):
    assert {*SHIPPED[0].parent.iterdir()} == {*SHIPPED}
    for path in SHIPPED:
        assert trained_road(path, ends, sensing)[0] == path.stem
