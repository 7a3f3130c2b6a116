"""Control messages: hello, status, settings, log, clock and errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from struct import Struct
from typing import Any, ClassVar, Self

from focalloop.firmware_sim.wire.constants import (
    BoardState,
    ErrorCode,
    Feature,
    LogLevel,
    UploadKind,
)
from focalloop.firmware_sim.wire.framing import PROTOCOL_VERSION, WireError
from focalloop.firmware_sim.wire.layout import (
    FixedBody,
    check_length,
    check_min_length,
    decode_prose,
    decode_text,
    member,
    pack,
    pack_short,
    take_short,
)


@dataclass(frozen=True, slots=True)
class HelloRequest:
    """Start a session: ``<BH`` and the host's name (length byte, UTF-8).

    Attributes
    ----------
    max_payload : int
        Longest body the host accepts, in bytes.
    host : str
        Name and version of the host program.
    protocol : int
        Protocol version of the host.
    """

    max_payload: int
    host: str
    protocol: int = PROTOCOL_VERSION

    LAYOUT: ClassVar[Struct] = Struct("<BH")

    def pack(self) -> bytes:
        """Bytes of the body."""
        fixed = pack(self, self.LAYOUT, self.protocol, self.max_payload)
        return fixed + pack_short(self, self.host.encode())

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes."""
        check_min_length(cls, body, cls.LAYOUT.size)
        protocol, max_payload = cls.LAYOUT.unpack_from(body)
        host, end = take_short(cls, body, cls.LAYOUT.size)
        check_length(cls, body, end)
        return cls(max_payload, decode_text(cls, host), protocol)


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """Identity and limits of a board: ``<BIHHHBBff``, level set, ``<BBIIf``, three texts.

    Attributes
    ----------
    boot_id : int
        Drawn at every start and reset; a change tells the host that everything volatile is lost.
    max_payload : int
        Longest body the board accepts, in bytes; the smaller figure of both sides applies.
    height, width : int
        Pixels of the array.
    slots : int
        T, slots per window.
    bits : int
        ADC bits; up to 8 bits a sample travels as one byte, above as two.
    black_level_dn, full_scale_dn : float
        Code of no light, and codes from there to signal 1.0 (a full-window exposure of white).
    level_set : tuple of int
        Measurements per window that a pixel may have, ascending.
    max_in_flight : int
        Requests that the host may have unanswered.
    held_windows : int
        Latest windows kept for RESEND.
    max_object : int
        Longest upload, in bytes.
    features : Feature
        What the board can do beyond the common commands.
    slot_rate_hz : float
        Slots per second; 0 if windows are exposed as fast as they can be sent.
    name, firmware, serial : str
        Name, firmware version and serial number of the board.
    protocol : int
        Protocol version of the board.
    """

    boot_id: int
    max_payload: int
    height: int
    width: int
    slots: int
    bits: int
    black_level_dn: float
    full_scale_dn: float
    level_set: tuple[int, ...]
    max_in_flight: int
    held_windows: int
    max_object: int
    features: Feature
    slot_rate_hz: float
    name: str
    firmware: str
    serial: str
    protocol: int = PROTOCOL_VERSION

    HEAD: ClassVar[Struct] = Struct("<BIHHHBBff")
    TAIL: ClassVar[Struct] = Struct("<BBIIf")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the array in pixels."""
        return self.height, self.width

    @property
    def simulated(self) -> bool:
        """Whether the board is an emulator."""
        return Feature.EMULATOR in self.features

    def pack(self) -> bytes:
        """Bytes of the body."""
        head = pack(
            self,
            self.HEAD,
            self.protocol,
            self.boot_id,
            self.max_payload,
            self.height,
            self.width,
            self.slots,
            self.bits,
            self.black_level_dn,
            self.full_scale_dn,
        )
        tail = pack(
            self,
            self.TAIL,
            self.max_in_flight,
            self.held_windows,
            self.max_object,
            self.features,
            self.slot_rate_hz,
        )
        levels = pack_short(self, bytes(self.level_set))
        texts = (self.name, self.firmware, self.serial)
        return head + levels + tail + b"".join(pack_short(self, text.encode()) for text in texts)

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes."""
        check_min_length(cls, body, cls.HEAD.size)
        protocol, boot_id, payload, height, width, slots, bits, black, full = cls.HEAD.unpack_from(
            body
        )
        levels, at = take_short(cls, body, cls.HEAD.size)
        check_min_length(cls, body, at + cls.TAIL.size)
        in_flight, held, max_object, features, rate = cls.TAIL.unpack_from(body, at)
        at += cls.TAIL.size
        texts = []
        for _ in range(3):
            text, at = take_short(cls, body, at)
            texts.append(decode_text(cls, text))
        check_length(cls, body, at)
        name, firmware, serial = texts
        return cls(
            boot_id,
            payload,
            height,
            width,
            slots,
            bits,
            black,
            full,
            tuple(levels),
            in_flight,
            held,
            max_object,
            Feature(features),
            rate,
            name,
            firmware,
            serial,
            protocol,
        )


