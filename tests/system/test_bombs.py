"""Small files that claim to be large: refused in one sentence, before they fill the memory."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

MAX_PEAK_MIB = 600
"""Limit of the memory of the whole process, of which imports and libraries take 100 to 150."""

PROGRAM = """
import importlib, json, re, sys, warnings
from pathlib import Path
from focalloop.firmware_sim.errors import FocalloopError

warnings.simplefilter("ignore")
module, name = sys.argv[1].split(":")
load = importlib.import_module(module)
for part in name.split("."):
    load = getattr(load, part)
told = None
try:
    load(Path(sys.argv[2]))
except FocalloopError as error:
    told = str(error)
# Not ru_maxrss, which a process inherits from the one that starts it.
peak_kib = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps([told, int(peak_kib) >> 10]))
"""
MAP = "focalloop.firmware_sim.maps.ratio_map:RatioMap.load"
CLIPS = "focalloop.firmware_sim.scenes.clips:load_clips"
STACK = "focalloop.calibration.files.tiff_stack:read_tiff_stack"
BUNDLE = "focalloop.host.reconstruction.bundle:Bundle.load"


def zeros(count: int, shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(count)


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def ratio_map(**members: tuple[int, str]) -> Callable[[Path], None]:
    """Return what writes a map with other members, each of so many zeros of a shape."""

    def write(path: Path) -> None:
        small = {"levels": zeros(4, "(2, 2)"), "T": zeros(0, "()") + b"\x10"}
        large = {name: zeros(*what) for name, what in members.items()}
        path.write_bytes(packed({f"{name}.npy": body for name, body in (small | large).items()}))

    return write


def numbers_wider_than_their_class(path: Path) -> Path:
    """A MATLAB variable of bytes that are stored as doubles, all of which are zero."""
    path = path.with_suffix(".mat")
    packing = zlib.compressobj(1)
    size = 8 * 64 * 128 * 8192
    head = struct.pack("<8I", 6, 8, 9, 0, 5, 12, 64, 128) + struct.pack("<2I", 8192, 0)
    head += struct.pack("<HH4s", 1, 4, b"orig") + struct.pack("<2I", 9, size)
    body = packing.compress(struct.pack("<2I", 14, len(head) + size) + head)
    body += b"".join(packing.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packing.flush()
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    path.write_bytes(header + struct.pack("<2I", 15, len(body)) + body)
    return path


def many_members(path: Path) -> None:
    """List a million members in a file that holds none."""
    entry = struct.pack("<4s24xH16x", b"PK\1\2", 8) + b"same.npy"
    count = (1 << 26) // len(entry)
    path.write_bytes(
        entry * count + struct.pack("<4s4xHHIIH", b"PK\5\6", *[9] * 2, count * len(entry), 0, 0)
    )


def pages_of_one_strip(path: Path) -> None:
    """A TIFF of 2000 pages of 4000x4000 pixels, all of which are the same deflated strip."""
    side, strip = 4000, zlib.compress(bytes(4000 * 4000))
    content, pointer = bytearray(b"II*\0" + bytes(4) + strip), 4
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 273: 8, 278: side, 279: len(strip)}
    for _ in range(2000):
        content[pointer : pointer + 4] = len(content).to_bytes(4, "little")
        content += struct.pack("<H", len(tags))
        content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        pointer = len(content)
        content += bytes(4)
    in_a_stack(path, bytes(content))


def huge_png(path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (14000, 14000)).save(buffer, "PNG")
    in_a_stack(path, buffer.getvalue())


def in_a_stack(path: Path, image: bytes) -> None:
    path.mkdir()
    (path / "image").write_bytes(image)
    (path / "levels.csv").write_text("file,kind,exposure_s\nimage,dark,0.01\nimage,flat,0.01\n")


BOMBS: dict[str, tuple[str, Callable[[Path], Path | None], str]] = {
    "levels": (MAP, ratio_map(levels=(1 << 28, "(16384, 16384)")), "levels, too large"),
    "T": (MAP, ratio_map(T=(1 << 28, f"({1 << 28},)")), "T, too large"),
    "mask": (MAP, ratio_map(mask=(1 << 28, f"({1 << 28},)")), "mask, too large"),
    "aperture": (
        MAP,
        ratio_map(levels=(1 << 26, "(8192, 8192)"), mask=(1 << 24, f"({1 << 24},)")),
        "exceeds the limit",
    ),
    "another array": (MAP, ratio_map(more=(1 << 28, f"({1 << 28},)")), "'more'"),
    "members": (MAP, many_members, "list of members"),
    "bundle": (
        BUNDLE,
        lambda path: path.write_bytes(packed({"bundle.json": bytes(300 << 20)})) and None,
        "too large",
    ),
    "names": (
        CLIPS,
        lambda path: (
            path.write_bytes(
                packed(
                    {"clips.npy": zeros(16, "(1, 16, 1, 1)"), "names.npy": zeros(1 << 28, "(1,)")}
                )
            )
            and None
        ),
        "too large",
    ),
    "numbers": (CLIPS, numbers_wider_than_their_class, "of float64 where 67108864 at most belong"),
    "pages": (STACK, pages_of_one_strip, "far more than images of a sensor"),
    "pixels": (STACK, huge_png, "not a readable image"),
}


@pytest.mark.parametrize(("load", "make", "said"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_in_bounded_memory(
    tmp_path: Path, load: str, make: Callable[[Path], Path | None], said: str
) -> None:
    path = tmp_path / ("clips.npz" if load == CLIPS else "bomb")
    path = make(path) or path
    words = [sys.executable, "-c", PROGRAM, load, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told, peak_mib = json.loads(done.stdout)
    assert said in str(told)
    assert peak_mib < MAX_PEAK_MIB, told


def test_the_largest_map_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    ratio_map(levels=(1 << 23, "(2048, 4096)"), mask=(1 << 24, f"({1 << 24},)"))(path)
    words = [sys.executable, "-c", PROGRAM, MAP, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told, peak_mib = json.loads(done.stdout)
    assert told is None
    assert peak_mib < MAX_PEAK_MIB, told
