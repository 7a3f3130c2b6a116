"""The C firmware passes the test vectors, and its header agrees with the Python side."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from focalloop.firmware_sim import wire
from scripts import wire_header
from scripts.vectors import frame_fields
from tests.support import VECTORS
from tests.support.c_board import PipedBoard, build

OWN_TEXTS = ("name", "firmware", "serial")
OWN_LIMITS = ("max_object", "held_windows", "features")


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def test_the_header_is_what_its_generator_writes() -> None:
    assert wire_header.HEADER.read_text(encoding="utf-8") == wire_header.header()


def checked(command: str) -> list[list[str]]:
    """Return the words of each line that ``check-vectors`` prints for a command."""
    program = build("native") / "check-vectors"
    ran = subprocess.run([program], input=command + "\n", capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines.pop() == "."
    return [line.split() for line in lines]


@pytest.mark.parametrize("vector", load("frames.json")["frames"], ids=lambda v: v["name"])
def test_frames(vector: dict[str, Any]) -> None:
    head = [vector[name] for name in ("version", "type", "flags", "sequence")]
    if len(vector["body"]) <= 2 * 512:
        decoded, bad = checked(f"decode {vector['line']}")
        assert decoded == [*map(str, head), *([vector["body"]] if vector["body"] else [])]
        assert bad == ["bad", "0"]
        if head[0] == wire.PROTOCOL_VERSION:
            words = [*map(str, head[1:]), vector["body"] or "-"]
            assert checked("encode " + " ".join(words)) == [[vector["line"]]]


@pytest.mark.parametrize("vector", load("frames.json")["streams"], ids=lambda v: v["name"])
def test_streams(vector: dict[str, Any]) -> None:
    *frames, bad = checked(f"decode {vector['line']}")
    wanted = [
        [str(f["version"]), str(f["type"]), str(f["flags"]), str(f["sequence"]), f["body"]]
        for f in vector["frames"]
    ]
    assert frames == [[word for word in words if word] for words in wanted]
    assert bad == ["bad", str(vector["bad"])]


def test_fields_of_messages_lie_where_the_vectors_have_them() -> None:
    fields: dict[str, list[tuple[str, int, int]]] = {}
    for message, name, offset, size in checked("fields"):
        fields.setdefault(message, []).append((name, int(offset), int(size)))
    seen = set()
    for vector in load("messages.json"):
        body = bytes.fromhex(vector["body"])
        for name, offset, size in fields.get(vector["message"], []):
            data = body[offset : offset + size]
            value = vector["fields"][name]
            seen.add(vector["message"])
            if isinstance(value, str):
                assert data.hex() == value
            elif isinstance(value, int):
                assert int.from_bytes(data, "little") == value
    assert fields.keys() - seen == {"HelloAnswerTail"}  # behind a list; HELLO is asked for below


@pytest.mark.parametrize("vector", load("maps.json"), ids=lambda v: v["name"])
def test_maps_and_read_plans(vector: dict[str, Any]) -> None:
    levels = vector["levels"]
    level_set = bytes(vector["level_set"]).hex()
    size = f"{len(levels)} {len(levels[0])}"
    objects = f"{vector['map_object']} {vector['mask_object'] or '-'}"
    (map_hash, reads), *slots = checked(f"map {vector['slots']} {level_set} {size} {objects}")
    (plan,) = [item for item in load("read_plans.json") if item["map"] == vector["name"]]
    assert map_hash == vector["map_hash"]
    assert int(reads) == len(plan["pixel"])
    bounds = zip(plan["slot_offsets"], plan["slot_offsets"][1:], strict=False)
    assert [[int(pixel) for pixel in words[1:]] for words in slots] == [
        plan["pixel"][start:stop] for start, stop in bounds
    ]


@pytest.mark.parametrize("vector", load("adaptive_maps.json"), ids=lambda v: v["name"])
def test_grids(vector: dict[str, Any]) -> None:
    (resting,) = [item for item in load("maps.json") if item["name"] == vector["map"]]
    levels, slots = resting["levels"], resting["slots"]
    board = f"{slots} {bytes(resting['level_set']).hex()} {len(levels)} {len(levels[0])}"
    objects = f"{resting['map_object']} {vector['palette_object']}"
    for item in vector["grids"]:
        (hashes, *plan) = checked(f"grid {board} {objects} {item['grid']}")
        levels = [level for row in item["levels"] for level in row]
        assert hashes == [vector["map_hash"], item["map_hash"], str(sum(levels))]
        for slot, words in enumerate(plan, 1):
            ending = [i for i, n in enumerate(levels) if n and slot % (slots // n) == 0]
            assert [int(pixel) for pixel in words[1:]] == ending


def comparable(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a frame without the texts and limits that an implementation may choose."""
    body = bytes.fromhex(fields["body"])
    told: Any = fields["body"]
    if fields["flags"] & wire.FLAG_ERROR:
        told = wire.ErrorAnswer.unpack(body).code
    elif fields["type"] == wire.MessageType.LOG:
        told = wire.Log.unpack(body).level
    elif fields["type"] == wire.MessageType.HELLO:
        hello = wire.HelloAnswer.unpack(body)
        own = (*OWN_TEXTS, *OWN_LIMITS)
        told = {name: getattr(hello, name) for name in hello.__slots__ if name not in own}
    return {**fields, "body": told}


@pytest.mark.parametrize("vector", load("conversations.json"), ids=lambda v: v["name"])
def test_conversations(vector: dict[str, Any], tmp_path: Path) -> None:
    options: dict[str, Any] = {"array": "6x4", "boot_id": 0x01020304}
    options["slot_rate"] = int(vector["board"]["slot_rate_hz"])
    if "map" in vector["board"]:
        (start,) = [item for item in load("maps.json") if item["name"] == vector["board"]["map"]]
        options["map"] = tmp_path / "map"
        options["map"].write_bytes(bytes.fromhex(start["map_object"]))
    board = PipedBoard(**options)
    for step in vector["steps"]:
        board.poll(step["time_us"], room=0)
        board.receive(bytes.fromhex(step["to_board"]))
        said = wire.FrameDecoder().feed(board.poll(step["time_us"]))
        wanted = [comparable(fields) for fields in step["from_board"]]
        assert [comparable(frame_fields(frame)) for frame in said] == wanted, step["note"]
    board.close()
