"""Noise profiles: the calibrated parameters of the forward model, and the presets.

Every term of the model (``docs/concepts.md``, "The forward model") is a field; zero or None turns
it off. Standard deviations are in *signal* units, where 1.0 is a full-window exposure of white.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps.defaults import DEFAULT_SLOTS
from focalloop.firmware_sim.response import MAX_BENT, MAX_SLOPE, MIN_SLOPE, Response, Signal

SCHEMA_VERSION = 1
"""Version of the JSON file; other versions are refused."""

MAX_FILE_BYTES = 1 << 20

MIN_FULL_SCALE_DN = 1e-6
"""Smallest full scale, as of boards: float32 holds signals and noise in its units."""

TYPICAL_SIGNAL = 0.25
"""A span of a quarter of a window at white, or half of one at medium gray."""


class NoiseProfileError(FocalloopError, ValueError):
    """A noise profile or its file is invalid; the message says which field and why."""


@dataclass(frozen=True, kw_only=True)
class NoiseProfile:
    """Parameters of the forward model from light to ADC codes.

    Parameters
    ----------
    name : str
        Name in reports.
    adc : bool
        False: no converter, and every noise term must be off. A uint8 scene then reads as its
        exact integer sums, a float32 scene as float32 signal.
    bits : int
        Resolution of the ADC, 1..16; codes run 0..2**bits - 1.
    black_level_dn, full_scale_dn : float
        Code of no light, below the highest; and codes from there to signal 1.0, at least
        `MIN_FULL_SCALE_DN`.
    shot : {"off", "gaussian", "poisson"}
        Shot noise: none; ``N(0, e * s_ss**2)``; or Poisson with ``1 / s_ss**2`` electrons at
        full scale.
    s_ss : float
        Shot noise at full scale (CRL section II, 4.95e-3).
    s_r : float
        Read noise, redrawn for every read (CRL section II, 7.25e-3).
    full_well : float or None
        Signal at which a pixel saturates; None: never.
    bend, bend_cubic : float
        Response curve ``e (1 + bend e + bend_cubic e^2)``, signed (`Response`).
    prnu : float
        Photo-response non-uniformity: relative deviation of the pixels' gains.
    dark_signal : float
        Mean dark signal of a full-window exposure; a span of L slots collects L/T of it.
    row_noise : float
        Offset common to the reads of one row after one slot.
    frame_offset : float
        Offset common to all reads after one slot (reset level).
    pixel_offset, column_offset : float
        Fixed-pattern offsets per pixel and per column, the same in every window.

    Raises
    ------
    NoiseProfileError
        A field is out of range, or the fields contradict each other.
    """

    name: str
    adc: bool = True
    bits: int = 16
    black_level_dn: float = 0.0
    full_scale_dn: float = 65535.0
    shot: Literal["off", "gaussian", "poisson"] = "off"
    s_ss: float = 0.0
    s_r: float = 0.0
    full_well: float | None = None
    bend: float = 0.0
    bend_cubic: float = 0.0
    prnu: float = 0.0
    dark_signal: float = 0.0
    row_noise: float = 0.0
    frame_offset: float = 0.0
    pixel_offset: float = 0.0
    column_offset: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.adc, bool):
            raise NoiseProfileError("in a noise profile, name is a text and adc is true or false")
        whole = isinstance(self.bits, Integral) and not isinstance(self.bits, bool)
        if not whole or self.bits not in range(1, 17):
            raise NoiseProfileError(
                f"bits of a noise profile must be an integer from 1 to 16, not {self.bits!r}"
            )
        object.__setattr__(self, "bits", int(self.bits))
        if self.shot not in ("off", "gaussian", "poisson"):
            raise NoiseProfileError(
                f"shot of a noise profile must be off, gaussian or poisson, not {self.shot!r}"
            )
        for name in _NUMBERS:
            value = getattr(self, name)
            if name == "full_well" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise NoiseProfileError(
                    f"{name} of a noise profile must be a number, not {value!r}"
                )
            least = -_MAX_PARAMETER if name in ("bend", "bend_cubic") else 0.0
            if not least <= value <= _MAX_PARAMETER:
                raise NoiseProfileError(
                    f"{name} of a noise profile must be {least:g} to {_MAX_PARAMETER:g}, not "
                    f"{value}"
                )
            object.__setattr__(self, name, float(value))
        if self.full_scale_dn < MIN_FULL_SCALE_DN or self.full_well == 0:
            raise NoiseProfileError(
                f"full_scale_dn of a noise profile must be {MIN_FULL_SCALE_DN:g} or more, and its "
                "full_well above 0"
            )
        if self.adc and self.black_level_dn >= (1 << self.bits) - 1:
            raise NoiseProfileError(
                f"black_level_dn of a noise profile is {self.black_level_dn:g}, but must be below "
                f"{(1 << self.bits) - 1}, the highest code of its {self.bits} bits"
            )
        if self.shot != "off" and self.s_ss == 0:
            raise NoiseProfileError("a noise profile with shot noise needs s_ss above 0")
        if not self.response.usable:
            raise NoiseProfileError(
                f"with bend {self.bend:g} and bend_cubic {self.bend_cubic:g}, the response of a "
                f"noise profile has a slope outside {MIN_SLOPE:g} to {MAX_SLOPE:g} between signal "
                f"0 and {MAX_BENT:g}, where reads no longer tell the light"
            )
        if not self.adc and not (self.noiseless and self.response.straight):
            raise NoiseProfileError(
                "a noise profile without an ADC is exact, so every noise term and the response "
                "must be off; for noise without visible quantisation use 16 bits, like the preset "
                "paper"
            )

    @property
    def noiseless(self) -> bool:
        """Whether every noise term is off."""
        terms = (self.s_r, self.prnu, self.dark_signal, self.row_noise, self.frame_offset)
        fixed = (self.pixel_offset, self.column_offset)
        return self.shot == "off" and self.full_well is None and not any((*terms, *fixed))

    @property
    def response(self) -> Response:
        """The response curve from signal to what is read."""
        return Response(self.bend, self.bend_cubic)

    def respond(self, signal: Signal) -> Signal:
        """Apply the response to an array or tensor; without a response it comes back as it is."""
        return self.response.respond(signal)

    def linearise(self, signal: NDArray[Any]) -> NDArray[np.float32]:
        """Undo the response of reads in signal units; without a response they come back as is."""
        return self.response.linearise(signal)

    def shot_and_read(self) -> tuple[float, float]:
        """Return s_ss and s_r of the two-parameter model nearest to this profile.

        Everything that a read adds independently of the light counts as read noise: offsets of
        rows, frames, columns and pixels, and quantisation. PRNU counts as shot noise, which it
        equals at `TYPICAL_SIGNAL`.
        """
        shot = self.s_ss**2 if self.shot != "off" else 0.0
        shot += self.prnu**2 * TYPICAL_SIGNAL
        read = self.s_r**2 + self.row_noise**2 + self.frame_offset**2
        read += self.pixel_offset**2 + self.column_offset**2
        read += shot * self.dark_signal * TYPICAL_SIGNAL  # its own shot noise
        if self.adc:
            read += 1 / (12 * self.full_scale_dn**2)
        return math.sqrt(shot), math.sqrt(read)

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """Dtype of the codes of a uint8 scene: uint8 if `bits` <= 8, else uint16."""
        return np.dtype(np.uint8 if self.adc and self.bits <= 8 else np.uint16)

    def signal(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Turn codes into float32 signal ``(codes - black) / full_scale``; not clipped.

        Floats, from an emulator without ADC, are signal already and are returned unchanged.
        """
        if codes.dtype.kind == "f":
            return codes.astype(np.float32, copy=False)
        dn = codes.astype(np.float32)
        dn -= np.float32(self.black_level_dn)
        dn *= np.float32(1.0 / self.full_scale_dn)
        return dn

    def __repr__(self) -> str:
        terms = ", ".join(f"{name} {value}" for name, value in self._figures().items())
        return f"<NoiseProfile {self.name!r}: {terms}>"

    def _repr_html_(self) -> str:
        """List the terms that are on, for a notebook."""
        rows = "".join(
            f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in self._figures().items()
        )
        return f"<table><caption>{escape(self.name)}</caption>{rows}</table>"

    def _figures(self) -> dict[str, str]:
        """Describe the converter and every term that is on."""
        if not self.adc:
            return {"exact": f"{self.full_scale_dn:g} DN full scale"}
        figures = {
            "ADC": f"{self.bits} bit",
            "black": f"{self.black_level_dn:g} DN",
            "full scale": f"{self.full_scale_dn:g} DN",
        }
        if self.shot != "off":
            figures["s_ss"] = f"{self.s_ss:.3g} {self.shot}"
        for name in _NUMBERS[_NUMBERS.index("s_r") :]:
            if value := getattr(self, name):
                figures[name] = f"{value:.3g}"
        return figures

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of `save` as Python values."""
        parameters = asdict(self)
        name = parameters.pop("name")
        return {
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "parameters": parameters,
            "dng_noise_profile": [self.s_ss**2 if self.shot != "off" else 0.0, self.s_r**2],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> NoiseProfile:
        """Build a profile from the values of its JSON document.

        Keys other than ``schema_version``, ``name`` and ``parameters`` document the origin of the
        numbers, and are ignored.

        Raises
        ------
        NoiseProfileError
            The document is of another version or a parameter is missing, unknown or invalid.
        """
        version = document.get("schema_version") if isinstance(document, Mapping) else None
        if version != SCHEMA_VERSION:
            newer = (
                ": update focalloop"
                if isinstance(version, int) and version > SCHEMA_VERSION
                else ""
            )
            raise NoiseProfileError(
                f"a noise profile must have schema_version {SCHEMA_VERSION}, not {version!r}{newer}"
            )
        parameters = document.get("parameters")
        if not isinstance(parameters, Mapping):
            raise NoiseProfileError("the parameters of a noise profile must be a JSON object")
        known = {field.name for field in fields(cls)} - {"name"}
        unknown = sorted(set(parameters) - known)
        if unknown:
            raise NoiseProfileError(
                f"unknown noise parameter {unknown[0]!r}; the known ones are "
                f"{', '.join(sorted(known))}"
            )
        return cls(name=document.get("name", "unnamed"), **parameters)

    def save(self, path: str | Path) -> None:
        """Write the profile as JSON, whole or not at all."""
        text = json.dumps(self.as_dict(), indent=2) + "\n"
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, name_or_path: str | Path, slots: int = DEFAULT_SLOTS) -> NoiseProfile:
        """Take a preset, or read a profile that `save` or `focalloop calibrate` wrote.

        Parameters
        ----------
        name_or_path : str or Path
            A name in `PRESETS`, or a JSON file.
        slots : int
            T of the windows, on which the preset ``ideal`` depends.

        Raises
        ------
        NoiseProfileError
            There is no such profile, or the file is not JSON or not a valid profile.
        """
        if not isinstance(name_or_path, str | Path):
            raise NoiseProfileError(
                f"a noise profile is loaded by the name of a preset or file, not from "
                f"{name_or_path!r}"
            )
        if str(name_or_path) in PRESETS:
            return preset(str(name_or_path), slots)
        path = Path(name_or_path)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            raise NoiseProfileError(
                f"there is no noise profile {str(path)!r}: give a JSON file or a preset "
                f"({', '.join(PRESETS)})"
            ) from None
        except (OSError, ValueError) as error:  # ValueError: no possible file name
            reason = getattr(error, "strerror", None) or error
            raise NoiseProfileError(f"cannot read the noise profile {path}: {reason}") from error
        if len(data) > MAX_FILE_BYTES:
            raise NoiseProfileError(
                f"{path} exceeds {MAX_FILE_BYTES >> 20} MiB, too large for a noise profile"
            )
        try:
            return cls.from_dict(parse_json(data))
        except NoiseProfileError as error:
            raise NoiseProfileError(f"{path}: {error}") from error
        except ValueError as error:
            raise NoiseProfileError(f"{path} is not a JSON noise profile ({error})") from error


_MAX_PARAMETER = 1e9
"""Largest value of any parameter: far above realistic values, with a square that fits float32."""

_NUMBERS = tuple(
    field.name for field in fields(NoiseProfile) if str(field.type).startswith("float")
)

_SCAMP5_FULL_SCALE_DN = 220.0

PRESETS: dict[str, NoiseProfile] = {
    profile.name: profile
    for profile in (
        NoiseProfile(name="ideal", adc=False, full_scale_dn=255.0 * DEFAULT_SLOTS),
        # CRL section II. 16 bits with margins, so that nothing clips and the quantisation, 6e-6, is
        # far below the read noise.
        NoiseProfile(
            name="paper",
            bits=16,
            black_level_dn=4096.0,
            full_scale_dn=49152.0,
            shot="gaussian",
            s_ss=4.95e-3,
            s_r=7.25e-3,
        ),
        # Measured on the 8-bit analog readout of one SCAMP-5 board; no shot noise is published, so
        # it is CRL's. The fixed pattern is 3.0 DN in total, of which 2.3 DN by column.
        NoiseProfile(
            name="scamp5",
            bits=8,
            black_level_dn=20.0,
            full_scale_dn=_SCAMP5_FULL_SCALE_DN,
            shot="gaussian",
            s_ss=4.95e-3,
            s_r=0.8 / _SCAMP5_FULL_SCALE_DN,
            full_well=1.0,
            frame_offset=0.39 / _SCAMP5_FULL_SCALE_DN,
            pixel_offset=math.sqrt(3.0**2 - 2.3**2) / _SCAMP5_FULL_SCALE_DN,
            column_offset=2.3 / _SCAMP5_FULL_SCALE_DN,
        ),
    )
}
"""Noise profiles by name, for windows of the default number of slots."""


def preset(name: str, slots: int = DEFAULT_SLOTS) -> NoiseProfile:
    """Return the preset `name` for windows of `slots` slots.

    Only ``ideal`` depends on `slots`: its full scale is ``255 * T``, the largest sum.

    Raises
    ------
    NoiseProfileError
        There is no such preset.
    """
    if name not in PRESETS:
        raise NoiseProfileError(
            f"there is no noise profile {name!r}; the presets are {', '.join(PRESETS)}"
        )
    if name == "ideal":
        return NoiseProfile(name="ideal", adc=False, full_scale_dn=255.0 * slots)
    return PRESETS[name]