@dataclass(frozen=True, slots=True)
class StatusAnswer(FixedBody):
    """State of a board.

    Attributes
    ----------
    boot_id : int
        As in HELLO; a change means that the board was reset.
    state : BoardState
        What it is doing.
    map_hash : bytes
        Hash of the active map, or `NO_HASH`.
    next_window : int
        Number that the next window will have.
    oldest_window : int
        Oldest window kept for RESEND; equal to `next_window` if none is kept.
    credit_limit : int
        A stream sends windows numbered below this.
    uptime_us : int
        Microseconds since the board started.
    good_frames, bad_frames : int
        Received since the board started.
    upload_kind : UploadKind
        The upload begun last and not yet committed; 0 if there is none.
    upload_offset : int
        First byte of it that the board wants.
    skipped : int
        Windows that were exposed and not read out since the board started.
    """

    boot_id: int
    state: BoardState
    map_hash: bytes
    next_window: int
    oldest_window: int
    credit_limit: int
    uptime_us: int
    good_frames: int
    bad_frames: int
    upload_kind: UploadKind
    upload_offset: int
    skipped: int

    LAYOUT: ClassVar[Struct] = Struct("<IB32sIIIQIIBII")

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", member(BoardState, self.state))
        object.__setattr__(self, "upload_kind", UploadKind(self.upload_kind))


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    """Settings of an emulator as a JSON object; those left out stay as they are.

    Attributes
    ----------
    profile : str or dict, optional
        Noise profile: the name of a preset, or a profile as in its JSON file.
    scene : str, optional
        What the sensor looks at, as in ``focalloop emulate --scene``.
    seed : int, optional
        Seed of the emulated noise, 0 to 2**63 - 1.
    """

    profile: str | dict[str, Any] | None = None
    scene: str | None = None
    seed: int | None = None

    def pack(self) -> bytes:
        """Bytes of the body."""
        settings = {"profile": self.profile, "scene": self.scene, "seed": self.seed}
        given = {name: value for name, value in settings.items() if value is not None}
        return json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes."""
        try:
            settings = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise WireError("the body of a ConfigureRequest is not JSON") from error
        if not isinstance(settings, dict):
            raise WireError("the body of a ConfigureRequest is not a JSON object")
        unknown = sorted(settings.keys() - {"profile", "scene", "seed"})
        if unknown:
            raise WireError(f"an emulator has no setting {', '.join(unknown)}")
        profile, scene, seed = (settings.get(name) for name in ("profile", "scene", "seed"))
        if not isinstance(profile, str | dict | None):
            raise WireError("the setting profile must be a preset's name or a profile object")
        if not isinstance(scene, str | None):
            raise WireError("the setting scene must be a text")
        if not (seed is None or (type(seed) is int and 0 <= seed < 2**63)):
            raise WireError("the setting seed must be a whole number from 0 to 2**63 - 1")
        return cls(profile, scene, seed)


@dataclass(frozen=True, slots=True)
class Log:
    """A line of the board's log: level byte and UTF-8 text.

    Attributes
    ----------
    level : LogLevel
        Severity.
    text : str
        One line, for a person.
    """

    level: LogLevel
    text: str

    def pack(self) -> bytes:
        """Bytes of the body."""
        return bytes([self.level]) + self.text.encode()

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes; the text becomes one printable line."""
        check_min_length(cls, body, 1)
        return cls(member(LogLevel, body[0]), decode_prose(body[1:]))


@dataclass(frozen=True, slots=True)
class TimeSyncRequest(FixedBody):
    """Request the board's clock.

    Attributes
    ----------
    host_us : int
        Host clock at sending, in microseconds; only for the board's log.
    """

    host_us: int

    LAYOUT: ClassVar[Struct] = Struct("<Q")


@dataclass(frozen=True, slots=True)
class TimeSyncAnswer(FixedBody):
    """The board's clock.

    Attributes
    ----------
    board_us : int
        Board clock when it received the request, in microseconds since its start.
    """

    board_us: int

    LAYOUT: ClassVar[Struct] = Struct("<Q")


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Why a request was refused: code and UTF-8 text.

    Attributes
    ----------
    code : ErrorCode or int
        Kind of error; a plain number if it is not known here, as from a newer board.
    text : str
        One sentence for a person: what was wrong, with which value, and what to do.
    """

    code: ErrorCode | int
    text: str

    LAYOUT: ClassVar[Struct] = Struct("<H")

    def pack(self) -> bytes:
        """Bytes of the body."""
        return pack(self, self.LAYOUT, self.code) + self.text.encode()

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes; the text becomes one printable line."""
        check_min_length(cls, body, cls.LAYOUT.size)
        (code,) = cls.LAYOUT.unpack_from(body)
        known = ErrorCode(code) if code in ErrorCode._value2member_map_ else code
        return cls(known, decode_prose(body[cls.LAYOUT.size :]))
