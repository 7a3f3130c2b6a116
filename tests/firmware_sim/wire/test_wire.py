"""Frames and message bodies: every value survives packing, and invalid bytes are refused."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys
import zlib

import pytest
from cobs import cobs
from hypothesis import given, strategies as st

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.wire import Frame, FrameDecoder, WireError

u8 = st.integers(0, 2**8 - 1)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
f32 = st.floats(width=32, allow_nan=False)
sha = st.binary(min_size=32, max_size=32)
line = st.text().filter(str.isprintable) | st.text("a [µ]", max_size=20)
short_text = st.text("name 1.0 µ√", max_size=20)
data = st.binary(min_size=1, max_size=300)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)

BODIES = {
    wire.HelloRequest: st.builds(wire.HelloRequest, u16, short_text, u8),
    wire.HelloAnswer: st.builds(
        wire.HelloAnswer,
        boot_id=u32,
        max_payload=u16,
        height=u16,
        width=u16,
        slots=u8,
        bits=u8,
        black_level_dn=f32,
        full_scale_dn=f32,
        level_set=st.lists(u8, max_size=16).map(tuple),
        max_in_flight=u8,
        held_windows=u8,
        max_object=u32,
        features=u32.map(wire.Feature),
        slot_rate_hz=f32,
        name=short_text,
        firmware=short_text,
        serial=short_text,
        protocol=u8,
    ),
    wire.StatusAnswer: st.builds(
        wire.StatusAnswer,
        u32,
        st.sampled_from(wire.BoardState),
        sha,
        u32,
        u32,
        u32,
        u64,
        u32,
        u32,
        u8.map(wire.UploadKind),
        u32,
        u32,
    ),
    wire.ConfigureRequest: st.builds(
        wire.ConfigureRequest,
        st.none() | st.text() | st.dictionaries(st.text(), json_values),
        st.none() | st.text(),
        st.none() | st.integers(0, 2**63 - 1),
    ),
    wire.Log: st.builds(wire.Log, st.sampled_from(wire.LogLevel), line),
    wire.TimeSyncRequest: st.builds(wire.TimeSyncRequest, u64),
    wire.TimeSyncAnswer: st.builds(wire.TimeSyncAnswer, u64),
    wire.ErrorAnswer: st.builds(wire.ErrorAnswer, u16, line),
    wire.UploadBeginRequest: st.builds(wire.UploadBeginRequest, u8.map(wire.UploadKind), u32, sha),
    wire.UploadBeginAnswer: st.builds(wire.UploadBeginAnswer, u32, u32, u16),
    wire.UploadChunkRequest: st.builds(
        wire.UploadChunkRequest, u8.map(wire.UploadKind), u32, st.binary(max_size=300)
    ),
    wire.UploadChunkAnswer: st.builds(wire.UploadChunkAnswer, u32, u32),
    wire.UploadCommitRequest: st.builds(wire.UploadCommitRequest, u8.map(wire.UploadKind), sha),
    wire.UploadCommitAnswer: st.builds(wire.UploadCommitAnswer, sha),
    wire.CaptureRequest: st.builds(wire.CaptureRequest, u16),
    wire.StreamStartRequest: st.builds(wire.StreamStartRequest, u32),
    wire.StreamCreditRequest: st.builds(wire.StreamCreditRequest, u32),
    wire.WindowNumber: st.builds(wire.WindowNumber, u32),
    wire.GridRequest: st.builds(wire.GridRequest, u32, st.binary(max_size=300)),
    wire.ResendRequest: st.builds(wire.ResendRequest, u32, u32, u32),
    wire.WindowDescriptor: st.builds(
        wire.WindowDescriptor,
        u32,
        u32,
        u64,
        st.sampled_from(wire.WindowKind),
        u8,
        st.binary(min_size=8, max_size=8),
        u32,
    ),
    wire.Fragment: st.builds(wire.Fragment, u32, u32, data),
    wire.DarkCaptureRequest: st.builds(wire.DarkCaptureRequest, u8, u16),
    wire.CalibrationCaptureRequest: st.builds(wire.CalibrationCaptureRequest, u8, u16, f32),
    wire.SceneRequest: st.builds(wire.SceneRequest, u32, u8, u8),
    wire.SceneAnswer: st.builds(wire.SceneAnswer, u32),
}

OPEN_ENDED = {
    wire.Log,
    wire.ErrorAnswer,
    wire.UploadChunkRequest,
    wire.Fragment,
    wire.GridRequest,
    wire.ConfigureRequest,
}
"""Bodies whose last field takes the remaining bytes, so other lengths can be valid too."""

frames = st.builds(Frame, u8, u16, st.binary(max_size=600), u8, u8)


def test_every_body_of_the_wire_is_tested() -> None:
    bodies = {
        value
        for value in vars(wire).values()
        if dataclasses.is_dataclass(value) and hasattr(value, "unpack")
    }
    assert bodies == BODIES.keys()


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_body_survives_packing(kind: type, data: st.DataObject) -> None:
    body = data.draw(BODIES[kind])
    assert kind.unpack(body.pack()) == body


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", "[31mred[0m"),
        (b"\x1b]0;title\x07", "]0;title"),
        (b"two\r\nlines\tand more", "two  lines and more"),
        ("\u202eright to left\u2028\x9b2J".encode(), "right to left 2J"),
        ("bell\x07 \x00\x08µ".encode(), "bell µ"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_a_text_of_the_other_side_is_one_line_that_a_terminal_only_shows(
    sent: bytes, shown: str
) -> None:
    assert wire.Log.unpack(b"\x01" + sent).text == shown
    assert wire.ErrorAnswer.unpack(b"\x01\x00" + sent).text == shown
    if b"\xff" not in sent:
        body = wire.HelloRequest(1024, "").pack()[:-1] + bytes([len(sent)]) + sent
        assert wire.HelloRequest.unpack(body).host == shown


@pytest.mark.parametrize(
    "kind", [kind for kind in BODIES if kind not in OPEN_ENDED], ids=lambda kind: kind.__name__
)
@given(data=st.data())
def test_a_body_of_another_length_is_refused(kind: type, data: st.DataObject) -> None:
    packed = data.draw(BODIES[kind]).pack()
    cut = data.draw(st.integers(0, len(packed) - 1))
    for wrong in (packed[:cut], packed + b"\0"):
        with pytest.raises(WireError):
            kind.unpack(wrong)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
@given(body=st.binary(max_size=120))
def test_any_bytes_are_a_body_or_a_wire_error(kind: type, body: bytes) -> None:
    try:
        message = kind.unpack(body)
    except WireError:
        return
    assert isinstance(message, kind)


@pytest.mark.parametrize(
    "make",
    [
        lambda: wire.CaptureRequest(70000).pack(),
        lambda: wire.TimeSyncRequest(-1).pack(),
        lambda: wire.HelloRequest(1024, "x" * 256).pack(),
        lambda: wire.CalibrationCaptureRequest(1, 1, 1e39).pack(),
        lambda: wire.UploadCommitAnswer(b"short"),
        lambda: wire.WindowDescriptor(0, 0, 0, wire.WindowKind.SCENE, 0, b"short", 0),
        lambda: wire.ConfigureRequest.unpack(b'{"gain": 2}'),
        lambda: wire.ConfigureRequest.unpack(b'{"seed": true}'),
        lambda: wire.ConfigureRequest.unpack(b"[" * 100_000),
        lambda: Frame(1, 1, bytes(65536)).encode(),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(make) -> None:
    with pytest.raises(WireError):
        make()


@given(frames)
def test_a_frame_is_what_the_document_says(frame: Frame) -> None:
    header = struct.pack(
        "<BBBHH", frame.version, frame.type, frame.flags, frame.sequence, len(frame.body)
    )
    content = header + frame.body
    content += struct.pack("<I", zlib.crc32(content))
    assert frame.encode() == b"\0" + cobs.encode(content) + b"\0"
    assert len(frame.encode()) - 2 <= wire.encoded_limit(len(frame.body))


@given(st.lists(frames, max_size=6), st.lists(st.integers(1, 700), min_size=1))
def test_frames_come_out_however_the_stream_is_cut(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    decoder = FrameDecoder(600)
    received = []
    while stream:
        cut = cuts[len(received) % len(cuts)]
        received += decoder.feed(stream[:cut])
        stream = stream[cut:]
    assert received == sent
    assert (decoder.good, decoder.bad) == (len(sent), 0)


@given(st.lists(st.binary(max_size=900), max_size=8), frames)
def test_a_frame_after_any_garbage_is_heard(garbage: list[bytes], frame: Frame) -> None:
    decoder = FrameDecoder(600)
    for piece in garbage:
        decoder.feed(piece)
    assert decoder.feed(frame.encode())[-1] == frame


@given(st.lists(frames, min_size=3, max_size=3), st.data())
def test_one_wrong_bit_costs_at_most_two_frames(sent: list[Frame], data: st.DataObject) -> None:
    stream = bytearray(b"".join(frame.encode() for frame in sent))
    bit = data.draw(st.integers(0, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    received = FrameDecoder(600).feed(bytes(stream))
    assert len(received) >= 1
    assert all(frame in sent for frame in received)


def test_an_endless_frame_is_dropped_and_counted_once() -> None:
    decoder = FrameDecoder(64)
    for _ in range(100):
        assert decoder.feed(b"\x01" * 1000) == []
    assert decoder.feed(b"\0" + Frame(1, 2, b"after").encode()) == [Frame(1, 2, b"after")]
    assert (decoder.good, decoder.bad) == (1, 1)


def test_a_body_above_the_receive_limit_is_bad() -> None:
    decoder = FrameDecoder(300)
    assert decoder.feed(Frame(1, 1, bytes(301)).encode()) == []
    assert decoder.feed(Frame(1, 1, bytes(300)).encode()) == [Frame(1, 1, bytes(300))]
    assert (decoder.good, decoder.bad) == (1, 1)


def test_the_contract_of_the_sensor_loads_no_numba() -> None:
    code = (
        "import focalloop.firmware_sim.wire, focalloop.firmware_sim.virtual_board.board;"
        "import focalloop.firmware_sim.serving.transport, sys;"
        "print([name for name in ('numba', 'torch', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
