"""`focalloop calibrate` from images: what a set gives, and what cannot be calibrated."""

import json

import numpy as np
import pytest
from PIL import Image

from focalloop.calibration import Level, Readings
from focalloop.calibration.files.emva import DESCRIPTOR, write_emva

MEANS = (200, 600, 1200, 2000, 2800)


def reads(mean, count=4, *, bits=12, sigma=3.0, gain=0.25, shape=(32, 32), seed=0, drift=0.0):
    """Codes of a plain sensor at a mean signal above black, which moves by `drift` a read."""
    rng = np.random.default_rng([seed, int(mean)])
    means = 64 + mean * (1 + drift * np.arange(count))[:, None, None]
    codes = means + rng.normal(0, 1, (count, *shape)) * np.sqrt(sigma**2 + gain * mean)
    dtype = np.uint8 if bits <= 8 else np.uint16
    return np.clip(np.rint(codes), 0, (1 << bits) - 1).astype(dtype)


def export(folder, means, bits=12, **options):
    """Write a descriptor of a dark and some bright levels."""
    levels = [Level(reads(0, bits=bits, **options), True, 0.01, 0.0)]
    levels += [Level(reads(mean, bits=bits, **options), False, 0.01, 4.0 * mean) for mean in means]
    write_emva(folder, Readings(tuple(levels), bits, None, None, None, "s", {}))
    return folder / DESCRIPTOR


def test_a_good_set_is_calibrated(run, tmp_path):
    """The control of all that follow."""
    descriptor = export(tmp_path / "set", MEANS, count=2)
    document = json.loads(run("calibrate", descriptor, "--json").out)
    assert document["estimates"]["gain_dn_per_electron"]["value"] == pytest.approx(0.25, rel=0.1)


def test_a_limit_at_infinity_is_null(run, tmp_path):
    """No shot noise to speak of: electrons at saturation have no upper limit."""
    means = (200, 1000, 3000, 3900, 4500, 5000)
    descriptor = export(tmp_path / "set", means, count=2, gain=1e-4, shape=(16, 16))
    run("calibrate", descriptor, "-o", "p.json")
    document = json.loads((tmp_path / "p.json").read_text(), parse_constant=pytest.fail)
    assert document["estimates"]["saturation_capacity"]["ci95"][1] is None


def test_a_sensor_with_too_many_defects_has_a_profile_and_no_correction(run, tmp_path):
    levels = [
        Level(reads=reads(mean), dark=dark, exposure=0.1, light=light)
        for mean, dark, light in ((200, True, None), (1000, False, 1000.0), (2000, False, 2000.0))
    ]
    for level in levels:
        level.reads[:, :2] = 500  # 2 of 32 rows
    write_emva(
        tmp_path / "set",
        Readings(
            levels=tuple(levels),
            bits=12,
            full_scale_dn=None,
            black_level_dn=None,
            slots=None,
            exposure_unit="s",
            origin={},
        ),
        None,
    )
    words = ("calibrate", "set", "-o", "p.json")
    assert "64 of 1024 pixels are defective" in run(*words, "--correction", "c.npz", code=1).err
    assert not list(tmp_path.glob("[pc].*"))
    assert "64 of 1024 pixels are defective" in " ".join(run(*words).out.split())
    assert json.loads((tmp_path / "p.json").read_text())["defects"] is None


def test_a_set_is_not_told_its_bits(run, tmp_path):
    run("calibrate", export(tmp_path / "set", MEANS), "--bits", 12, code=2)


# Each case is one sentence, exit code 1, and no file.


@pytest.fixture
def refused(run, tmp_path):
    def refused(*words):
        before = sorted(tmp_path.rglob("*"))
        ran = run("calibrate", *words, "-o", "p.json", "--report", "r.html", "--json", code=1)
        assert ran.out == ""
        assert ran.err.startswith("error: ")
        assert ran.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return ran.err

    return refused


def test_frames_of_differing_sizes(refused, tmp_path):
    descriptor = export(tmp_path / "set", MEANS)
    image = sorted((tmp_path / "set" / "images").iterdir())[3]
    Image.fromarray(reads(100, 1, shape=(30, 32))[0]).save(image)
    assert image.name in refused(descriptor)


def test_frames_of_differing_depths(refused, tmp_path):
    descriptor = export(tmp_path / "set", MEANS)
    image = sorted((tmp_path / "set" / "images").iterdir())[3]
    Image.fromarray(reads(100, 1)[0].astype(np.uint8)).save(image)
    assert "8 bits" in refused(descriptor)


def test_a_missing_and_an_unreadable_image(refused, tmp_path):
    descriptor = export(tmp_path / "set", MEANS)
    image = sorted((tmp_path / "set" / "images").iterdir())[3]
    image.write_bytes(image.read_bytes()[:100])
    assert image.name in refused(descriptor)
    image.unlink()
    assert image.name in refused(descriptor)


def test_eight_bits_declared_as_twelve(refused, tmp_path):
    descriptor = export(tmp_path / "set", (20, 60, 100, 140), bits=8, gain=0.05)
    descriptor.write_text(descriptor.read_text().replace("n 8 ", "n 12 "))
    assert "8 bits" in refused(descriptor)


def test_one_read_a_level(refused, tmp_path):
    descriptor = export(tmp_path / "set", MEANS, count=2)
    kept = [line for line in descriptor.read_text().splitlines() if "snap_001" not in line]
    descriptor.write_text("\n".join(kept))
    assert "only one read" in refused(descriptor)


def test_not_a_number(refused, tmp_path):
    folder = tmp_path / "stack"
    folder.mkdir()
    for name, mean in (("dark", 0), ("flat", 1000)):
        pages = [Image.fromarray(page.astype(np.float32) + np.nan) for page in reads(mean, 2)]
        pages[0].save(folder / f"{name}.tif", save_all=True, append_images=pages[1:])
    (folder / "levels.csv").write_text(
        "file,kind,exposure_s\ndark.tif,dark,0.01\nflat.tif,flat,0.01\n"
    )
    assert "NaN" in refused(folder, "--bits", 12)


@pytest.mark.parametrize(
    ("means", "options", "word"),
    [
        ((), {}, "flat"),
        ((0.001, 0.002), {}, "light"),
        ((6000, 8000), {}, "saturat"),
        (MEANS, {"drift": 0.3}, "drift"),
    ],
    ids=["one level", "all dark", "saturated", "drifting light"],
)
def test_levels_that_make_no_curve(refused, tmp_path, means, options, word):
    assert word in refused(export(tmp_path / "set", means, **options))


def test_sources_that_are_none(refused, run, tmp_path):
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert "nothing to calibrate from" in refused("text.txt")
    assert "nothing to calibrate from" in refused("empty")
    assert "nothing at nowhere" in run("calibrate", "nowhere", code=2).err
    assert "alone" in refused("text.txt", "empty")
    assert "/dev/ttyNONE" in refused("--port", "/dev/ttyNONE", "--wait", "0")
