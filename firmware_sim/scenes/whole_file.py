"""Whether a video file ends before what its own headers say it holds.

FFmpeg plays such a file without a word as far as it goes.
"""

from __future__ import annotations

from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MAX_BOXES = 1000
_MAX_ASF_HEAD = 1 << 16
_TS_PACKET = 188


def is_cut_short(file: BinaryIO, size: int) -> bool:
    """Whether a file of `size` bytes is shorter than it says.

    Known are MP4, MOV, AVI, Matroska, GIF, YUV4MPEG2, ASF (WMV), SWF, and MPEG transport streams,
    which consist of whole packets.

    A recorder that is switched off without warning leaves a length of 0 or "unknown" in AVI and
    Matroska files; they are taken as they are.
    """
    head = file.read(64)
    if head[:4] == b"RIFF":
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head[:3] == b"FWS":
        return int.from_bytes(head[4:8], "little") > size
    if head[:16] == _ASF:
        return _stated_by_asf(head + file.read(_MAX_ASF_HEAD)) > size
    if head[:4] == _EBML:
        return _segment_is_cut(file, size)
    if head[:4] == b"GIF8":
        return _blocks_are_cut(file, head)
    if head[:9] == b"YUV4MPEG2":
        return _frames_are_cut(file, size)
    # The packets of a camcorder begin with a time of 4 bytes.
    for packet, mark in ((_TS_PACKET, 0), (_TS_PACKET + 4, 4)):
        file.seek(packet + mark)
        if head[mark : mark + 1] == file.read(1) == b"G":
            return size % packet != 0
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxes_are_cut(file, size)
    return False


def _stated_by_asf(head: bytes) -> int:
    """Return the size that the file properties of an ASF state; 0 if that of a broadcast."""
    at = head.find(_ASF_PROPERTIES)
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0


def _boxes_are_cut(file: BinaryIO, size: int) -> bool:
    at = 0
    for _ in range(_MAX_BOXES):
        if at >= size - 8:
            break
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if not length:  # to the end of the file
            return False
        if length < 8:
            return True
        at += length
    return at > size


def _blocks_are_cut(file: BinaryIO, head: bytes) -> bool:
    """Whether a GIF ends before its trailer."""
    file.seek(13 + _colour_table_bytes(head[10]))
    while kind := file.read(1):
        if kind == b";":
            return False
        if kind == b",":
            place = file.read(9)
            file.seek(_colour_table_bytes(place[-1] if len(place) == 9 else 0) + 1, 1)
        elif kind == b"!":
            file.seek(1, 1)
        else:
            return True
        while length := file.read(1).ljust(1, b"\0")[0]:
            file.seek(length, 1)
    return True


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _segment_is_cut(file: BinaryIO, size: int) -> bool:
    file.seek(4)
    header, _ = _vint(file)
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return False
    length, unknown = _vint(file)
    return not unknown and file.tell() + length > size


def _vint(file: BinaryIO) -> tuple[int, bool]:
    """Read a number of EBML, and whether it stands for "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, True
    count = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(count - 1), "big") & ((1 << 7 * count) - 1)
    return value, value == (1 << 7 * count) - 1


def _frames_are_cut(file: BinaryIO, size: int) -> bool:
    """Whether the raw frames of a YUV4MPEG2 file do not fill it."""
    file.seek(0)
    header = file.readline(1024)
    frame = file.readline(256)
    if not frame.startswith(b"FRAME"):
        return True
    start = file.tell()
    fields = {field[:1]: field[1:] for field in header.split()[1:]}
    kind = fields.get(b"C", b"420jpeg")
    width, height = int(fields[b"W"]), int(fields[b"H"])
    half = ((width + 1) // 2) * ((height + 1) // 2)
    chroma = {b"444": 2 * width * height, b"422": 2 * ((width + 1) // 2) * height, b"mon": 0}
    samples = width * height + chroma.get(kind[:3], 2 * half)
    if kind[:3] not in (*chroma, b"420") or b"alpha" in kind:
        return False
    wide = b"p1" in kind or kind in (b"mono9", b"mono10", b"mono12", b"mono14", b"mono16")
    pitch = samples * (2 if wide else 1) + len(frame)
    return len(frame) == 6 and (size - start + len(frame)) % pitch != 0
