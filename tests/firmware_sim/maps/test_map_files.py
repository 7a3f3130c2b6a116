"""Ratio maps as files, including hostile ones."""

import contextlib
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.maps.checks import MAX_APERTURE, MAX_PIXELS
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap, RatioMapError

SCATTERED = RatioMap.random((9, 13), seed=2)


@pytest.mark.parametrize("suffix", [".npz", ".png", ".PNG"])
def test_a_saved_map_comes_back(tmp_path, suffix):
    path = tmp_path / f"map{suffix}"
    SCATTERED.save(path)
    assert RatioMap.load(path).hash() == SCATTERED.hash()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_npz_keeps_window_level_set_and_aperture(tmp_path):
    aperture = np.random.default_rng(0).random((12, 5, 7)) < 0.5
    levels = np.random.default_rng(1).choice((0, 3, 6), (5, 7))
    ratio_map = RatioMap(levels, 12, (0, 3, 6), aperture)
    ratio_map.save(tmp_path / "map.npz")
    again = RatioMap.load(tmp_path / "map.npz")
    assert again.hash() == ratio_map.hash()
    with np.load(tmp_path / "map.npz", allow_pickle=False) as file:
        assert set(file) == {"levels", "T", "level_set", "mask", "hash"}
        assert file["hash"].tobytes() == ratio_map.hash()
        assert file["mask"].tobytes() == ratio_map.pack_aperture()


def test_an_npz_of_plain_numpy_is_read(tmp_path):
    np.savez(tmp_path / "map.npz", levels=np.asfortranarray([[1, 2, 4], [8, 0, 1]]), T=16)
    assert RatioMap.load(tmp_path / "map.npz").levels.tolist() == [[1, 2, 4], [8, 0, 1]]


def test_a_png_is_indexed_with_one_colour_a_level(tmp_path):
    SCATTERED.save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert (image.mode, image.size) == ("P", (13, 9))
        rgb = np.asarray(image.convert("RGB"))
    for level, colour in LEVEL_COLOURS.items():
        assert (rgb[SCATTERED.levels == level] == colour).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_what_a_paint_program_saves_is_read(tmp_path, mode):
    """Save a map in true colour, or with another palette order."""
    rgb = np.array([LEVEL_COLOURS[level] for level in SCATTERED.levels.ravel()], np.uint8)
    image = Image.fromarray(rgb.reshape(9, 13, 3))
    image = image.quantize(5) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "map.png")
    assert RatioMap.load(tmp_path / "map.png").hash() == SCATTERED.hash()


def test_a_wrong_colour_is_named_with_its_pixel(tmp_path):
    rgb = np.full((3, 4, 3), LEVEL_COLOURS[1], np.uint8)
    rgb[2, 1] = (200, 30, 40)
    Image.fromarray(rgb).save(tmp_path / "map.png")
    with pytest.raises(RatioMapError, match=r"map.png: pixel \(x=1, y=2\).*#c81e28.*0 is #202024"):
        RatioMap.load(tmp_path / "map.png")
    rgba = np.full((3, 4, 4), (*LEVEL_COLOURS[1], 255), np.uint8)
    rgba[0, 3, 3] = 254
    Image.fromarray(rgba).save(tmp_path / "map.png")
    with pytest.raises(RatioMapError, match=r"\(x=3, y=0\).*not fully opaque"):
        RatioMap.load(tmp_path / "map.png")


def test_a_colour_of_a_level_that_the_sensor_lacks_is_wrong(tmp_path):
    RatioMap.uniform(8, (2, 2)).save(tmp_path / "map.png")
    with pytest.raises(RatioMapError, match="not a level"):
        RatioMap.load(tmp_path / "map.png", slots=12, level_set=(0, 1, 2, 4))


@pytest.mark.parametrize(
    ("ratio_map", "name", "said"),
    [
        (SCATTERED, "map.txt", "as .npz or .png, not as '.txt'"),
        (SCATTERED, "map", "no suffix"),
        (SCATTERED, "missing/map.npz", "cannot write .*No such file"),
        (SCATTERED.with_aperture(np.ones((16, 9, 13))), "map.png", "no coded aperture"),
        (RatioMap([[3]], 12, (3,)), "map.png", "level 3 has no colour"),
    ],
)
def test_what_cannot_be_saved_is_said(tmp_path, ratio_map, name, said):
    with pytest.raises((RatioMapError, WriteError), match=said):
        ratio_map.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_map(tmp_path):
    SCATTERED.save(tmp_path / "map.png")
    with pytest.raises(RatioMapError):
        RatioMap([[3]], 12, (3,)).save(tmp_path / "map.png")
    assert RatioMap.load(tmp_path / "map.png").hash() == SCATTERED.hash()


@pytest.mark.parametrize("suffix", [".npz", ".png"])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_refused_or_valid(tmp_path_factory, suffix, data):
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    SCATTERED.save(path)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["flip", "drop", "insert", "truncate"])):
        case "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        case "drop":
            del content[at : at + data.draw(st.integers(1, 9))]
        case "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=5))
        case "truncate":
            del content[at:]
    path.write_bytes(content)
    with contextlib.suppress(RatioMapError):
        assert RatioMap.load(path).levels.size


