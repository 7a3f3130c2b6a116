"""Generate the test vectors that every implementation of the wire protocol must pass.

    python -m scripts.vectors [--check]

writes ``tests/vectors/*.json`` and the worked example in ``docs/wire-protocol.md``. The vectors
define the protocol: a change in them is a change of the protocol, never a routine update.
``--check`` writes nothing and exits with 1 if a file is stale.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.wire import Frame, MessageType, UploadKind
from scripts import generated
from tests.support import ROOT, VECTORS
from tests.support.board_bench import CountingScene, make_board
from tests.support.vector_cases import ARRAY, CONVERSATIONS, MAP_HASH, adaptive_maps, maps

DOCUMENT = ROOT / "docs" / "wire-protocol.md"
"""The specification, which contains the worked example."""

EXAMPLE = re.compile(r"(<!-- example -->\n).*?(<!-- end of example -->)", re.DOTALL)
"""The worked example in `DOCUMENT`, between the comments that mark it."""


def frames() -> dict[str, Any]:
    """Return frames to encode and decode, and streams from which a receiver gets frames."""
    good = {
        "status request": Frame(MessageType.STATUS, 1),
        "an answer": Frame(MessageType.CAPTURE, 0x1234, bytes(4), wire.FLAG_RESPONSE),
        "an error": Frame(
            MessageType.CAPTURE,
            7,
            wire.ErrorAnswer(wire.ErrorCode.NO_MAP, "no map").pack(),
            wire.FLAG_RESPONSE | wire.FLAG_ERROR,
        ),
        "zeros": Frame(MessageType.READOUT, 65535, bytes(300)),
        "no zeros over a COBS block": Frame(MessageType.READOUT, 258, bytes([7]) * 600),
        "every byte": Frame(MessageType.READOUT, 3, bytes(range(256))),
        "another version": Frame(MessageType.HELLO, 2, b"?", version=2),
    }
    line = good["status request"].encode()
    flipped = bytes([*line[:5], line[5] ^ 0x10, *line[6:]])
    streams = {
        "two frames that share no zero": line + good["an answer"].encode(),
        "text before a frame": b"boot v3\r\n" + line,
        "a flipped bit, then a frame": flipped + line,
        "a lost delimiter joins two frames": line[:-1] + line[1:] + line,
        "a truncated frame, then a frame": line[:-6] + line,
        "nothing but zeros": bytes(9),
        "a body longer than the receiver takes": good["no zeros over a COBS block"].encode() + line,
    }
    return {
        "frames": [
            {
                "name": name,
                "version": frame.version,
                "type": frame.type,
                "flags": frame.flags,
                "sequence": frame.sequence,
                "body": frame.body.hex(),
                "line": frame.encode().hex(),
            }
            for name, frame in good.items()
        ],
        "streams": [
            {
                "name": name,
                "max_payload": 512,
                "line": stream.hex(),
                "frames": [frame_fields(frame) for frame in decoder.feed(stream)],
                "bad": decoder.bad,
            }
            for name, stream in streams.items()
            for decoder in [wire.FrameDecoder(512)]
        ],
    }


def frame_fields(frame: Frame) -> dict[str, Any]:
    """Return the fields of a frame as JSON, the body as hexadecimal digits."""
    return {
        "version": frame.version,
        "type": frame.type,
        "flags": frame.flags,
        "sequence": frame.sequence,
        "body": frame.body.hex(),
    }


def messages() -> list[Any]:
    """Return at least one message of every class in `focalloop.firmware_sim.wire`."""
    return [
        wire.HelloRequest(32768, "host 1.0"),
        wire.HelloAnswer(
            boot_id=0xDEADBEEF,
            max_payload=1024,
            height=256,
            width=320,
            slots=16,
            bits=8,
            black_level_dn=20.0,
            full_scale_dn=220.0,
            level_set=(0, 1, 2, 4, 8),
            max_in_flight=8,
            held_windows=8,
            max_object=1 << 20,
            features=wire.Feature.APERTURE | wire.Feature.CALIBRATION,
            slot_rate_hz=240.0,
            name="SCAMP-5d",
            firmware="fw 1.2",
            serial="µ7",
        ),
        wire.StatusAnswer(
            boot_id=0xDEADBEEF,
            state=wire.BoardState.STREAMING,
            map_hash=MAP_HASH,
            next_window=1000,
            oldest_window=992,
            credit_limit=1004,
            uptime_us=123_456_789_012,
            good_frames=70_000,
            bad_frames=3,
            upload_kind=UploadKind.MASK,
            upload_offset=3057,
            skipped=12,
        ),
        wire.Log(wire.LogLevel.WARNING, "sensor is warm"),
        wire.ConfigureRequest(profile="scamp5", seed=7),
        wire.UploadBeginRequest(UploadKind.MAP, 23, MAP_HASH),
        wire.UploadBeginAnswer(2038, 0b101, 1019),
        wire.UploadChunkRequest(UploadKind.MAP, 1019, b"\x10\x00\xff"),
        wire.UploadChunkAnswer(2038, 0x80000000),
        wire.UploadCommitRequest(UploadKind.MAP | UploadKind.MASK, MAP_HASH),
        wire.UploadCommitAnswer(MAP_HASH),
        wire.CaptureRequest(300),
        wire.StreamStartRequest(8),
        wire.StreamCreditRequest(1012),
        wire.WindowNumber(1000),
        wire.GridRequest(1002, b"\x00\x10\x07"),
        wire.WindowDescriptor(
            1000,
            131072,
            66_667,
            wire.WindowKind.SCENE,
            0,
            MAP_HASH[: wire.MAP_HASH_PREFIX_BYTES],
            5,
        ),
        wire.Fragment(1000, 1016, b"\x01\x02\x00"),
        wire.ResendRequest(1000, 1016, 2032),
        wire.DarkCaptureRequest(8, 100),
        wire.CalibrationCaptureRequest(1, 100, 0.5),
        wire.TimeSyncRequest(1_700_000_000_000_000),
        wire.TimeSyncAnswer(66_667),
        wire.SceneRequest(1000, 3, 4),
        wire.SceneAnswer(262144),
        wire.ErrorAnswer(wire.ErrorCode.WINDOW_GONE, "window 3 is not held"),
    ]


def field_values(message: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a message's fields as JSON: bytes as hexadecimal digits, enumerations as numbers."""

    def plain(value: object) -> object:
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, tuple):
            return list(value)
        return int(value) if isinstance(value, int) else value

    return {item.name: plain(getattr(message, item.name)) for item in dataclasses.fields(message)}


