"""EMVA 1288 descriptors: what is written is read back, and invalid ones are refused."""

from __future__ import annotations

import errno
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from focalloop.calibration import CalibrationError, Level, Readings
from focalloop.calibration.files.emva import DESCRIPTOR, EmvaScale, is_emva, read_emva, write_emva
from focalloop.firmware_sim.files import WriteError

SHAPE = (6, 9)

TEXT = """\
# A comment
v 3.0
n 12 9 6
l SensorName Frühling
b 40000.0 120.5
i images\\b0.png
i images\\b1.png
d 40000,5
i images/d0.png
i images/d1.png
"""


def image(path, seed, bits=12, shape=SHAPE, dtype=np.uint16):
    codes = np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(dtype)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(codes).save(path)
    return codes


@pytest.fixture
def descriptor(tmp_path):
    for seed, name in enumerate(("b0", "b1", "d0", "d1")):
        image(tmp_path / "images" / f"{name}.png", seed)
    path = tmp_path / "data.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_descriptor_is_read(descriptor, tmp_path):
    steps = []
    readings = read_emva(descriptor, lambda done, total: steps.append((done, total)))
    assert is_emva(descriptor)
    assert (readings.bits, readings.exposure_unit, readings.slots) == (12, "s", None)
    bright, dark = readings.levels
    assert (bright.dark, bright.exposure, bright.light) == (False, pytest.approx(4e-5), 120.5)
    assert (dark.dark, dark.exposure) == (True, pytest.approx(4.00005e-5))
    np.testing.assert_array_equal(bright.reads[1], image(tmp_path / "images" / "b1.png", 1))
    np.testing.assert_array_equal(dark.reads[0], image(tmp_path / "images" / "d0.png", 2))
    assert readings.origin["release"] == "3.0"
    assert readings.origin["images"]["count"] == 4
    assert steps == [(2, 4), (4, 4)]


def test_a_set_larger_than_memory_should_hold_is_mapped(descriptor, monkeypatch):
    small = read_emva(descriptor)
    monkeypatch.setattr(
        "focalloop.calibration.files.images.MAX_IN_MEMORY_BYTES", small.levels[0].reads.nbytes
    )
    large = read_emva(descriptor)
    assert [isinstance(lv.reads, np.memmap) for lv in large.levels] == [False, True]
    for ours, theirs in zip(small.levels, large.levels, strict=True):
        np.testing.assert_array_equal(ours.reads, theirs.reads)


def test_groups_of_one_condition_are_one_level_of_distinct_reads(descriptor, tmp_path):
    image(tmp_path / "images" / "b2.png", 7)
    more = "b 40000 120.5\ni images/b1.png\ni images/b2.png\n"
    descriptor.write_text(TEXT + more, encoding="utf-8")
    bright, _ = read_emva(descriptor).levels
    assert len(bright.reads) == 3


def test_a_descriptor_of_an_older_program_is_read(descriptor):
    descriptor.write_bytes(TEXT.replace("\n", "\r\n").encode("latin-1"))
    assert len(read_emva(descriptor).levels) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n 12 9 6", "n 12 9", "line 3"),
        ("n 12 9 6", "n 20 9 6", "1 to 16"),
        ("n 12 9 6\n", "", "no line `n"),
        ("n 12 9 6", "n 12 9 6\nn 12 9 6", "second"),
        ("n 12 9 6", "n 10 9 6", "10 bits end at 1023"),
        ("n 12 9 6", "n 12 6 9", "9x6 pixels, but the size declared is 6x9"),
        ("b 40000.0 120.5", "b 40000.0", "b NANOSECONDS PHOTONS"),
        ("b 40000.0 120.5", "b 40000.0 nan", "line 5"),
        ("b 40000.0 120.5\n", "", "before any level"),
        (
            "i images/d0.png\ni images/d1.png\n",
            "",
            "lists no images of the dark level of 0.0400005 ms",
        ),
        ("i images/d0.png\ni images/d1.png\n", "", "line 8 of"),
        ("b 40000.0 120.5", "b 40000.0 1.120,5", "line 5"),
        ("b 40000.0 120.5", "b 40000.0 12²", "line 5"),
        ("b 40000.0", "x 40000.0", "line 5"),
        ("i images\\b1.png", "i", "line 7"),
        ("b1.png", "none.png", "none.png cannot be read"),
    ],
)
def test_an_invalid_descriptor_is_refused_with_its_line(descriptor, old, new, words):
    descriptor.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(CalibrationError) as error:
        read_emva(descriptor)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


WORDS = st.sampled_from(
    ["v", "n", "b", "d", "i", "l", "#", "12", "9", "6", "-1", "nan", "1e999", "12.5", "\0", "\t",
     "images\\b0.png", "images/b0.png", "images", "..", "/", "\ufeff", "\x85", "ß"]
)  # fmt: skip
LINES = st.lists(st.lists(WORDS, max_size=5).map(" ".join), max_size=4).map("\n".join)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=LINES, after=LINES)
def test_any_other_text_is_read_or_refused(descriptor, before, after):
    descriptor.write_text(f"{before}\n{TEXT}\n{after}", encoding="utf-8")
    with suppress(CalibrationError):
        assert read_emva(descriptor).bits == 12


def test_a_missing_descriptor_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match="nowhere"):
        read_emva(tmp_path / "nowhere.txt")
    assert not is_emva(tmp_path / "nowhere.txt")