def test_a_directory_and_a_missing_file_are_said(tmp_path):
    with pytest.raises(RatioMapError, match="cannot read"):
        RatioMap.load(tmp_path)
    with pytest.raises(RatioMapError, match="there is no ratio map"):
        RatioMap.load(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "map").write_bytes(content)
    with pytest.raises(RatioMapError):
        RatioMap.load(tmp_path / "map")


def npz(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            if not isinstance(value, bytes):
                array = io.BytesIO()
                np.save(array, value)
                value = array.getvalue()
            archive.writestr(f"{name}.npy", value)
    return buffer.getvalue()


def npy_claiming(shape, descr="|u1"):
    """Return a .npy that states a huge shape and contains one byte."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\x01"


ONE = np.ones((2, 2), np.uint8)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npz(levels=ONE), "lacks T"),
        (npz(T=16), "lacks levels"),
        (npz(levels=ONE, T=np.array([16, 16])), "T in the .npz is not one integer"),
        (npz(levels=ONE, T=16.0), "not integers"),
        (npz(levels=ONE.astype(float), T=16), "not integers"),
        (npz(levels=np.array([{}]), T=16), "pickled objects"),
        (npz(levels=ONE * 3, T=16), "level 3"),
        (npz(levels=ONE, T=10), "does not divide"),
        (npz(levels=ONE, T=-4), "1 to 255 slots"),
        (npz(levels=ONE, T=16, level_set=ONE), "list of up to 16"),
        (npz(levels=ONE, T=16, mask=np.zeros(7, np.uint8)), "8 bytes, not 7"),
        (npz(levels=ONE, T=16, mask=np.zeros(4, np.uint16)), "packed in uint8"),
        (npz(levels=npy_claiming("(99999999, 99999999)"), T=16), "truncated or damaged"),
        (npz(levels=npy_claiming("(-1, -1)"), T=16), "truncated or damaged"),
        (npz(levels=npy_claiming("(1, 1)", "|O"), T=16), "pickled objects"),
        (npz(levels=b"nonsense", T=16), "not a NumPy array"),
        (npz(levels=ONE, T=16, nask=np.zeros(8, np.uint8)), "holds 'nask'"),
        (npz(levels=ONE, T=16, hash=np.zeros(32, np.uint8)), "its hash differs"),
    ],
)
def test_hostile_npz_are_refused(tmp_path, content, said):
    (tmp_path / "map.npz").write_bytes(content)
    with pytest.raises(RatioMapError, match=said):
        RatioMap.load(tmp_path / "map.npz")


@pytest.mark.parametrize("hashed", [True, False], ids=["with its hash", "as before 0.3"])
def test_a_map_with_any_bit_flipped_is_refused_or_the_same(tmp_path, hashed):
    """Bit rot: some flips take the coded aperture out of the list of members."""
    ratio_map = RatioMap.random((8, 8), seed=1).with_aperture(
        np.eye(8, dtype=bool)[None].repeat(16, 0)
    )
    path = tmp_path / "map.npz"
    ratio_map.save(path)
    if not hashed:
        with np.load(path) as file:
            np.savez_compressed(path, **{name: file[name] for name in file if name != "hash"})
    whole = path.read_bytes()
    for at in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        with contextlib.suppress(RatioMapError):
            assert map_files.decode(bytes(flipped), 16, (0, 1, 2, 4, 8)) == ratio_map, at


@pytest.mark.parametrize(("name", "most"), [("levels", MAX_PIXELS), ("mask", MAX_APERTURE // 8)])
def test_an_array_twice_as_large_as_any_is_refused(tmp_path, name, most):
    large = np.zeros(2 * most, np.uint8)
    (tmp_path / "map.npz").write_bytes(npz(**{"levels": ONE, "T": 16, name: large}))
    with pytest.raises(RatioMapError, match="too large"):
        RatioMap.load(tmp_path / "map.npz")


def test_a_map_without_a_hash_still_loads(tmp_path):
    """As every version before 0.3 wrote it, and as plain NumPy does."""
    np.savez(tmp_path / "map.npz", levels=ONE, T=16, level_set=np.array([0, 1], np.uint8))
    assert RatioMap.load(tmp_path / "map.npz").level_set == (0, 1)


def png(width, height, rows):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png(60000, 60000, bytes(1 << 20)), "60000x60000.*limit"),
        (png(9000, 9000, bytes(1 << 20)), "9000x9000.*limit"),
        (png(70000, 1, bytes(70001)), "70000x1.*limit"),
        (png(64, 64, b"\x00"), "truncated or damaged"),
        (png(2, 2, bytes(6)), "#000000"),
    ],
)
def test_hostile_png_are_refused(tmp_path, content, said):
    (tmp_path / "map.png").write_bytes(content)
    with pytest.raises(RatioMapError, match=said):
        RatioMap.load(tmp_path / "map.png")


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "map.npz").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(RatioMapError, match="128 MiB"):
        RatioMap.load(tmp_path / "map.npz")
