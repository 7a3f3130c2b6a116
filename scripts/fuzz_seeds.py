"""Write seeds for the fuzzers of the C firmware, from the test vectors.

    python -m scripts.fuzz_seeds firmware_sim/reference_firmware/build/corpus

fills ``frames`` with lines and ``requests`` with conversations, in the form that
``fuzz_requests.c`` reads.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

from focalloop.firmware_sim import wire
from tests.support import VECTORS

FRAME, BYTES, TIME, MAP, MOOD, AGAIN, MASK = 0, 1, 2, 4, 5, 6, 7
"""Things that happen to a fuzzed board."""


def frame_seeds() -> dict[str, bytes]:
    vectors = json.loads((VECTORS / "frames.json").read_text(encoding="utf-8"))
    lines = [*vectors["frames"], *vectors["streams"]]
    return {f"frame{number}": bytes.fromhex(item["line"]) for number, item in enumerate(lines)}


def frame(sent: wire.Frame) -> bytes:
    head = struct.pack("<BBBBH", FRAME, sent.type, sent.flags, sent.sequence & 255, len(sent.body))
    return head + sent.body


def request_seeds() -> dict[str, bytes]:
    """Every conversation on every board: paced or not, of 16 or 8 bits, with features or not."""
    map_steps = bytes([MAP, 2, 3, 0x10, 0x32, 0x01]), bytes([MAP, 1, 1, 0x01])
    capture = frame(wire.Frame(wire.MessageType.CAPTURE, 2, wire.CaptureRequest(3).pack()))
    stream = frame(wire.Frame(wire.MessageType.STREAM_START, 3, wire.StreamStartRequest(9).pack()))
    flat = wire.CalibrationCaptureRequest(1, 2, 0.5).pack()
    even = frame(wire.Frame(wire.MessageType.CALIBRATION_CAPTURE, 4, flat))
    resend = frame(wire.Frame(wire.MessageType.RESEND, 5, wire.ResendRequest(1).pack()))
    time = struct.pack("<BH", TIME, 667)
    mask = bytes([MASK, *range(47), MASK])
    stories = {
        "maps": b"".join([*map_steps, capture, resend, stream, map_steps[0], time * 4, even]),
        "masks": b"".join([map_steps[1], mask, capture, stream, mask[::-1], time, map_steps[1]]),
        "moods": b"".join([map_steps[0], bytes([MOOD]), stream, bytes([MOOD]), stream, time]),
    }
    vectors = json.loads((VECTORS / "conversations.json").read_text(encoding="utf-8"))
    for conversation in vectors:
        told, now_us = b"", 0
        for step in conversation["steps"]:
            units, now_us = (step["time_us"] - now_us) // 100, step["time_us"]
            told += struct.pack("<BH", TIME, min(units, 65535)) if units else b""
            line = bytes.fromhex(step["to_board"])
            sent = wire.FrameDecoder().feed(line)
            plain = sent and sent[0].version == wire.PROTOCOL_VERSION
            told += frame(sent[0]) if plain else bytes([BYTES, min(len(line), 255)]) + line[:255]
        stories[conversation["name"].replace(" ", "-")] = told + bytes([AGAIN])
    return {
        f"{name}-{board}": bytes([board]) + told
        for name, told in stories.items()
        for board in (0, 1, 4, 24)
    }


def write(folder: Path) -> None:
    """Write all seeds into folders of `folder`."""
    for name, seeds in (("frames", frame_seeds()), ("requests", request_seeds())):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed, data in seeds.items():
            (folder / name / seed).write_bytes(data)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
