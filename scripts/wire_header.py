"""Write the constants of the wire for the C firmware, from `focalloop.firmware_sim.wire`.

    python -m scripts.wire_header

writes ``firmware_sim/reference_firmware/include/fl_wire.h``: types, codes, limits, and for every
body of fixed layout the offset of each field and the size. Nothing of the protocol is written down
twice.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.wire import uploads, windows
from focalloop.firmware_sim.wire.layout import FixedBody

HEADER = Path(__file__).parents[1] / "firmware_sim" / "reference_firmware" / "include" / "fl_wire.h"

ENUMS: dict[str, type[IntEnum | IntFlag]] = {
    "MSG": wire.MessageType,
    "ERR": wire.ErrorCode,
    "FEATURE": wire.Feature,
    "STATE": wire.BoardState,
    "KIND": wire.WindowKind,
    "UPLOAD": wire.UploadKind,
    "LOG": wire.LogLevel,
}

NUMBERS = (
    "PROTOCOL_VERSION",
    "DEFAULT_MAX_PAYLOAD",
    "MIN_MAX_PAYLOAD",
    "FRAME_OVERHEAD",
    "FLAG_RESPONSE",
    "FLAG_ERROR",
    "MAX_IN_FLIGHT",
    "ANSWER_CACHE",
    "BITMAP_CHUNKS",
    "HASH_BYTES",
    "MAP_HASH_PREFIX_BYTES",
)

SIZES = {"B": 1, "H": 2, "I": 4, "Q": 8, "f": 4}


def layouts() -> Iterator[tuple[str, str, list[str]]]:
    """Message, struct format and field names of every part of a body that has a fixed layout."""
    for kind in vars(wire).values():
        if isinstance(kind, type) and issubclass(kind, FixedBody):
            names = [item.name for item in dataclasses.fields(kind)]
            yield kind.__name__, kind.LAYOUT.format, names
    yield "HelloRequest", wire.HelloRequest.LAYOUT.format, ["protocol", "max_payload"]
    names = [item.name for item in dataclasses.fields(wire.HelloAnswer)]
    cut = names.index("level_set")
    yield "HelloAnswer", wire.HelloAnswer.HEAD.format, ["protocol", *names[:cut]]
    yield "HelloAnswerTail", wire.HelloAnswer.TAIL.format, names[cut + 1 : cut + 6]
    yield "UploadChunkRequest", uploads._CHUNK.format, ["kind", "offset"]
    yield "Fragment", windows._FRAGMENT.format, ["window", "offset"]
    yield "ErrorAnswer", wire.ErrorAnswer.LAYOUT.format, ["code"]
    yield "Log", "<B", ["level"]


def fields(layout: str) -> Iterator[int]:
    """Size of each field of a struct format in bytes."""
    for count, letter in re.findall(r"(\d*)([BHIQfs])", layout):
        yield int(count) if letter == "s" else SIZES[letter]


def macro(message: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", message).upper()


def header() -> str:
    """Text of the header."""
    lines = [
        "/* Constants of the wire protocol (docs/wire-protocol.md).",
        " * Written by scripts/wire_header.py from firmware_sim/wire: change them there. */",
        "#ifndef FL_WIRE_H",
        "#define FL_WIRE_H",
        "",
    ]
    lines += [f"#define FL_{name} {getattr(wire, name)}u" for name in NUMBERS]
    for prefix, members in ENUMS.items():
        lines += ["", *(f"#define FL_{prefix}_{item.name} {item.value}u" for item in members)]
    listed = []
    for message, layout, names in layouts():
        at = 0
        lines.append("")
        for name, size in zip(names, fields(layout), strict=True):
            lines.append(f"#define FL_{macro(message)}_{name.upper()} {at}u")
            listed.append(f'X("{message}", "{name}", {at}, {size})')
            at += size
        lines.append(f"#define FL_{macro(message)}_SIZE {at}u")
    lines += ["", "/* Every field above: X(message, field, offset, bytes). */"]
    lines += ["#define FL_WIRE_FIELDS(X) \\", *(f"    {item} \\" for item in listed)]
    lines[-1] = lines[-1].removesuffix(" \\")
    return "\n".join([*lines, "", "#endif", ""])


if __name__ == "__main__":
    HEADER.write_text(header(), encoding="utf-8")
