"""Damaged and hostile files: every loader gives what was saved or one sentence, in bounds.

One corpus for all formats: each is truncated, has single bits flipped, and, where it is JSON, has
its values replaced. Archives are also damaged inside, under checksums that are right.
"""

from __future__ import annotations

import io
import json
import re
import resource
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from focalloop.calibration.files.emva import read_emva
from focalloop.calibration.files.tiff_stack import read_tiff_stack
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.reconstruction.bundle import Bundle
from tests.support.made_windows import BOARD, make_window
from tests.support.served import make_map
from tests.support.tiny_bundle import write_tiny_bundle

TRUNCATIONS, FLIPS = 12, 40
MAX_LOAD_S = 5.0
"""Of the processor, which other programs do not make longer."""
MAX_GROWTH_BYTES = 400 << 20
HOSTILE = (None, True, -1, 0, 1 << 31, 10**30, 1e308, "", "\0", "../x", [], {}, [[]], "INFINITY")
"""Values that take the place of every value in a JSON document; the last becomes Infinity."""

RATIO_MAP = RatioMap.random((8, 12), seed=2).with_aperture(np.ones((16, 8, 12), np.bool_))
FRAMES = np.random.default_rng(0).integers(0, 256, (16, 8, 12), np.uint8)
CODES = np.random.default_rng(1).integers(0, 4096, (4, 6, 9), np.uint16)


@dataclass(frozen=True)
class Loader:
    """How to make a sound file or folder at a path, and to load all of it."""

    make: Callable[[Path], object]
    load: Callable[[Path], object]


def capture_at(path: Path) -> None:
    with CaptureWriter(path, BOARD) as writer:
        writer.add(make_window(0, make_map()))


