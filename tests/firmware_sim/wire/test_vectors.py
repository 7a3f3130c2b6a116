"""Code, test vectors and specification agree, and the vectors follow from the specification.

Beside the comparison with what the generator writes, the vectors are checked here against plain
restatements of the document that share nothing with the package: COBS, CRC, hashes, read plans.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import struct
from itertools import chain
from typing import Any

import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire.layout import FixedBody
from scripts import vectors as generator
from scripts.vectors import DOCUMENT, EXAMPLE, VECTORS

DOCUMENTS = generator.documents()
DOCUMENT_TEXT = DOCUMENT.read_text(encoding="utf-8")


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_code_reproduces_the_vectors(name: str) -> None:
    assert DOCUMENTS[name] == load(name)


def uncobs(code: bytes) -> bytes:
    """Decode basic COBS, as in the paper of Cheshire and Baker."""
    out = bytearray()
    at = 0
    while at < len(code):
        length = code[at]
        out += code[at + 1 : at + length]
        at += length
        if length < 255 and at < len(code):
            out.append(0)
    assert at == len(code)
    return bytes(out)


def crc32(data: bytes) -> int:
    """CRC-32 bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_crc_of_the_document() -> None:
    assert crc32(b"123456789") == 0xCBF43926


@pytest.mark.parametrize("vector", load("frames.json")["frames"], ids=lambda v: v["name"])
def test_frames_are_as_the_document_says(vector: dict[str, Any]) -> None:
    line = bytes.fromhex(vector["line"])
    assert (line[0], line[-1]) == (0, 0)
    assert 0 not in line[1:-1]
    content = uncobs(line[1:-1])
    version, type_, flags, sequence, length = struct.unpack_from("<BBBHH", content)
    assert (version, type_) == (vector["version"], vector["type"])
    assert (flags, sequence) == (vector["flags"], vector["sequence"])
    assert content[7:-4].hex() == vector["body"]
    assert length == len(content) - 11
    assert content[-4:] == struct.pack("<I", crc32(content[:-4]))


@pytest.mark.parametrize("cut", [1, 7])
@pytest.mark.parametrize("vector", load("frames.json")["streams"], ids=lambda v: v["name"])
def test_streams_are_decoded_however_they_are_cut(vector: dict[str, Any], cut: int) -> None:
    decoder = wire.FrameDecoder(vector["max_payload"])
    line = bytes.fromhex(vector["line"])
    frames = []
    for start in range(0, len(line), cut):
        frames += decoder.feed(line[start : start + cut])
    assert [generator.frame_fields(frame) for frame in frames] == vector["frames"]
    assert decoder.bad == vector["bad"]


def test_messages_unpack_to_their_fields() -> None:
    vectors = load("messages.json")
    for vector in vectors:
        message = getattr(wire, vector["message"]).unpack(bytes.fromhex(vector["body"]))
        assert generator.field_values(message) == vector["fields"]
    with_layout = {kind.__name__ for kind in FixedBody.__subclasses__()}
    assert with_layout - {vector["message"] for vector in vectors} == set()


