from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from focalloop.firmware_sim.fixed_pattern import (
    MAX_DEFECT_SHARE,
    Defect,
    FixedPattern,
    FixedPatternError,
)

OFFSET = np.linspace(-0.1, 0.1, 20 * 30, dtype=np.float32).reshape(20, 30)
GAIN = (1 + 2 * OFFSET).astype(np.float32)
DEFECTS = np.zeros((20, 30), np.uint8)
DEFECTS[3, 4:7] = Defect.HOT, Defect.DEAD, Defect.STUCK
PATTERN = FixedPattern(OFFSET, GAIN, DEFECTS, "A-1")


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: st.tuples(
            arrays.arrays(np.float32, shape, elements=st.floats(-10, 10, width=32)),
            arrays.arrays(np.float32, shape, elements=st.floats(0.125, 10, width=32)),
        )
    ),
    st.none()
    | st.text(st.characters(exclude_categories=["C", "Z"], codec="utf-8"), min_size=1).filter(
        lambda text: text.isprintable() and len(text.encode()) <= 60
    ),
)
def test_a_file_holds_what_was_saved(tmp_path_factory, maps, serial):
    path = tmp_path_factory.mktemp("pattern") / "pattern.npz"
    saved = FixedPattern(*maps, np.zeros(maps[0].shape, int), serial)
    saved.save(path)
    loaded = FixedPattern.load(path)
    assert loaded.serial == saved.serial
    for name in ("offset", "gain", "defects"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
        assert not getattr(loaded, name).flags.writeable


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gain": GAIN[:-1]}, r"one shape .* gain \(19, 30\)"),
        ({"offset": OFFSET[0], "gain": GAIN[0], "defects": DEFECTS[0]}, "one shape"),
        ({"offset": OFFSET.astype(str)}, "offset .* number"),
        ({"offset": np.where(OFFSET > 0.099, np.nan, OFFSET)}, r"x=27, y=19.* offset nan"),
        ({"offset": OFFSET + 10}, "offset .* -10 to 10"),
        ({"gain": np.where(DEFECTS, GAIN, np.inf)}, "x=0, y=0.* gain inf"),
        ({"gain": np.where(DEFECTS == Defect.DEAD, np.nan, GAIN)}, "x=5, y=3.* gain nan"),
        ({"gain": GAIN - 1}, "gain .* 0.1 to 10"),
        ({"defects": DEFECTS + 2}, "integers 0 to 3"),
        ({"defects": DEFECTS.astype(float)}, "integers 0 to 3"),
        ({"serial": ""}, "1 to 60 bytes"),
        ({"serial": "é" * 31}, "1 to 60 bytes"),
        ({"serial": "A-1\0"}, r"printable text, not 'A-1\\x00'"),
        ({"serial": "A\n1"}, "printable text"),
    ],
)
def test_an_invalid_pattern_is_refused(changes, said):
    given = {"offset": OFFSET, "gain": GAIN, "defects": DEFECTS, "serial": None} | changes
    with pytest.raises(FixedPatternError, match=said):
        FixedPattern(**given)


def test_a_dead_pixel_may_have_any_gain():
    gain = np.where(DEFECTS == Defect.DEAD, 0, GAIN)
    assert FixedPattern(OFFSET, gain, DEFECTS).gain[3, 5] == 0


def test_more_defects_than_neighbours_repair_are_refused_with_their_number():
    most = round(MAX_DEFECT_SHARE * OFFSET.size)
    defects = np.zeros(OFFSET.size, np.uint8)
    defects[:most] = Defect.HOT
    FixedPattern(OFFSET, GAIN, defects.reshape(OFFSET.shape))
    defects[most] = Defect.STUCK
    with pytest.raises(FixedPatternError, match=r"31 of 600 .*30 hot, 0 dead, 1 stuck.* 5 %"):
        FixedPattern(OFFSET, GAIN, defects.reshape(OFFSET.shape))


@pytest.mark.parametrize(
    ("shape", "serial", "said"),
    [((30, 20), "A-1", "30x20 pixels, but the array has 20x30"), ((20, 30), "B-2", "A-1, not B-2")],
)
def test_it_fits_its_own_sensor_alone(shape, serial, said):
    with pytest.raises(FixedPatternError, match=said):
        PATTERN.check_fits(shape, serial)


def test_a_serial_number_that_is_not_known_is_no_other_one():
    PATTERN.check_fits((20, 30), "A-1")
    PATTERN.check_fits((20, 30), "")
    FixedPattern(OFFSET, GAIN, DEFECTS).check_fits((20, 30), "B-2")


def file_of(tmp_path: Path, **changes: object) -> Path:
    """The file of PATTERN, with these arrays changed, or left out where they are None."""
    PATTERN.save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as whole:
        arrays = {name: whole[name] for name in whole.files} | changes
    path = tmp_path / "pattern.npz"
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, allow_pickle=True, **kept)
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "schema_version 2.* reads 1: update"),
        ({"schema_version": None}, "not a fixed pattern"),
        ({"gain": None}, "'gain'"),
        ({"extra": 1}, "'extra'"),
        ({"serial": 7}, "not one text"),
        ({"offset": np.array([None])}, "pickled"),
        ({"offset": OFFSET.astype(np.float64) * np.nan}, "offset nan"),
        ({"offset": np.full(OFFSET.shape, 1e300)}, "offset inf"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, changes, said):
    with pytest.raises(FixedPatternError, match=f"pattern.npz.*{said}"):
        FixedPattern.load(file_of(tmp_path, **changes))


def test_a_file_that_unpacks_to_more_than_any_sensor_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("focalloop.firmware_sim.fixed_pattern.MAX_PIXELS", 1000)
    path = file_of(tmp_path, offset=np.zeros((200, 200), np.float32))
    with pytest.raises(FixedPatternError, match="160128 bytes of offset, too large"):
        FixedPattern.load(path)
    monkeypatch.setattr("focalloop.firmware_sim.fixed_pattern.MAX_FILE_BYTES", 1000)
    with pytest.raises(FixedPatternError, match=r"pattern.npz exceeds .* too large"):
        FixedPattern.load(path)


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"text"])
def test_a_file_that_is_none_is_refused(tmp_path, data):
    (tmp_path / "pattern.npz").write_bytes(data)
    with pytest.raises(FixedPatternError, match=r"the fixed pattern .* not a readable zip"):
        FixedPattern.load(tmp_path / "pattern.npz")


@pytest.mark.parametrize("name", ["missing.npz", "\0"])
def test_a_file_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(FixedPatternError, match="cannot read the fixed pattern"):
        FixedPattern.load(tmp_path / name)


def test_every_truncated_file_is_refused(tmp_path):
    PATTERN.save(tmp_path / "whole.npz")
    data = (tmp_path / "whole.npz").read_bytes()
    for size in range(0, len(data), 97):
        (tmp_path / "cut.npz").write_bytes(data[:size])
        with pytest.raises(FixedPatternError):
            FixedPattern.load(tmp_path / "cut.npz")
