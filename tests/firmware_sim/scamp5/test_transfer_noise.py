"""The noisy mode: errors of transfers, which of them cancel, and decay of storage."""

import numpy as np
import pytest

from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scamp5 import Areg, Dreg, Machine, Mode, Timing, TransferNoise, assemble

QUIET = TransferNoise(
    offset_lsb=0, pattern_lsb=0, noise_lsb=0, share_lsb=0,
    analog_retention_s=np.inf, digital_retention_s=np.inf,
)  # fmt: skip


def machine(noise, shape=(128, 128), **settings):
    return Machine(shape, Mode.NOISY, noise=noise, **settings)


def test_macros_cancel_what_repeats_in_each_transfer():
    made = machine(TransferNoise(offset_lsb=3, pattern_lsb=2, noise_lsb=0))
    made.load(Areg.A, np.full((128, 128), 20))
    made.run(assemble("bus(B, A); mov(C, A);"))
    once = made.analog(Areg.B) + 20
    assert once.mean() == pytest.approx(3, abs=0.1)
    assert once.std() == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(made.analog(Areg.C), 20, atol=1e-5)


def test_each_transfer_adds_noise_and_a_seed_names_it():
    made, same, other = (machine(TransferNoise(noise_lsb=0.5), seed=seed) for seed in (1, 1, 2))
    for one in (made, same, other):
        one.run(assemble("mov(B, A); mov(C, A);"))
    first, second = made.analog(Areg.B), made.analog(Areg.C)
    assert first.std() == pytest.approx(0.5 * np.sqrt(2), rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(first, same.analog(Areg.B))
    assert (first != other.analog(Areg.B)).any()


def test_a_sample_read_out_has_the_noise_of_the_preset():
    """getpix and the 8-bit scan together: 0.8 DN per read, fixed pattern 3.0 DN, 2.3 by column."""
    made = machine(TransferNoise(), shape=(256, 256), seed=3)
    # A little light before the reset level is kept: at the very bottom, PIX saturates NEWS.
    lit = np.full((1, 256, 256), 40, np.uint8)
    made.run(assemble("respix(); expose(0); mov(A, PIX);"), lit)
    reads = np.stack([made.run(assemble("getpix(B, A); scan(B, 0);"))[0] for _ in range(12)])
    reads = reads.astype(np.float64)
    frames = reads - reads.mean(axis=(1, 2), keepdims=True)
    profile = preset("scamp5")
    read_dn = np.sqrt(frames.var(axis=0, ddof=1).mean() - 1 / 12)  # less the rounding
    assert read_dn == pytest.approx(profile.s_r * 220, rel=0.05)
    pattern = frames.mean(axis=0)
    assert pattern.mean(axis=0).std() == pytest.approx(profile.column_offset * 220, rel=0.15)
    own = pattern - pattern.mean(axis=0)
    # The reset level in A was sampled once, with the noise of two transfers.
    expected = np.hypot(profile.pixel_offset * 220, np.sqrt(2) * TransferNoise().noise_lsb)
    assert own.std() == pytest.approx(expected, rel=0.05)


def test_shared_currents_err_and_registers_saturate():
    made = machine(TransferNoise(offset_lsb=0, pattern_lsb=0, noise_lsb=0, share_lsb=4))
    made.load(Areg.A, np.full((128, 128), 100))
    made.run(assemble("bus2(B, C, A); add(D, A, B); neg(E, A); add(F, E, B, C); sub(F, F, A);"))
    np.testing.assert_allclose(made.analog(Areg.B), -46)
    np.testing.assert_allclose(made.analog(Areg.D), 54)
    np.testing.assert_allclose(made.analog(Areg.F), -128)


def test_storage_leaks_with_time_and_a_refresh_helps():
    slow = Timing(slot_s=1.0)
    noise = TransferNoise(0, 0, 0, 0, analog_retention_s=2.0, digital_retention_s=1.5)
    made = machine(noise, shape=(2, 2), timing=slow)
    dark = np.zeros((1, 2, 2), np.uint8)
    made.run(assemble("expose(0);" * 3), dark)
    made.load(Areg.A, np.full((2, 2), 100))
    made.load(Dreg.R5, np.ones((2, 2)))  # a register loaded late is as fresh as one that is written
    made.run(assemble("SET(R6); expose(0);"), dark)
    assert made.digital(Dreg.R5).all()
    np.testing.assert_allclose(made.analog(Areg.A), 100 * np.exp(-0.5), rtol=1e-5)
    made.run(assemble("REFRESH(R6); expose(0);"), dark)
    assert not made.digital(Dreg.R5).any()
    assert made.digital(Dreg.R6).all()
    assert made.digital(Dreg.FLAG).all()


def test_without_noise_only_rounding_and_saturation_are_left():
    scene = np.random.default_rng(0).random((2, 128, 128), dtype=np.float32)
    program = assemble("respix(A); expose(0); expose(1); getpix(B, A); divq(C, B); scan(C, 0);")
    quiet, ideal = machine(QUIET), Machine((128, 128), Mode.IDEAL)
    read, exact = (one.run(program, scene, gain=40.0)[0] for one in (quiet, ideal))
    pattern = read.astype(np.float64) - exact
    # The read-out's own pattern stays; between two elements of a column it is far below 1 LSB
    # of what the arithmetic could get wrong.
    np.testing.assert_allclose(quiet.analog(Areg.C), ideal.analog(Areg.C), atol=1e-4)
    assert abs(pattern.mean()) < 1