def message_vectors() -> list[dict[str, Any]]:
    """Return each of `messages` with its fields and its packed body."""
    return [
        {
            "message": type(message).__name__,
            "fields": field_values(message),
            "body": message.pack().hex(),
        }
        for message in messages()
    ]


def map_vectors() -> list[dict[str, Any]]:
    """Return ratio maps with their objects and hashes."""
    return [
        {
            "name": name,
            "slots": ratio_map.slots,
            "level_set": list(ratio_map.level_set),
            "levels": ratio_map.levels.tolist(),
            "aperture": aperture if aperture is None else aperture.astype(int).tolist(),
            "map_object": ratio_map.pack().hex(),
            "mask_object": aperture if aperture is None else ratio_map.pack_aperture().hex(),
            "map_hash": ratio_map.hash_hex,
        }
        for name, ratio_map in maps().items()
        for aperture in [ratio_map.aperture]
    ]


def adaptive_map_vectors() -> list[dict[str, Any]]:
    """Return adaptive maps with their objects and hashes, and what grids make of them."""
    return [
        {
            "name": name,
            "map": resting,
            "block": adaptive_map.block,
            "tiles": adaptive_map.tiles.tolist(),
            "palette_object": adaptive_map.pack_palette().hex(),
            "map_hash": adaptive_map.hash_hex,
            "grids": [
                {
                    "grid": grid.tobytes().hex(),
                    "levels": adaptive_map.compose(grid).levels.tolist(),
                    "map_hash": adaptive_map.grid_hash(grid).hex(),
                }
                for grid in grids
            ],
        }
        for name, (resting, adaptive_map, grids) in adaptive_maps().items()
    ]


