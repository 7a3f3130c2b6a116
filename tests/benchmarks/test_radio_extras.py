"""Rows beyond the paper: what shapes do to symbols, which rates are chosen, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.radio.__main__ import app
from benchmarks.radio.extras import EXTRAS, few_rates
from benchmarks.radio.scores import RadioScoresError
from benchmarks.radio.shaping import Shape, as_made, on_a_grid
from focalloop.firmware_sim.radio.channel import Received

FRONT = 9


def payload_of(count: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    parts = rng.standard_normal((count, 2)) * np.exp(spread * rng.standard_normal((count, 1)))
    symbols = parts.view(complex)[:, 0]
    return (symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))).astype(np.complex64)


def arrived(shape: Shape, payload: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The payload that is sent, and what the receiver makes of it and of a front of ones."""
    made, undo = shape(payload)
    on_air = np.concatenate((np.ones(FRONT, np.complex64), made))
    received = undo(Received(on_air, np.ones(on_air.size, np.complex64), 1e-3), FRONT)
    symbols, _ = received.equalised()
    np.testing.assert_allclose(symbols[:FRONT], 1, rtol=1e-6)
    return made, symbols[FRONT:]


@pytest.mark.parametrize("shape", [as_made, on_a_grid])
def test_shapes_keep_the_power_and_the_receiver_undoes_them(shape: Shape) -> None:
    payload = payload_of(4_000, 0.3)
    made, found = arrived(shape, payload)
    assert np.mean(np.abs(made) ** 2) == pytest.approx(1, abs=1e-4)
    assert np.mean(np.abs(found - payload) ** 2) < 0.05


def test_few_rates_are_those_that_are_allowed_within_the_budget() -> None:
    rates = (8, 16, 32, 48, 72, 104, 144, 192)
    log_error = -np.arange(8.0)[:, None, None] * np.random.default_rng(0).random((1, 6, 6))
    for reals in (100, 1_800, 9_000):
        chosen = few_rates(log_error.astype(np.float32), rates, reals, allowed=(32, 72, 104))
        sent = np.array(rates)[chosen]
        assert set(np.unique(sent)) <= {32, 72, 104}
        assert sent.sum() <= max(reals, 32 * 36)


def test_rows_are_measured_stored_and_printed(tmp_path: Path) -> None:
    y, x = np.mgrid[:48, :48]
    clips = [127 + 90 * np.sin(0.3 * x + 0.2 * y + speed * np.arange(16)[:, None, None])
             for speed in (0.1, 0.4)]  # fmt: skip
    np.savez(tmp_path / "clips.npz", clips=np.rint(clips).astype(np.uint8), names=["slow", "fast"])

    def run(*words: object) -> str:
        words = ("extras", "--scores", tmp_path, *words)
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    measured = run("--clips", tmp_path / "clips.npz", "--row", "awgn", "--row", "grid")
    again = json.loads(run("--clips", tmp_path / "clips.npz", "--row", "awgn", "--json"))
    ((title, rows),) = again.items()
    assert title == "2 clips"
    first, second = rows
    assert (first["row"], second["row"]) == (EXTRAS["awgn"].label, EXTRAS["grid"].label)
    assert first["difference"] is None
    assert abs(second["difference"]["mean"]) < 1
    assert first["peak_db"] > 6
    assert run() == measured
    with pytest.raises(RadioScoresError, match="there is no row 'awgm'"):
        run("--row", "awgm")
    with pytest.raises(RadioScoresError, match="does not hold scores"):
        run("--scores", tmp_path / "nowhere")
