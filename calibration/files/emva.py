r"""EMVA 1288 descriptors: a text file that lists images by exposure and photon count.

The exchange format for EMVA 1288 measurements (``docs/calibration.md`` shows an example). Each
line is a statement whose first word is its kind:

=====================  ============================================================
``v 3.0``              release of the standard
``n 12 656 494``       bits, width and height of every image
``b 40000.0 120.0``    a bright level: exposure in ns, photons per pixel
``d 40000.0``          a dark level: exposure in ns
``i images\a.png``      an image of the level above it
``l name value``       a line of the printed report; ignored
=====================  ============================================================
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.files.images import ImageReader, Progress
from focalloop.calibration.files.text import decoded, named, number, read_text
from focalloop.calibration.readings import Level, Readings
from focalloop.firmware_sim.files import folder_written_whole

RELEASE = "3.0"
"""Release of the standard in written descriptors: the one that the standard's tools read."""

DESCRIPTOR = "EMVA1288_Data.txt"
"""Name of a descriptor written by `write_emva`."""

_Condition = tuple[bool, float, float | None]
"""Whether dark, exposure in ns, and photons per pixel: images that share them are one level."""


@dataclass
class _Group:
    """Images of one level, in the order of the descriptor."""

    dark: bool
    exposure_ns: float
    photons: float | None
    line: int
    images: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        if self.dark:
            return f"the dark level of {self.exposure_ns / 1e6:g} ms"
        return f"the level of {self.exposure_ns / 1e6:g} ms and {self.photons:g} photons"


@dataclass
class _Descriptor:
    """Contents of the text file."""

    release: str = ""
    bits: int = 0
    shape: tuple[int, int] = (0, 0)
    groups: list[_Group] = field(default_factory=list)


def read_emva(path: str | Path, progress: Progress | None = None) -> Readings:
    """Read an EMVA 1288 descriptor and its images.

    Groups of the same kind, exposure and photon count become one level; an image listed twice in
    it is one read. Exposures become seconds.

    Parameters
    ----------
    path : str or Path
        The descriptor; image paths are relative to its folder, with either kind of slash.
    progress : callable, optional
        Takes the number of images read and in total.

    Raises
    ------
    CalibrationError
        If the descriptor or an image is missing or invalid; the text names the line or file.
    """
    path = Path(path)
    data, text = read_text(path, "the EMVA 1288 descriptor")
    descriptor = _parse(path, text)
    reader = ImageReader(descriptor.bits, descriptor.shape)
    total = sum(len(group.images) for group in descriptor.groups)
    levels, done = [], 0
    for group in descriptor.groups:
        reads = reader.read([named(path.parent, image) for image in group.images])
        done += len(group.images)
        if progress is not None:
            progress(done, total)
        levels.append(
            Level(
                reads=reads,
                dark=group.dark,
                exposure=group.exposure_ns / 1e9,
                light=0.0 if group.dark else group.photons,
                name=group.name,
            )
        )
    return Readings(
        levels=tuple(levels),
        bits=descriptor.bits,
        full_scale_dn=None,
        black_level_dn=None,
        slots=None,
        exposure_unit="s",
        origin={
            "source": "EMVA 1288 descriptor",
            "release": descriptor.release,
            "file": path.name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "images": reader.summary(),
        },
    )


def is_emva(path: str | Path) -> bool:
    """Return whether a file looks like a descriptor: text whose first word is a statement's."""
    try:
        with Path(path).open("rb") as file:
            head = decoded(file.read(4096))
    except OSError:
        return False
    first = next((kind for _, kind, _ in _statements(head)), "")
    return first in ("v", "n", "b", "d", "l")