@pytest.mark.parametrize("vector", load("maps.json"), ids=lambda v: v["name"])
def test_map_objects_and_hashes_are_as_the_document_says(vector: dict[str, Any]) -> None:
    levels = vector["levels"]
    level_set = bytes(vector["level_set"])
    height, width = len(levels), len(levels[0])
    start = bytes([vector["slots"], len(level_set)]) + level_set
    data = bytes.fromhex(vector["map_object"])
    assert data.startswith(start + struct.pack("<HH", height, width))
    h, w = struct.unpack_from("<HH", data, len(start) + 4)
    cells = data[len(start) + 8 :]
    assert len(cells) == (h * w + 1) // 2
    indices = [cells[i // 2] >> 4 * (i % 2) & 15 for i in range(2 * len(cells))]
    for y in range(height):
        for x in range(width):
            assert level_set[indices[y % h * w + x % w]] == levels[y][x]
    text = start + struct.pack("<HH", height, width) + bytes(chain(*levels))
    if vector["aperture"] is None:
        text += b"\0"
    else:
        bits = [bit for plane in vector["aperture"] for row in plane for bit in row]
        mask = bytearray((len(bits) + 7) // 8)
        for i, bit in enumerate(bits):
            mask[i // 8] |= bit << i % 8
        assert mask.hex() == vector["mask_object"]
        text += b"\1" + mask
    assert hashlib.sha256(text).hexdigest() == vector["map_hash"]
    mask_object = vector["mask_object"] and bytes.fromhex(vector["mask_object"])
    assert RatioMap.unpack(data, mask_object).hash_hex == vector["map_hash"]


@pytest.mark.parametrize("vector", load("adaptive_maps.json"), ids=lambda v: v["name"])
def test_palettes_and_grids_are_as_the_document_says(vector: dict[str, Any]) -> None:
    (resting,) = [item for item in load("maps.json") if item["name"] == vector["map"]]
    tiles, block = vector["tiles"], vector["block"]
    height, width = len(resting["levels"]), len(resting["levels"][0])
    h, w = len(tiles[0]), len(tiles[0][0])
    level_set = resting["level_set"]
    data = bytes([resting["slots"], len(level_set), *level_set])
    data += struct.pack("<HHBBHH", height, width, block, len(tiles), h, w)
    for tile in tiles:
        indices = [level_set.index(level) for level in chain(*tile)] + [0] * (h * w % 2)
        data += bytes(a | b << 4 for a, b in zip(indices[::2], indices[1::2], strict=True))
    assert data.hex() == vector["palette_object"]
    map_hash = hashlib.sha256(bytes.fromhex(resting["map_hash"]) + data).digest()
    assert map_hash.hex() == vector["map_hash"]
    columns = -(-width // block)
    assert vector["grids"]
    for item in vector["grids"]:
        grid = bytes.fromhex(item["grid"])
        assert len(grid) == columns * -(-height // block)
        for y in range(height):
            for x in range(width):
                tile = tiles[grid[y // block * columns + x // block]]
                assert item["levels"][y][x] == tile[y % h][x % w]
        assert item["map_hash"] == hashlib.sha256(map_hash + grid).hexdigest()


@pytest.mark.parametrize("vector", load("read_plans.json"), ids=lambda v: v["map"])
def test_read_plans_are_as_the_document_says(vector: dict[str, Any]) -> None:
    (described,) = [item for item in load("maps.json") if item["name"] == vector["map"]]
    levels, slots = described["levels"], described["slots"]
    offsets, reads = [0], []
    for slot in range(slots):
        for y, row in enumerate(levels):
            for x, n in enumerate(row):
                if n > 0 and (slot + 1) % (slots // n) == 0:
                    reads.append((y * len(row) + x, (slot + 1) // (slots // n) - 1))
        offsets.append(len(reads))
    assert offsets == vector["slot_offsets"]
    assert reads == list(zip(vector["pixel"], vector["read"], strict=True))


def test_windows_of_the_conversations_hold_sums_of_the_scene() -> None:
    (board,) = [item for item in load("maps.json") if item["name"] == "board"]
    (plan,) = [item for item in load("read_plans.json") if item["map"] == "board"]
    levels = list(chain(*board["levels"]))
    steps = load("conversations.json")[0]["steps"]
    (capture,) = [step for step in steps if step["note"] == "capture two windows"]
    readouts = [bytes.fromhex(f["body"]) for f in capture["from_board"] if f["type"] == 0x24]
    assert len(readouts) == 2
    for body in readouts:
        number, offset = struct.unpack_from("<II", body)
        sums = []
        for pixel, read in zip(plan["pixel"], plan["read"], strict=True):
            span = 16 // levels[pixel]
            slots = range(read * span, (read + 1) * span)
            sums.append(sum((24 * t + pixel + number) % 256 for t in slots))
        assert offset == 0
        assert body[8:] == struct.pack(f"<{len(sums)}H", *sums)


class TestDocument:
    def test_the_example_is_what_the_code_says(self) -> None:
        found = EXAMPLE.search(DOCUMENT_TEXT)
        assert found is not None
        assert found[0] == found[1] + generator.worked_example() + found[2]

    def test_types_errors_and_features_are_listed(self) -> None:
        listed = set(re.findall(r"^\| (\w+) \| (\w+) \|", DOCUMENT_TEXT, re.MULTILINE))
        wanted = {(f"0x{type_:02X}", type_.name) for type_ in wire.MessageType}
        wanted |= {(str(code.value), code.name) for code in wire.ErrorCode}
        wanted |= {(str(feature.value), feature.name) for feature in wire.Feature}
        assert wanted <= listed

    def sections(self) -> dict[str, list[list[str]]]:
        """Rows of the first table under each heading that describes a body."""
        parts = re.split(r"^#{3,4} (.+)$", DOCUMENT_TEXT, flags=re.MULTILINE)
        tables = {}
        for title, text in zip(parts[1::2], parts[2::2], strict=True):
            rows = re.search(r"\| offset \| size \| field \|.*\n\|[-:| ]+\n((?:\|.*\n)+)", text)
            if rows:
                lines = rows[1].splitlines()
                tables[title] = [[cell.strip() for cell in r.split("|")[1:-1]] for r in lines]
        return tables

    def test_every_body_is_described_field_by_field(self) -> None:
        """Names and order as in the code; offsets and sizes add up to the layout."""
        special = {"WindowNumber": "WINDOW NUMBER", "WindowDescriptor": "WINDOW", "Log": "LOG"}
        tables = self.sections()
        described = set()
        for name, kind in vars(wire).items():
            if not (dataclasses.is_dataclass(kind) and hasattr(kind, "unpack")):
                continue
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
            title = special.get(
                name, re.sub(r"_(REQUEST|ANSWER)$", lambda m: " " + m[1].lower(), words)
            )
            rows = tables[title]
            described.add(title)
            names = [field.name for field in dataclasses.fields(kind)]
            if "protocol" in names:  # first on the wire, last in the classes
                names = ["protocol", *names[:-1]]
            if name == "HelloRequest":
                names = ["protocol", "max_payload", "host"]
            assert [row[2] for row in rows] == names, title
            if issubclass(kind, FixedBody):
                at = 0
                for row in rows:
                    assert int(row[0]) == at, title
                    at += int(row[1])
                assert at == kind.LAYOUT.size, title
        assert described == tables.keys()
