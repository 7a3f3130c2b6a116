"""Windows as SigMF recordings, so that other radios put them on the air and bring back the rest.

A recording is two files, ``NAME.sigmf-data`` with the complex symbols (``cf32_le``, mean power 1 in
every window) and ``NAME.sigmf-meta`` with a description (SigMF 1.x, https://sigmf.org). Fields of
the namespace ``focalloop`` say what was sent; ``docs/radio.md`` lists them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.radio.channel import CHANNEL_KINDS, MAX_SNR_DB, MIN_SNR_DB, ChannelKind
from focalloop.firmware_sim.radio.errors import RadioError

META, DATA = ".sigmf-meta", ".sigmf-data"
"""Suffixes of the two files of a recording."""

DATATYPE = "cf32_le"

EXTENSION_VERSION = "1.1.0"
"""Version of the fields of ``focalloop``; readers take those with the same first number."""

MAX_DATA_BYTES = 4 << 30
MAX_META_BYTES = 64 << 20

_SAMPLE_BYTES = 8


@dataclass(frozen=True, eq=False)
class RecordedWindow:
    """The samples of one window.

    Attributes
    ----------
    name : str
        Name of the window or clip.
    number : int
        Window number in its header.
    symbols : ndarray of complex64, shape (n,)
        What was sent, or what was received of it.
    facts : dict of str to any
        What its header and rate map decode to, as JSON values, by the names in ``docs/radio.md``.
    """

    name: str
    number: int
    symbols: NDArray[np.complex64]
    facts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """Windows that one sender has sent, and how.

    Attributes
    ----------
    method : str
        Name of the method.
    kind : {"awgn", "rayleigh", "rayleigh-block"}
    snr_db : float
        Channel that they were sent for: it decides how headers are protected.
    sample_rate_hz : float
        Samples per second, one sample per complex symbol.
    height, width : int
        Size of the windows, pixels.
    map_hash, model_hash : str
        SHA-256 of the ratio map and of the networks, hexadecimal.
    windows : sequence of RecordedWindow
    """

    method: str
    kind: ChannelKind
    snr_db: float
    sample_rate_hz: float
    height: int
    width: int
    map_hash: str
    model_hash: str
    windows: Sequence[RecordedWindow]


def require_sigmf() -> None:
    """Check that the package that validates descriptions is installed.

    Raises
    ------
    RadioError
        It is not; the text says how to install it.
    """
    if find_spec("sigmf") is None:
        raise RadioError("SigMF recordings need the package sigmf: pip install 'focalloop[radio]'")


def files_of(path: Path) -> tuple[Path, Path]:
    """Return description and data of the recording that a path, with or without suffix, names."""
    base = path.with_suffix("") if path.suffix in (META, DATA) else path
    return base.with_name(base.name + META), base.with_name(base.name + DATA)


def write_recording(path: Path, recording: Recording) -> None:
    """Write the two files of a recording, each whole or not at all.

    Raises
    ------
    RadioError
        The description is not valid SigMF, or sigmf is not installed.
    WriteError
        A file cannot be written.
    """
    meta_path, data_path = files_of(path)
    samples = np.concatenate([window.symbols for window in recording.windows]).astype("<c8")
    described = _described(recording, hashlib.sha512(samples.tobytes()).hexdigest())
    _validate(described, meta_path)
    with written_whole(data_path) as partial:
        partial.write_bytes(samples.tobytes())
    with written_whole(meta_path) as partial:
        partial.write_text(json.dumps(described, indent=2, allow_nan=False) + "\n", "utf-8")


def read_recording(path: Path, sent: Path | None = None) -> Recording:
    """Read a recording, or what a radio has received of one.

    Parameters
    ----------
    path : Path
        Description or data of the recording.
    sent : Path, optional
        The recording that was sent, where the description at `path`, written by another program,
        does not say what its windows are.

    Raises
    ------
    RadioError
        It is not a recording of windows, or is damaged, of another type, sample rate or length, or
        holds no signal; the text says which.
    """
    meta_path, data_path = files_of(path)
    received = _read_meta(meta_path)
    described = received if sent is None else _read_meta(files_of(sent)[0])
    whole = {key: _field(described, key, kind, meta_path) for key, kind in _GLOBAL_FIELDS.items()}
    _check_channel(whole, meta_path)
    rate = _sample_rate(received, meta_path)
    if sent is not None and rate != _sample_rate(described, files_of(sent)[0]):
        raise RadioError(
            f"{meta_path} has {rate:g} samples/s, but {_sample_rate(described, sent):g} were sent: "
            "resample it to one sample per symbol"
        )
    spans = _spans(described, meta_path)
    samples = _samples(data_path, received, sum(count for _, count, _ in spans))
    return Recording(
        method=whole["method"],
        kind=whole["channel"],
        snr_db=float(whole["snr_db"]),
        sample_rate_hz=rate,
        height=whole["height"],
        width=whole["width"],
        map_hash=whole["map_hash"],
        model_hash=whole["model_hash"],
        windows=[
            RecordedWindow(
                str(facts.get("focalloop:name", facts["focalloop:window"])),
                facts["focalloop:window"],
                samples[start : start + count],
                {
                    key.removeprefix("focalloop:"): value
                    for key, value in facts.items()
                    if key.startswith("focalloop:")
                },
            )
            for start, count, facts in spans
        ],
    )


_GLOBAL_FIELDS: dict[str, type | tuple[type, ...]] = {
    "version": str,
    "method": str,
    "channel": str,
    "snr_db": (int, float),
    "height": int,
    "width": int,
    "map_hash": str,
    "model_hash": str,
}


def _described(recording: Recording, digest: str) -> dict[str, Any]:
    annotations, start = [], 0
    for window in recording.windows:
        annotations.append(
            {
                "core:sample_start": start,
                "core:sample_count": len(window.symbols),
                "core:label": f"window {window.number}",
                "focalloop:window": window.number,
                "focalloop:name": window.name,
                **{f"focalloop:{key}": value for key, value in window.facts.items()},
            }
        )
        start += len(window.symbols)
    return {
        "global": {
            "core:datatype": DATATYPE,
            "core:version": "1.0.0",
            "core:sample_rate": recording.sample_rate_hz,
            "core:sha512": digest,
            "core:num_channels": 1,
            "core:description": "Windows of a focal-plane sensor, one complex symbol per sample",
            "core:recorder": "focalloop",
            "core:extensions": [
                {"name": "focalloop", "version": EXTENSION_VERSION, "optional": True}
            ],
            "focalloop:version": EXTENSION_VERSION,
            "focalloop:method": recording.method,
            "focalloop:channel": recording.kind,
            "focalloop:snr_db": recording.snr_db,
            "focalloop:height": recording.height,
            "focalloop:width": recording.width,
            "focalloop:map_hash": recording.map_hash,
            "focalloop:model_hash": recording.model_hash,
        },
        "captures": [{"core:sample_start": 0}],
        "annotations": annotations,
    }


def _validate(described: dict[str, Any], path: Path) -> None:
    require_sigmf()
    from jsonschema import ValidationError
    from sigmf import SigMFFile, error

    try:
        SigMFFile(metadata=described).validate()
    except (ValidationError, error.SigMFError) as problem:
        reason = " ".join(str(getattr(problem, "message", problem)).split())[:200]
        raise RadioError(f"{path} is no valid SigMF description: {reason}") from None


def _read_meta(path: Path) -> dict[str, Any]:
    content = _content(path, MAX_META_BYTES)
    try:
        described = parse_json(content)
    except ValueError as error:
        raise RadioError(f"{path} is no SigMF description ({error})") from None
    parts = {"global": dict, "captures": list, "annotations": list}
    if not isinstance(described, dict) or not all(
        isinstance(described.get(key), kind) for key, kind in parts.items()
    ):
        raise RadioError(f"{path} is no SigMF description: it lacks {', '.join(parts)}")
    _validate(described, path)
    return described


def _content(path: Path, max_bytes: int) -> bytes:
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):  # a pipe may never end
            raise RadioError(f"{path} is no file, but a recording is two files: check the path")
        if found.st_size > max_bytes:
            raise RadioError(f"{path} is larger than {max_bytes >> 20} MiB: cut the recording")
        return path.read_bytes()
    except OSError as error:
        raise RadioError(f"{path} cannot be read ({error.strerror}): check the path") from None


def _field(described: dict[str, Any], key: str, kind: type | tuple[type, ...], path: Path) -> Any:  # noqa: ANN401 - one of the types
    value = described["global"].get(f"focalloop:{key}")
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RadioError(
            f"{path} does not say what its windows are (focalloop:{key} is {value!r}): give what "
            "was sent with --sent"
        )
    if key == "version" and str(value).split(".")[0] != EXTENSION_VERSION.split(".")[0]:
        raise RadioError(
            f"{path} has windows of version {value}, but this program reads {EXTENSION_VERSION}: "
            "update focalloop"
        )
    return value


def _check_channel(whole: dict[str, Any], path: Path) -> None:
    if whole["channel"] not in CHANNEL_KINDS or not MIN_SNR_DB <= whole["snr_db"] <= MAX_SNR_DB:
        raise RadioError(
            f"{path} was sent for no known channel, {whole['channel']!r} at {whole['snr_db']} dB: "
            "export it again"
        )


def _sample_rate(described: dict[str, Any], path: Path) -> float:
    rate = described["global"].get("core:sample_rate")
    if not isinstance(rate, int | float) or rate <= 0:
        raise RadioError(f"{path} has no sample rate: add core:sample_rate to it")
    return float(rate)


def _spans(described: dict[str, Any], path: Path) -> list[tuple[int, int, dict[str, Any]]]:
    """Return start, count and fields of every window; they follow each other without a gap."""
    spans, end = [], 0
    for fields in described["annotations"]:
        if "focalloop:window" not in fields:
            continue  # somebody else's
        start, count = fields["core:sample_start"], fields.get("core:sample_count")
        if start != end or not isinstance(count, int) or count < 1:
            raise RadioError(
                f"{path} has a window at sample {start} of {count} samples, where one is expected "
                f"at {end}: export it again"
            )
        if not isinstance(fields["focalloop:window"], int):
            raise RadioError(f"{path} numbers a window {fields['focalloop:window']!r}")
        spans.append((start, count, fields))
        end += count
    if not spans:
        raise RadioError(f"{path} holds no windows: give what was sent with --sent")
    return spans


def _samples(path: Path, described: dict[str, Any], expected: int) -> NDArray[np.complex64]:
    fields = described["global"]
    datatype = fields.get("core:datatype")
    if datatype != DATATYPE:
        raise RadioError(f"{path} holds {datatype} samples: convert it to {DATATYPE}")
    if fields.get("core:num_channels", 1) != 1:
        raise RadioError(f"{path} holds several channels: give one with one channel")
    data = _content(path, MAX_DATA_BYTES)
    digest = fields.get("core:sha512")
    if digest is not None and hashlib.sha512(data).hexdigest() != digest:
        raise RadioError(f"{path} is damaged, its SHA-512 differs: copy it again")
    found, rest = divmod(len(data), _SAMPLE_BYTES)
    if rest or found != expected:
        what = "missing" if found < expected else "too many"
        raise RadioError(
            f"{path} holds {len(data) / _SAMPLE_BYTES:g} samples, but its windows take {expected}: "
            f"{abs(expected - len(data) / _SAMPLE_BYTES):g} are {what}"
        )
    samples = np.frombuffer(data, "<c8").astype(np.complex64)
    if not np.isfinite(samples).all():
        first = int(np.argmin(np.isfinite(samples)))
        raise RadioError(f"{path} is not a recording: sample {first} is {samples[first]}")
    if not samples.any():
        raise RadioError(f"{path} holds zeros alone: nothing was received")
    return samples