def plan_vectors() -> list[dict[str, Any]]:
    """Return the read plan of each map of `map_vectors`."""
    return [
        {
            "map": name,
            "slot_offsets": plan.slot_offsets.tolist(),
            "pixel": plan.pixel.tolist(),
            "read": plan.read.tolist(),
        }
        for name, ratio_map in maps().items()
        for plan in [ReadPlan.of(ratio_map)]
    ]


def conversation_vectors() -> list[dict[str, Any]]:
    """Play every conversation to a virtual board and return what it sent.

    Error texts are for people: another implementation may word them differently.
    """
    conversations = []
    for name, (steps, setup) in CONVERSATIONS.items():
        map_name = setup.get("map")
        board = make_board(
            scene=CountingScene(ARRAY),
            boot_ids=[0x01020304, 0x05060708],
            profile=preset("ideal"),
            slot_rate_hz=setup["slot_rate_hz"],
            ratio_map=None if map_name is None else maps()[str(map_name)],
            max_payload=1024,
            name="vector board",
            serial="0",
        )
        now_us = 0
        told = []
        for note, pause_us, line in steps():
            now_us += pause_us
            board.poll(now_us, room=0)
            board.receive(line)
            answers = b""
            while data := board.poll(now_us):
                answers += data
            told.append(
                {
                    "note": note,
                    "time_us": now_us,
                    "to_board": line.hex(),
                    "from_board": [
                        frame_fields(frame) for frame in wire.FrameDecoder().feed(answers)
                    ],
                }
            )
        conversations.append({"name": name, "board": setup, "steps": told})
    return conversations


def documents() -> dict[str, Any]:
    """Return the content of every vector file, by file name."""
    return {
        "frames.json": frames(),
        "messages.json": message_vectors(),
        "maps.json": map_vectors(),
        "adaptive_maps.json": adaptive_map_vectors(),
        "read_plans.json": plan_vectors(),
        "conversations.json": conversation_vectors(),
    }


def rendered(document: object) -> str:
    """Return `document` as JSON text with each innermost list on one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", _one_line, text) + "\n"


def _one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\s*\n\s*", " ", found.group(1)) + "]"


def worked_example() -> str:
    """Return the conversation "upload and capture", line by line, as Markdown."""
    lines = ["", "```text"]
    vectors = {conversation["name"]: conversation for conversation in conversation_vectors()}
    for step in vectors["upload and capture"]["steps"][:9]:
        lines.append(f"# {step['note']}")
        lines += _wrapped("host  ", bytes.fromhex(step["to_board"]))
        for fields in step["from_board"]:
            body = bytes.fromhex(fields.pop("body"))
            lines += _wrapped("board ", Frame(**fields, body=body).encode())
        lines.append("")
    return "\n".join([*lines[:-1], "```", ""])


def _wrapped(who: str, line: bytes) -> list[str]:
    rows = [line[start : start + 28].hex(" ") for start in range(0, len(line), 28)]
    return [f"{who if index == 0 else '      '}{row}" for index, row in enumerate(rows)]


def files() -> dict[Path, bytes]:
    """Return what every vector file should contain, and the specification with its example."""
    made = {VECTORS / name: rendered(document).encode() for name, document in documents().items()}
    text = DOCUMENT.read_text(encoding="utf-8")
    example = worked_example()
    replaced = EXAMPLE.sub(lambda found: found[1] + example + found[2], text)
    return {**made, DOCUMENT: replaced.encode()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.vectors", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    asked = parser.parse_args(arguments)
    return generated.update(files(), "python -m scripts.vectors", check=asked.check)


if __name__ == "__main__":
    sys.exit(main())