def zipped_bundle(path: Path) -> None:
    folder = write_tiny_bundle(path.with_name("tiny"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)


def emva_at(path: Path) -> None:
    path.mkdir()
    names = [f"{k}.{suffix}" for k, suffix in enumerate(("png", "tif", "png", "tif"))]
    for codes, name in zip(CODES, names, strict=True):
        Image.fromarray(codes).save(path / name)
    lines = ["v 3.0", "n 12 9 6", "b 40000 120.5", *(f"i {n}" for n in names[:2])]
    lines += ["d 40000", *(f"i {n}" for n in names[2:])]
    (path / "data.txt").write_text("\n".join(lines))


def stack_at(path: Path) -> None:
    path.mkdir()
    pages = [Image.fromarray(codes) for codes in CODES]
    pages[0].save(path / "dark.tif", save_all=True, append_images=pages[1:])
    pages[0].save(path / "flat.tif", compression="tiff_lzw")
    table = "file,kind,exposure_s,photons\ndark.tif,dark,0.01,\nflat.tif,flat,0.01,1200\n"
    (path / "levels.csv").write_text(table)


def pgm_at(path: Path) -> None:
    path.mkdir()
    for number, frame in enumerate(FRAMES):
        suffix = ("png", "pgm", "tif", "bmp")[number % 4]
        Image.fromarray(frame).save(path / f"{number}.{suffix}")


def clips_npz(path: Path) -> None:
    np.savez(path, clips=FRAMES[None], names=["a"])


LOADERS = {
    "map.npz": Loader(RATIO_MAP.save, RatioMap.load),
    "map.png": Loader(RatioMap.random((8, 12), seed=2).save, RatioMap.load),
    "profile.json": Loader(preset("scamp5").save, NoiseProfile.load),
    "pattern.npz": Loader(draw_pattern("scamp5", (8, 12), serial="7").save, FixedPattern.load),
    "bundle": Loader(write_tiny_bundle, Bundle.load),
    "bundle.zip": Loader(zipped_bundle, Bundle.load),
    "capture": Loader(capture_at, lambda path: list(Capture.load(path).windows())),
    "emva": Loader(emva_at, lambda path: read_emva(path / "data.txt")),
    "stack": Loader(stack_at, lambda path: read_tiff_stack(path, bits=12)),
    "clips.npz": Loader(clips_npz, load_clips),
    "clips.mat": Loader(
        lambda path: savemat(path, {"orig": np.moveaxis(FRAMES, 0, 2)}, do_compression=True),
        load_clips,
    ),
    "clips.npy": Loader(lambda path: np.save(path, FRAMES), load_clips),
    "frames": Loader(pgm_at, load_clips),
}


@pytest.mark.parametrize("name", LOADERS)
def test_a_damaged_file_loads_or_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    loader = LOADERS[name]
    sound = tmp_path / name
    loader.make(sound)
    memory = peak_bytes()
    files = [file for file in sorted(sound.rglob("*")) if file.is_file()] or [sound]
    # Of those that differ by their number, one: each is read as the others.
    for file in {re.sub(r"\d", "", file.name): file for file in files}.values():
        whole = file.read_bytes()
        for what, content in damages(whole):
            file.write_bytes(content)
            load(loader, sound, f"{file.name}, {what}")
        file.write_bytes(whole)
    assert peak_bytes() - memory < MAX_GROWTH_BYTES


def load(loader: Loader, path: Path, what: str) -> None:
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as the command line does
            loader.load(path)
    except FocalloopError as error:
        text = str(error)
        assert text, what
        assert "\n" not in text, f"{what}: {text}"
        assert len(text) < 1000, f"{what}: {text}"
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error
    assert time.process_time() - start < MAX_LOAD_S, what


def damages(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what was done, and the bytes that are left."""
    rng = np.random.default_rng(len(whole))
    for length in sorted({0, *rng.integers(0, len(whole), TRUNCATIONS).tolist()}):
        yield f"cut to {length}", whole[:length]
    for at in rng.integers(0, 8 * len(whole), FLIPS).tolist():
        yield f"bit {at} flipped", flipped(whole, at)
    if whole[:2] == b"PK":
        yield from repacked(whole, rng)
    if whole[:4] == b"II*\0":
        yield from other_tags(whole)
    if whole[:1] == b"{":
        yield from other_values(json.loads(whole))


def other_tags(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Take each tag of a TIFF away, such as its width, or give it another type or value."""
    first = int.from_bytes(whole[4:8], "little")
    for index in range(int.from_bytes(whole[first : first + 2], "little")):
        at = first + 2 + 12 * index
        tag = int.from_bytes(whole[at : at + 2], "little")
        yield f"without tag {tag}", whole[:at] + b"\xf0\xf0" + whole[at + 2 :]
        for kind in (2, 5, 12):
            yield f"tag {tag} of type {kind}", whole[: at + 2] + bytes([kind]) + whole[at + 3 :]
        for value in (0, 1 << 16, (1 << 32) - 1):
            content = whole[: at + 8] + value.to_bytes(4, "little") + whole[at + 12 :]
            yield f"tag {tag} = {value}", content


def flipped(whole: bytes, at: int) -> bytes:
    content = bytearray(whole)
    content[at // 8] ^= 1 << at % 8
    return bytes(content)


def repacked(whole: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Damage members, and give the archive right checksums; also pack it by every method."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield f"method {method}", packed(members, method)
    for name, content in members.items():
        head = min(len(content), 128)  # where an array states its type and shape
        yield f"{name} empty", packed(members | {name: b""})
        yield f"{name} cut", packed(members | {name: content[: head - 1]})
        for at in rng.integers(0, 8 * head, FLIPS // 2).tolist():
            yield f"bit {at} of {name}", packed(members | {name: flipped(content, at)})
        for brackets in (b"(" * 5000, b"{'shape': (1" + b"0" * 5000, b"'", b"\0" * 64):
            broken = b"\x93NUMPY\x01\x00" + len(brackets).to_bytes(2, "little") + brackets
            yield f"{name} with the header {brackets[:12]!r}", packed(members | {name: broken})


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def other_values(document: Any) -> Iterator[tuple[str, bytes]]:
    for place in places(document):
        for value in HOSTILE:
            changed = json.loads(json.dumps(document))
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            text = json.dumps(changed).replace('"INFINITY"', "Infinity").replace("1e+308", "1e999")
            yield f"{'.'.join(map(str, place))} = {value!r}", text.encode()


def places(document: Any) -> Iterator[tuple[Any, ...]]:
    keys = document if isinstance(document, dict) else range(min(len(document), 2))
    for key in keys:
        yield (key,)
        if isinstance(document[key], dict | list):
            yield from ((key, *rest) for rest in places(document[key]))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
