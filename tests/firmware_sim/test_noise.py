"""Noise profiles: presets, validation and their JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import PRESETS, NoiseProfile, NoiseProfileError, preset
from tests.support import ROOT


def test_paper_has_the_paper_s_figures():
    paper = preset("paper")
    assert (paper.s_ss, paper.s_r) == (4.95e-3, 7.25e-3)
    assert (paper.bits, paper.black_level_dn, paper.full_scale_dn) == (16, 4096, 49152)
    others = replace(paper, shot="off", s_ss=0.0, s_r=0.0)
    assert others.noiseless
    assert not paper.noiseless


def test_scamp5_has_the_measured_figures():
    scamp5 = preset("scamp5")
    assert (scamp5.bits, scamp5.black_level_dn, scamp5.full_scale_dn) == (8, 20, 220)
    assert scamp5.full_well == 1.0
    assert scamp5.s_r * 220 == pytest.approx(0.8)
    assert scamp5.frame_offset * 220 == pytest.approx(0.39)
    assert scamp5.column_offset * 220 == pytest.approx(2.3)
    assert np.hypot(scamp5.pixel_offset, scamp5.column_offset) * 220 == pytest.approx(3.0)


@pytest.mark.parametrize("corrected", [False, True])
def test_shot_and_read_noise_stand_for_all_terms_of_the_emulator(corrected):
    """The variance of reads at two brightnesses, over sensors or for one whose pattern is known."""
    terms = {"row_noise": 3e-3, "frame_offset": 2e-3, "pixel_offset": 5e-3, "column_offset": 4e-3}
    profile = NoiseProfile(
        **terms, name="all", bits=8, black_level_dn=20, full_scale_dn=150, shot="poisson",
        s_ss=1e-2, s_r=4e-3, prnu=0.02, dark_signal=0.2,
    )  # fmt: skip
    ratio_map = RatioMap.uniform(4, (24, 24))
    sensors = [Emulator(ratio_map, profile, seed=seed) for seed in range(1 if corrected else 60)]
    known = profile
    if corrected:
        known = replace(profile, pixel_offset=0, column_offset=0, prnu=0)
    s_ss, s_r = known.shot_and_read()
    for brightness in (0.0, 1.0):  # a quarter of a window each, so signals of 0 and 0.25
        scene = np.full((16, 24, 24), brightness, np.float32)
        windows = range(120 if corrected else 2)
        reads = [profile.signal(each.read_out(scene, n)) for each in sensors for n in windows]
        over = np.stack(reads)
        variance = over.var(axis=0).mean() if corrected else over.var()
        assert variance == pytest.approx(s_ss**2 * brightness / 4 + s_r**2, rel=0.1)


@pytest.mark.parametrize(("slots", "full_scale"), [(16, 4080.0), (8, 2040.0)])
def test_the_full_scale_of_ideal_is_the_largest_sum(slots, full_scale):
    ideal = preset("ideal", slots)
    assert ideal.noiseless
    assert not ideal.adc
    assert ideal.full_scale_dn == full_scale
    assert ideal.signal(np.array([0, int(full_scale)], np.uint16)).tolist() == [0.0, 1.0]


def test_an_unknown_preset_is_named():
    with pytest.raises(FocalloopError, match=r"'papr'.*ideal, paper, scamp5"):
        preset("papr")


def test_codes_become_signal():
    signal = preset("scamp5").signal(np.array([0, 20, 130, 240], np.uint8))
    assert signal.dtype == np.float32
    np.testing.assert_allclose(signal, [-20 / 220, 0, 0.5, 1], rtol=1e-6)
    already = np.array([0.25], np.float32)
    assert preset("ideal").signal(already).tolist() == [0.25]


@pytest.mark.parametrize(("bits", "dtype"), [(1, "u1"), (8, "u1"), (9, "u2"), (16, "u2")])
def test_codes_are_as_wide_as_their_bits(bits, dtype):
    assert NoiseProfile(name="adc", bits=bits).code_dtype == dtype
    assert preset("ideal").code_dtype == "u2"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bits": 0}, "bits .* from 1 to 16, not 0"),
        ({"bits": 17}, "not 17"),
        ({"bits": True}, "not True"),
        ({"bits": "8"}, "not '8'"),
        ({"shot": "Poisson"}, "off, gaussian or poisson, not 'Poisson'"),
        ({"shot": "poisson"}, "s_ss above 0"),
        ({"s_r": -0.1}, "s_r .* 0 to 1e.09, not -0.1"),
        ({"s_r": float("nan")}, "s_r .* not nan"),
        ({"s_ss": 10**400}, "s_ss .* not 1000"),
        ({"prnu": float("inf")}, "prnu .* not inf"),
        ({"dark_signal": "dark"}, "dark_signal .* number, not 'dark'"),
        ({"row_noise": None}, "row_noise .* number, not None"),
        ({"bend": "much"}, "bend .* number, not 'much'"),
        ({"bend_cubic": float("nan")}, "bend_cubic .* not nan"),
        ({"bend": -0.5}, "bend -0.5 and bend_cubic 0.* slope outside 0.2 to 5"),
        ({"bend": 3.0}, "slope outside"),
        ({"bend": -2.0, "bend_cubic": 1.5}, "slope outside"),
        ({"bits": 8.0}, "integer from 1 to 16, not 8.0"),
        ({"full_scale_dn": 0}, "full_scale_dn .* 1e-06 or more"),
        ({"full_scale_dn": 1e-200}, "full_scale_dn .* 1e-06 or more"),
        ({"bits": 8, "black_level_dn": 255}, "is 255, but must be below 255, .* its 8 bits"),
        ({"full_well": 0}, "above 0"),
        ({"adc": 1}, "adc is true or false"),
        ({"name": 3}, "name is a text"),
        ({"adc": False, "s_r": 0.1}, "every noise term and the response must be off"),
        ({"adc": False, "full_well": 1.0}, "every noise term and the response must be off"),
        ({"adc": False, "bend": 0.1}, "every noise term and the response must be off"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said(fields, said):
    with pytest.raises(NoiseProfileError, match=said):
        NoiseProfile(**{"name": "wrong", **fields})


@pytest.mark.parametrize("name", PRESETS)
def test_a_saved_profile_comes_back(tmp_path, name):
    path = tmp_path / "profile.json"
    preset(name).save(path)
    assert NoiseProfile.load(path) == preset(name)
    assert [file.name for file in tmp_path.iterdir()] == ["profile.json"]


def test_a_bent_profile_comes_back_and_one_from_before_is_straight(tmp_path):
    bent = replace(preset("scamp5"), bend=-0.05, bend_cubic=0.01)
    bent.save(tmp_path / "profile.json")
    assert NoiseProfile.load(tmp_path / "profile.json") == bent
    document = preset("paper").as_dict()
    del document["parameters"]["bend"], document["parameters"]["bend_cubic"]
    assert NoiseProfile.from_dict(document) == preset("paper")


def test_a_profile_bends_reads_and_straightens_them():
    signal = np.linspace(-0.1, 1.0, 12, dtype=np.float32)
    bent = replace(preset("paper"), bend=0.03)
    np.testing.assert_allclose(bent.linearise(bent.respond(signal)), signal, atol=1e-6)
    straight = preset("paper")
    assert straight.respond(signal) is signal
    assert straight.linearise(signal) is signal


def test_the_json_carries_the_dng_pair_and_lets_others_write_beside():
    document = preset("paper").as_dict()
    assert document["dng_noise_profile"] == [4.95e-3**2, 7.25e-3**2]
    document |= {"estimates": {"s_r": {"value": 7.2e-3}}, "warnings": ["few darks"]}
    assert NoiseProfile.from_dict(document) == preset("paper")


def test_the_documented_example_is_the_preset():
    text = (ROOT / "docs" / "file-formats.md").read_text(encoding="utf-8")
    example = text.split("## Noise profile")[1].split("```json")[1].split("```")[0]
    assert json.loads(example) == preset("paper").as_dict()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a JSON"),
        ("{", "not a JSON"),
        ("[" * 100_000, "not a JSON"),
        ("\xff", "not a JSON"),
        ("[]", "schema_version 1, not None"),
        ("{}", "schema_version 1, not None"),
        ('{"schema_version": 2}', "not 2: update focalloop"),
        ('{"schema_version": 1}', "must be a JSON object"),
        ('{"schema_version": 1, "parameters": {"gain": 1}}', "unknown noise parameter 'gain'"),
        ('{"schema_version": 1, "parameters": {"s_r": "x"}}', "s_r"),
        ('{"schema_version": 1, "parameters": {"s_r": NaN}}', "s_r"),
        ('{"schema_version": 1, "name": 1, "parameters": {}}', "name is a text"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, text, said):
    path = tmp_path / "profile.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(NoiseProfileError, match=said) as caught:
        NoiseProfile.load(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read_or_written_are_said(tmp_path):
    with pytest.raises(NoiseProfileError, match="there is no noise profile"):
        NoiseProfile.load(tmp_path / "none.json")
    with pytest.raises(WriteError, match="cannot write"):
        preset("paper").save(tmp_path / "missing" / "profile.json")
    (tmp_path / "huge.json").write_bytes(json.dumps([0] * 600_000).encode())
    with pytest.raises(NoiseProfileError, match="too large"):
        NoiseProfile.load(tmp_path / "huge.json")