def _statements(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, kind and the rest of each statement; semicolons are as good as spaces."""
    for line_number, line in enumerate(text.splitlines(), 1):
        plain = line.strip().strip(";").strip()
        if plain and not plain.startswith("#"):
            kind, *rest = re.split(r"[\s;]+", plain, maxsplit=1)
            yield line_number, kind.lower(), rest[0] if rest else ""


def _parse(path: Path, text: str) -> _Descriptor:
    found = _Descriptor()
    merged: dict[_Condition, _Group] = {}
    current: _Group | None = None
    for line, kind, rest in _statements(text):
        where = f"line {line} of {path}"
        match kind:
            case "v":
                found.release = rest
            case "l":
                pass
            case "n":
                if found.bits:
                    raise CalibrationError(f"{where} is a second line `n`: a descriptor has one")
                found.bits, width, height = (int(n) for n in _numbers(where, "n", rest, 3))
                found.shape = (height, width)
                if not 1 <= found.bits <= 16:
                    raise CalibrationError(
                        f"{where} declares {found.bits} bits: it must be 1 to 16"
                    )
            case "b" | "d":
                values = _numbers(where, kind, rest, 2 if kind == "b" else 1)
                key = (kind == "d", values[0], values[1] if kind == "b" else None)
                current = merged.setdefault(key, _Group(*key, line))
            case "i":
                if current is None:
                    raise CalibrationError(
                        f"{where} lists an image before any level: put a line `b` or `d` before it"
                    )
                if not rest:
                    raise CalibrationError(f"{where} names no image: write its path after `i`")
                image = rest.replace("\\", "/")
                if image not in current.images:
                    current.images.append(image)
            case _:
                raise CalibrationError(
                    f"{where} starts with {kind[:20]!r}: the lines of an EMVA 1288 descriptor "
                    "start with v, n, b, d, i, l or #"
                )
    if not found.bits:
        raise CalibrationError(
            f"{path} has no line `n BITS WIDTH HEIGHT`: add it, an EMVA 1288 descriptor needs one"
        )
    if not merged:
        raise CalibrationError(f"{path} lists no levels: add lines `b` and `d` with their images")
    found.groups = list(merged.values())
    for group in found.groups:
        if not group.images:
            raise CalibrationError(
                f"line {group.line} of {path} lists no images of {group.name}: add lines `i` below"
            )
    return found


_FORMS = {"n": "n BITS WIDTH HEIGHT", "b": "b NANOSECONDS PHOTONS", "d": "d NANOSECONDS"}


def _numbers(where: str, kind: str, rest: str, count: int) -> list[float]:
    # "12, 656, 494" has commas between the numbers, "0,5" within.
    found = [number(word) for word in re.split(r",?[\s;]+", rest.strip(" ,"))]
    numbers = [n for n in found if n is not None]
    if len(numbers) != count or len(numbers) != len(found):
        raise CalibrationError(f"{where} does not have the form `{_FORMS[kind]}`")
    return numbers


@dataclass(frozen=True, kw_only=True)
class EmvaScale:
    """Converts the slots and signals of a capture to the units of a descriptor.

    Parameters
    ----------
    slot_s : float
        Duration of a slot, seconds.
    electrons_full_scale : float
        Electrons at signal 1.0, ``1 / s_ss^2``. A descriptor states photons, but the quantum
        efficiency of a board is not known, so it is taken as 1 and electrons are written.
    """

    slot_s: float
    electrons_full_scale: float


def write_emva(folder: str | Path, readings: Readings, scale: EmvaScale | None = None) -> None:
    """Write readings as a descriptor with PNG images, for other programs that read EMVA 1288.

    The first two reads of every level become its pair for temporal noise. All reads of the level
    nearest to half of saturation, and of the dark level of its exposure, become the series for
    spatial noise if there are more than two. The format has no place for the other reads.

    Parameters
    ----------
    folder : str or Path
        Folder to make; it must not exist yet, and appears whole or not at all.
    readings : Readings
        Readings whose levels measured all pixels.
    scale : EmvaScale, optional
        Required where exposures are in slots.

    Raises
    ------
    CalibrationError
        If the readings cannot be expressed as a descriptor.
    WriteError
        If the folder exists, or cannot be written.
    """
    if any(level.pixels is not None for level in readings.levels):
        raise CalibrationError(
            "an EMVA 1288 descriptor holds whole images, but these levels share one map: take "
            "the capture with uniform spans"
        )
    merged: dict[_Condition, list[Level]] = {}
    for level in readings.levels:
        merged.setdefault(_condition(level, readings, scale), []).append(level)
    with folder_written_whole(folder) as partial:
        _write(partial, readings, merged)


def _condition(level: Level, readings: Readings, scale: EmvaScale | None) -> _Condition:
    """Return kind, exposure in ns, and photons per pixel of a level."""
    if readings.exposure_unit == "s":
        if not level.dark and level.light is None:
            raise CalibrationError(
                f"the photons of {level.name} are not known, and an EMVA 1288 descriptor states "
                "them for every bright level"
            )
        return level.dark, round(level.exposure * 1e9, 3), None if level.dark else level.light
    if scale is None or not readings.slots or not readings.full_scale_dn:
        raise CalibrationError(
            "an EMVA 1288 descriptor is in nanoseconds and photons: give the duration of a slot "
            "and the electrons at full scale"
        )
    exposure_ns = round(level.exposure * scale.slot_s * 1e9, 3)
    if level.dark:
        return True, exposure_ns, None
    if level.light is not None:
        signal = level.light * level.exposure / readings.slots
    else:
        signal = (level.reads.mean() - (readings.black_level_dn or 0.0)) / readings.full_scale_dn
    return False, exposure_ns, round(float(signal) * scale.electrons_full_scale, 3)


def _write(
    folder: Path,
    readings: Readings,
    merged: dict[_Condition, list[Level]],
) -> None:
    (folder / "images").mkdir()
    height, width = readings.levels[0].reads.shape[1:]
    lines = [
        "# Written by focalloop.",
        *([] if readings.exposure_unit == "s" else ["# Photons, for a quantum efficiency of 1."]),
        f"v {RELEASE}",
        f"n {readings.bits} {width} {height}",
    ]
    # Bright levels first, then by exposure: the order of the sets that the standard's group offers.
    ordered = sorted(merged, key=lambda key: (key[0], key[1], key[2] or 0.0))
    names = {key: f"{'d' if key[0] else 'b'}_{n:03d}" for n, key in enumerate(ordered)}
    half = (1 << readings.bits) / 2
    middle = min(
        (key for key in ordered if not key[0]),
        key=lambda key: abs(float(np.mean([level.reads.mean() for level in merged[key]])) - half),
        default=None,
    )
    series = () if middle is None else (middle, (True, middle[1], None))
    groups = [(key, 2) for key in ordered]
    groups += [(key, _reads(merged[key])) for key in series if _reads(merged.get(key, [])) > 2]
    for key, count in groups:
        dark, exposure_ns, photons = key
        lines.append(f"d {exposure_ns}" if dark else f"b {exposure_ns} {photons}")
        reads = islice((read for level in merged[key] for read in level.reads), count)
        for index, read in enumerate(reads):
            name = f"images/{names[key]}_snap_{index:03d}.png"
            Image.fromarray(np.ascontiguousarray(read)).save(folder / name)
            lines.append(f"i {name}")
    (folder / DESCRIPTOR).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _reads(levels: Sequence[Level]) -> int:
    return sum(len(level.reads) for level in levels)
