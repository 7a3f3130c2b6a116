import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.radio.bitstream import (
    MAX_PIXELS,
    OVERHEAD_BYTES,
    BitstreamError,
    CodedWindow,
    Source,
    check_source,
    read,
    write,
)

SOURCE = Source(b"map hash", b"model hash")
WINDOW = CodedWindow(24, 40, 17, bytes(range(12)))


def with_checksum(packet):
    return packet[:-4] + struct.pack("<I", zlib.crc32(packet[:-4]))


@given(
    st.integers(1, 4096),
    st.integers(1, 4096),
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=64)), min_size=1, max_size=4),
    st.binary(min_size=4, max_size=32),
    st.binary(min_size=4, max_size=32),
)
def test_windows_come_back(height, width, contents, map_hash, model_hash):
    windows = [CodedWindow(height, width, quality, data) for quality, data in contents]
    source = Source(map_hash, model_hash)
    data = write(windows, source)
    assert read(data) == (windows, source)
    assert len(data) == sum(OVERHEAD_BYTES + len(window.data) for window in windows)


def test_every_flipped_bit_is_found():
    data = write([WINDOW, WINDOW], SOURCE)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            read(bytes(damaged))


def test_every_truncation_is_found():
    data = write([WINDOW, WINDOW, WINDOW], SOURCE)
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            read(data[:size])


def test_damage_of_a_large_file_is_found():
    rng = np.random.default_rng(0)
    windows = [CodedWindow(256, 256, 30, rng.bytes(4000)) for _ in range(20)]
    data = write(windows, SOURCE)
    for _ in range(300):
        damaged = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 4)):
            damaged[at] ^= rng.integers(1, 256)
        with pytest.raises(BitstreamError):
            read(bytes(damaged))


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2), (0, 1, 1, 2), (0, 1, 2, 2)])
def test_packets_out_of_order_are_refused(order):
    data = write([WINDOW] * 3, SOURCE)
    size = len(data) // 3
    with pytest.raises(BitstreamError, match=r"follow|lacks"):
        read(b"".join(data[size * place : size * (place + 1)] for place in order))


def test_bytes_after_the_last_window_are_refused():
    with pytest.raises(BitstreamError):
        read(write([WINDOW], SOURCE) + b"\0")


def test_another_version_is_named():
    packet = bytearray(write([WINDOW], SOURCE))
    packet[3] = 9
    with pytest.raises(BitstreamError, match="is of version 9; this focalloop reads version 1"):
        read(with_checksum(bytes(packet)))


def test_other_files_are_refused():
    for data in (b"", b"PK\3\4" + bytes(100), bytes(100), b"FLR"):
        with pytest.raises(BitstreamError):
            read(data)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (65535, 65535), (4097, 4096)])
def test_sizes_are_checked_before_anything_is_made(height, width):
    assert height * width == 0 or height * width > MAX_PIXELS
    with pytest.raises(BitstreamError, match=f"{height}x{width} pixels"):
        write([CodedWindow(height, width, 0, b"")], SOURCE)
    packet = bytearray(write([WINDOW], SOURCE))
    packet[5:9] = struct.pack("<HH", height, width)
    with pytest.raises(BitstreamError, match=f"{height}x{width} pixels"):
        read(with_checksum(bytes(packet)))


def test_windows_of_several_maps_or_sizes_are_refused():
    other = write([CodedWindow(24, 41, 17, b"1234")], SOURCE)
    first = bytearray(write([WINDOW], SOURCE))
    first[17:21] = struct.pack("<I", 1)
    with pytest.raises(BitstreamError, match="one map, codec and size"):
        read(with_checksum(bytes(first)) + other)


def test_another_map_or_codec_is_named():
    check_source(SOURCE, Source(b"map hash and more", b"model hash"), "codec")
    with pytest.raises(BitstreamError, match=r"under the map 6d617020…, and codec is for 6f746865"):
        check_source(SOURCE, Source(b"other map", b"model hash"), "codec")
    with pytest.raises(BitstreamError, match=r"with the codec 6d6f6465…, and codec is 6f746865…"):
        check_source(SOURCE, Source(b"map hash", b"other model"), "codec")


def test_a_file_without_windows_is_not_written():
    with pytest.raises(BitstreamError, match="not 0"):
        write([], SOURCE)


def test_short_hashes_are_refused():
    with pytest.raises(BitstreamError, match="model_hash needs 4 bytes, not 3"):
        Source(b"map hash", b"mod")