def test_images_of_another_kind_are_refused(descriptor, tmp_path):
    target = tmp_path / "images" / "d1.png"
    whole = target.read_bytes()
    target.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CalibrationError, match=r"d1\.png is not a readable image"):
        read_emva(descriptor)
    target.write_bytes(b"no image at all")
    with pytest.raises(CalibrationError, match="unknown format"):
        read_emva(descriptor)
    image(target, 0, shape=(6, 8))
    with pytest.raises(CalibrationError, match=r"d1\.png has 8x6 pixels"):
        read_emva(descriptor)
    image(target, 0, bits=8, dtype=np.uint8)
    with pytest.raises(CalibrationError, match="8 bits per pixel where 12 are declared"):
        read_emva(descriptor)
    Image.new("RGB", SHAPE[::-1]).save(target)
    with pytest.raises(CalibrationError, match="neither colour nor palette"):
        read_emva(descriptor)


def test_eight_and_sixteen_bits_do_not_mix(descriptor, tmp_path):
    for name in ("b0", "b1", "d0"):
        image(tmp_path / "images" / f"{name}.png", 0, bits=8)
    image(tmp_path / "images" / "d1.png", 0, bits=8, dtype=np.uint8)
    descriptor.write_text(TEXT.replace("n 12", "n 8"), encoding="utf-8")
    with pytest.raises(CalibrationError, match="8 bits per pixel and the images before it have 16"):
        read_emva(descriptor)


def made(bits, counts, unit="s"):
    """Readings of random codes: a dark and a bright level per entry of `counts`, its reads."""
    rng = np.random.default_rng(bits)
    dtype = np.uint8 if bits <= 8 else np.uint16
    levels = []
    for place, count in enumerate(counts):
        for dark in (True, False):
            codes = rng.integers(0, 1 << bits, (count, *SHAPE)).astype(dtype)
            light = 0.0 if dark else (100.0 * (place + 1) if unit == "s" else 0.5)
            levels.append(Level(codes, dark, float(place + 1), light, name=f"{place}"))
    slots = None if unit == "s" else 16
    full_scale = None if unit == "s" else 100.0
    return Readings(tuple(levels), bits, full_scale, None, slots, unit, {})


@settings(max_examples=15, deadline=None)
@given(bits=st.integers(1, 16), levels=st.integers(1, 3))
def test_pairs_come_back_as_written(tmp_path_factory, bits, levels):
    readings = made(bits, [2] * levels)
    folder = tmp_path_factory.mktemp("emva") / "set"
    write_emva(folder, readings)
    back = read_emva(folder / DESCRIPTOR)
    assert back.bits == bits

    def order(level):
        return level.dark, level.exposure

    for ours, theirs in zip(
        sorted(readings.levels, key=order), sorted(back.levels, key=order), strict=True
    ):
        np.testing.assert_array_equal(ours.reads, theirs.reads)
        assert theirs.exposure == pytest.approx(ours.exposure)
        assert theirs.light == ours.light


def test_the_level_nearest_half_of_saturation_keeps_all_its_reads(tmp_path):
    readings = made(8, [5, 5])
    low, high = readings.levels[1].reads, readings.levels[3].reads
    low[:], high[:] = 20, 120
    write_emva(tmp_path / "set", readings)
    counts = {(level.dark, level.exposure): len(level.reads) for level in
              read_emva(tmp_path / "set" / DESCRIPTOR).levels}  # fmt: skip
    assert counts == {(False, 1.0): 2, (True, 1.0): 2, (False, 2.0): 5, (True, 2.0): 5}
    listed = (tmp_path / "set" / DESCRIPTOR).read_text().splitlines()
    on_disk = {f"i images/{file.name}" for file in (tmp_path / "set" / "images").iterdir()}
    assert on_disk == {line for line in listed if line.startswith("i ")}


def test_slots_become_nanoseconds_and_light_electrons(tmp_path):
    readings = made(8, [2, 2], unit="slots")
    write_emva(tmp_path / "set", readings, EmvaScale(slot_s=1e-3, electrons_full_scale=1600.0))
    bright = [lv for lv in read_emva(tmp_path / "set" / DESCRIPTOR).levels if not lv.dark]
    assert [level.exposure for level in bright] == pytest.approx([1e-3, 2e-3])
    assert [level.light for level in bright] == pytest.approx([50.0, 100.0])


def test_readings_that_a_descriptor_cannot_express_are_refused(tmp_path):
    tiled = Level(np.zeros((2, *SHAPE), np.uint8), False, 1.0, 0.5, np.ones(SHAPE, np.bool_))
    with pytest.raises(CalibrationError, match="uniform spans"):
        write_emva(tmp_path / "a", Readings((tiled,), 8, None, None, None, "s", {}))
    unknown = Level(np.zeros((2, *SHAPE), np.uint8), False, 1.0, None, name="this one")
    with pytest.raises(CalibrationError, match="this one"):
        write_emva(tmp_path / "a", Readings((unknown,), 8, None, None, None, "s", {}))
    with pytest.raises(CalibrationError, match="nanoseconds"):
        write_emva(tmp_path / "a", made(8, [2], unit="slots"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WriteError, match="exists already"):
        write_emva(tmp_path, made(8, [2]))


def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    save, saved = Image.Image.save, []

    def fail_at_the_third(image, path, *args, **options):
        saved.append(path)
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(image, path, *args, **options)

    monkeypatch.setattr(Image.Image, "save", fail_at_the_third)
    with pytest.raises(WriteError, match="No space left"):
        write_emva(tmp_path / "set", made(8, [2, 2]))
    assert len(saved) == 3
    assert list(tmp_path.iterdir()) == []
