"""What the benchmark of the closed loop over the wire makes of the windows that came."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.adaptive_live import Benchmark, Rebuilt
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.window import Window
from focalloop.models.zoo import DEFAULT_CONTROLLER


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """Two sequences of five windows of 32x48 pixels."""
    path = tmp_path_factory.mktemp("sequences") / "long.npz"
    frames = np.random.default_rng(0).integers(0, 256, (2, 83, 32, 48), np.uint8)
    np.savez(path, sequences=frames, names=np.array(["a", "b"]))
    return Benchmark(path, DEFAULT_CONTROLLER, 1 / 16)


def window(benchmark, number, skipped=0):
    """A window as the board reads it under a grid."""
    adaptive_map = benchmark.loaded.fitted_to(32, 48).adaptive_map
    packed = np.random.default_rng(number).integers(0, 8, adaptive_map.grid_shape, np.uint8)
    emulator = Emulator(adaptive_map.compose(packed), preset("paper"), seed=0)
    scene = benchmark.windows[(number + skipped) % len(benchmark.windows)]
    codes = emulator.read_out(scene, number)
    return Window(
        number, adaptive_map.compose(packed), emulator.plan, codes, 4096, 49152, 16, 0.0,
        skipped=skipped,
    )  # fmt: skip


def test_a_sequence_is_cut_into_its_windows(benchmark):
    assert benchmark.windows.shape == (10, 16, 32, 48)
    np.testing.assert_array_equal(benchmark.windows[6], benchmark.sequences[1, 16:32])


def test_windows_count_from_the_first_that_is_chosen_from_their_sequence(benchmark):
    came = [Rebuilt(None, exposure, error) for exposure, error in enumerate([9.0] * 20)]
    # Of the first sequence the exposures 3 and 4, and 13 and 14; of the other 8, 9, 18 and 19.
    for exposure, error in ((3, 0.1), (14, 0.01), (4, 0.055), (13, 0.055), (8, 1.0)):
        came[exposure] = Rebuilt(None, exposure, error)
    came = [one for one in came if one.exposure not in (9, 18, 19)]
    assert benchmark.psnr(came) == pytest.approx([-10 * np.log10(0.055), 0.0])
    assert np.isnan(benchmark.psnr([])).all()


def test_a_window_that_was_read_otherwise_is_counted_as_wrong(benchmark):
    right = [Rebuilt(window(benchmark, 3), 3, 0.0), Rebuilt(window(benchmark, 4, 2), 6, 0.0)]
    assert benchmark.wrong_windows(right) == 0
    codes = right[0].window.codes.copy()
    codes[-1] ^= 1
    wrong = Rebuilt(replace(right[0].window, codes=codes), 3, 0.0)
    assert benchmark.wrong_windows([*right, wrong]) == 1
