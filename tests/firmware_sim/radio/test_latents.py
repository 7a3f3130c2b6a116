import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.radio.entropy import EntropyError
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.latents import LatentModel
from tests.support.latent_models import CHANNELS, QUALITIES, STEPS, drawn_latents, drawn_model

MODEL = drawn_model()


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 7), st.integers(1, 7), st.integers(0, QUALITIES - 1), st.integers(0, 2**32 - 1)
)
def test_latents_come_back_to_half_a_unit(height, width, quality, seed):
    latent, side = drawn_latents(height, width, seed)
    data = MODEL.encode(latent, side, quality)
    found = MODEL.decode(data, height, width, quality)
    error = np.abs(found - latent) * MODEL.gains[quality][:, None, None] / 256
    # Half a unit beyond the dead zone, and 1/512 because means are integers too.
    assert error.max() <= 0.5 + 0.3 + 0.01
    assert np.array_equal(found, MODEL.decode(data, height, width, quality))


def test_higher_qualities_take_more_bits_and_are_closer():
    latent, side = drawn_latents(8, 8)
    sizes, errors = [], []
    for quality in range(QUALITIES):
        data = MODEL.encode(latent, side, quality)
        sizes.append(len(data))
        errors.append(np.square(MODEL.decode(data, 8, 8, quality) - latent).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_extreme_latents_come_back():
    latent, side = drawn_latents(2, 3)
    latent[0, 0, 0], latent[5, 1, 2], side[0, 0, 0] = 1e5, -1e6, 1e8
    found = MODEL.decode(MODEL.encode(latent, side, 2), 2, 3, 2)
    assert np.allclose(found, latent, rtol=1e-6, atol=2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_latents_that_are_not_finite_are_refused(wrong):
    for place in (0, 1):
        latents = drawn_latents(2, 2)
        latents[place][0, 0, 0] = wrong
        with pytest.raises(RadioError, match="not finite"):
            MODEL.encode(*latents, 0)


def test_data_of_another_size_or_quality_is_refused():
    latent, side = drawn_latents(4, 4)
    data = MODEL.encode(latent, side, 1)
    for height, width, quality in ((4, 5, 1), (3, 4, 1), (4, 4, 2)):
        with pytest.raises(EntropyError):
            MODEL.decode(data, height, width, quality)
    with pytest.raises(EntropyError):
        MODEL.decode(b"", 4, 4, 1)


@settings(deadline=None)
@given(st.binary(max_size=400).map(lambda data: data + bytes(-len(data) % 4)))
def test_any_bytes_are_refused_or_are_what_an_encoder_writes(data):
    try:
        found = MODEL.decode(data, 3, 3, 1)
    except EntropyError:
        return
    assert np.isfinite(found).all()


def test_arrays_make_the_same_model():
    latent, side = drawn_latents(5, 6)
    again = LatentModel.from_arrays(MODEL.arrays())
    assert again.encode(latent, side, 3) == MODEL.encode(latent, side, 3)
    assert (again.qualities, again.channels) == (QUALITIES, CHANNELS)


def test_damaged_arrays_are_refused():
    named = MODEL.arrays()
    for name in named:
        with pytest.raises(RadioError):
            LatentModel.from_arrays({key: value for key, value in named.items() if key != name})
        for wrong in (np.zeros(3), named[name].astype(str), np.full((2, 2), -1)):
            with pytest.raises(RadioError):
                LatentModel.from_arrays({**named, name: wrong})


@pytest.mark.parametrize(
    "steps",
    [STEPS[:-1], STEPS[1:], (*STEPS, STEPS[0]), ((0, 13, 2),), ((0, 12, 3),), ((5, 5, 2),)],
)
def test_steps_that_do_not_code_everything_once_are_refused(steps):
    with pytest.raises((RadioError, ValueError)):
        drawn_model(steps=steps)


PROGRAM = """
import hashlib, sys
from tests.support.latent_models import drawn_latents, drawn_model
model = drawn_model()
data = bytes.fromhex(sys.stdin.read())
latents = model.decode(data, 9, 14, 3)
assert model.encode(*drawn_latents(9, 14), 3) == data
print(hashlib.sha256(latents.tobytes()).hexdigest())
"""


def decoded_elsewhere(data, *, emulator=(), **environment):
    done = subprocess.run(
        [*emulator, sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{PROGRAM}"],
        input=data.hex(),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def coded_and_digest():
    data = MODEL.encode(*drawn_latents(9, 14), 3)
    return data, hashlib.sha256(MODEL.decode(data, 9, 14, 3).tobytes()).hexdigest()


@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "3"},
        {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"},
        {"OPENBLAS_CORETYPE": "Haswell"},
    ],
    ids=lambda environment: " ".join(f"{k}={v}" for k, v in environment.items()),
)
def test_other_processes_threads_and_kernels_decode_the_same(coded_and_digest, environment):
    data, digest = coded_and_digest
    assert decoded_elsewhere(data, **environment) == digest


@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="qemu-user is not installed")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs an x86-64 Python")
def test_a_processor_without_vectors_of_256_bits_decodes_the_same(coded_and_digest):
    data, digest = coded_and_digest
    assert decoded_elsewhere(data, emulator=["qemu-x86_64", "-cpu", "Nehalem"]) == digest
