"""Generate seeds for the fuzzers of the C firmware from the test vectors.

    python -m scripts.fuzz_seeds [FOLDER] [--check]

writes the folders ``frames``, with lines of the wire, and ``requests``, with conversations in the
form that ``fuzz_requests.c`` reads, into FOLDER: by default ``build/corpus`` of the firmware, where
``make fuzz`` looks. ``--check`` writes nothing and exits with 1 if FOLDER exists and a seed is
missing there or stale; what a fuzzer added is left alone.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from focalloop.firmware_sim import wire
from scripts import generated
from tests.support import ROOT, VECTORS

FRAME, BYTES, TIME, MAP, SENSOR, AGAIN, MASK, PALETTE = 0, 1, 2, 4, 5, 6, 7, 8
"""Events in a request seed, by their numbers in ``fuzz_requests.c``."""

CORPUS = ROOT / "firmware_sim" / "reference_firmware" / "build" / "corpus"
"""Where ``make fuzz`` looks for seeds."""


def frame_seeds() -> dict[str, bytes]:
    """Return the lines of all frame and stream vectors, by seed name."""
    vectors = json.loads((VECTORS / "frames.json").read_text(encoding="utf-8"))
    lines = [*vectors["frames"], *vectors["streams"]]
    return {f"frame{number}": bytes.fromhex(item["line"]) for number, item in enumerate(lines)}


def frame(sent: wire.Frame) -> bytes:
    """Return the event of a frame that reaches the board; the fuzzer adds the CRC."""
    head = struct.pack("<BBBBH", FRAME, sent.type, sent.flags, sent.sequence & 255, len(sent.body))
    return head + sent.body


def start_map(board: dict[str, Any]) -> bytes:
    """Return the event that gives a board the map with which its conversation starts, if any."""
    if "map" not in board:
        return b""
    vectors = json.loads((VECTORS / "maps.json").read_text(encoding="utf-8"))
    (vector,) = [item for item in vectors if item["name"] == board["map"]]
    data = bytes.fromhex(vector["map_object"])
    sides = 2 + len(vector["level_set"]) + 4
    height, width = struct.unpack_from("<HH", data, sides)
    return bytes([MAP, height, width]) + data[sides + 4 :]


def request_seeds() -> dict[str, bytes]:
    """Return every conversation with four boards: paced or not, 16 or 8 bit, without features."""
    map_steps = bytes([MAP, 2, 3, 0x10, 0x32, 0x01]), bytes([MAP, 1, 1, 0x01])
    capture = frame(wire.Frame(wire.MessageType.CAPTURE, 2, wire.CaptureRequest(3).pack()))
    stream = frame(wire.Frame(wire.MessageType.STREAM_START, 3, wire.StreamStartRequest(9).pack()))
    flat = wire.CalibrationCaptureRequest(1, 2, 0.5).pack()
    even = frame(wire.Frame(wire.MessageType.CALIBRATION_CAPTURE, 4, flat))
    resend = frame(wire.Frame(wire.MessageType.RESEND, 5, wire.ResendRequest(1).pack()))
    time = struct.pack("<BH", TIME, 667)
    mask = bytes([MASK, *range(47), MASK])
    palette = bytes([PALETTE, 3, 3, 1, 2, 0x00, 0x01, 0x23])
    grids = b"".join(
        frame(wire.Frame(wire.MessageType.GRID, 6 + window, wire.GridRequest(window, grid).pack()))
        for window, grid in ((0, bytes([0, 1, 2, 1])), (2, b""), (3, bytes([2, 2, 1, 9])))
    )
    stories = {
        "grids": b"".join([map_steps[0], palette, grids, stream, time * 3, palette[:4], capture]),
        "maps": b"".join([*map_steps, capture, resend, stream, map_steps[0], time * 4, even]),
        "masks": b"".join([map_steps[1], mask, capture, stream, mask[::-1], time, map_steps[1]]),
        "sensor": b"".join([map_steps[0], bytes([SENSOR]), stream, bytes([SENSOR]), stream, time]),
    }
    vectors = json.loads((VECTORS / "conversations.json").read_text(encoding="utf-8"))
    for conversation in vectors:
        told, now_us = start_map(conversation["board"]), 0
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
        for board in (0, 1, 4, 56)
    }


def files(folder: Path) -> dict[Path, bytes]:
    """Return the content of every seed by its path below `folder`."""
    kinds = {"frames": frame_seeds(), "requests": request_seeds()}
    return {
        folder / kind / name: data for kind, seeds in kinds.items() for name, data in seeds.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz_seeds", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=CORPUS, metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    asked = parser.parse_args(arguments)
    seeds = files(asked.folder)
    if asked.check and not asked.folder.exists():
        return 0
    command = f"python -m scripts.fuzz_seeds {asked.folder}"
    return generated.update(seeds, command, check=asked.check)


if __name__ == "__main__":
    sys.exit(main())
