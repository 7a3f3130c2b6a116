"""``lab.toml``: the boards of a lab, where their recordings go, and how long a lease may last."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.errors import FocalloopError

NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?")
"""Names of boards and tags: they are parts of addresses and of file names."""

MAX_BOARDS = 64
_NAME_RULE = "1 to 40 of a-z, 0-9, - and _, beginning and ending with a letter or digit"
_SOURCES = ("port", "serial", "emulate")
_EMULATE = (
    *("scene", "white", "scene-rate", "slot-rate", "profile", "pattern", "seed", "map", "size"),
    *("baud", "faults", "replay"),
)
"""Options of ``focalloop emulate`` that a board may have."""


class LabSettingsError(FocalloopError):
    """A lab.toml that cannot be used; the text names file, key and value."""


@dataclass(frozen=True)
class BoardSettings:
    """A board of the lab; exactly one of `port`, `serial` and `emulate` is given.

    Attributes
    ----------
    name : str
        Its id in addresses and on the command line.
    port : str or None
        Device name or URL.
    serial : str or None
        Serial number of its USB port, or that it gives in HELLO.
    emulate : tuple of str or None
        Options of ``focalloop emulate``, of a board that is emulated here.
    tags : tuple of str
        What a lease may ask for instead of a name.
    map : str or None
        Resting map: a file, a named tile or a bundle's; by default that of `bundle`, or
        ``tile-2of16``.
    bundle : str
        What rebuilds its windows for those who look.
    line_port : int
        TCP port of its raw line; 0 for any free one.
    recordings : str
        Folder of its recordings.
    quota_gb : float or None
        What they may take, of which the oldest that are not pinned make room; None for any.
    """

    name: str
    port: str | None = None
    serial: str | None = None
    emulate: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    map: str | None = None
    bundle: str = "network-free"
    line_port: int = 0
    recordings: str = ""
    quota_gb: float | None = None

    def to_json(self) -> str:
        """Return the settings as the worker of the board takes them."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> BoardSettings:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in json.loads(text).items()
        }
        return cls(**values)


@dataclass(frozen=True)
class LabSettings:
    """A whole lab.

    Attributes
    ----------
    boards : dict of str to BoardSettings
        By name, in the order of the file.
    lease_s, max_lease_s : float
        Length of a lease that asks for none, and the longest.
    rebuilders : int
        Windows that are rebuilt at a time, each on one core; by default half of the cores.
    """

    boards: Mapping[str, BoardSettings] = field(default_factory=dict)
    lease_s: float = 900.0
    max_lease_s: float = 86400.0
    rebuilders: int = field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2))


def load_settings(path: Path, recordings: Path) -> LabSettings:
    """Read a lab.toml.

    Parameters
    ----------
    path : Path
        The file.
    recordings : Path
        Folder for recordings where the file names none; each board has a folder in it.

    Raises
    ------
    LabSettingsError
        It cannot be read, or something in it is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LabSettingsError(
            f"cannot read {path} ({error.strerror}): name the file of your lab, as described in "
            "docs/lab.md"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LabSettingsError(f"{path} is not a TOML file: {error}") from None
    file = _Table(path, "", document)
    lab = file.table("lab")
    folder = path.parent / lab.text("recordings", str(recordings.absolute()))
    max_lease_s = lab.seconds("max_lease_s", 86400.0)
    lease_s = lab.seconds("lease_s", min(900.0, max_lease_s))
    if lease_s > max_lease_s:
        raise lab.wrong("lease_s", lease_s, f"is longer than max_lease_s, {max_lease_s:g}")
    quota_gb = lab.gigabytes("recordings_quota_gb")
    rebuilders = lab.count("rebuilders", LabSettings().rebuilders)
    lab.end()
    entries = file.table("boards")
    if len(entries.values) > MAX_BOARDS:
        raise file.wrong("boards", len(entries.values), f"are more than {MAX_BOARDS} boards")
    boards = {
        name: replace(_board(entries, name, folder, path.parent), quota_gb=quota_gb)
        for name in list(entries.values)
    }
    entries.values.clear()
    file.end()
    taken: dict[str, str] = {}
    for board in boards.values():
        place = board.port or board.serial
        if place is not None and place in taken:
            key = "port" if board.port else "serial"
            table = _Table(path, f"boards.{board.name}", {})
            raise table.wrong(key, place, f"is that of boards.{taken[place]} already")
        taken |= {} if place is None else {place: board.name}
    return LabSettings(boards, lease_s, max_lease_s, rebuilders)


def _board(entries: _Table, name: str, recordings: Path, folder: Path) -> BoardSettings:
    if not NAME.fullmatch(name):
        raise entries.wrong(name, name, f"is not the name of a board, which is {_NAME_RULE}")
    table = entries.table(name)
    given = [key for key in _SOURCES if key in table.values]
    if len(given) != 1:
        said = " and ".join(given) or "none of them"
        raise LabSettingsError(
            f"{table.file}: {table.name} has {said}: give one of port, serial and emulate"
        )
    map_ = table.optional_text("map")
    if map_ is not None and (folder / map_).is_file():
        map_ = str((folder / map_).absolute())
    board = BoardSettings(
        name=name,
        port=table.optional_text("port"),
        serial=table.optional_text("serial"),
        emulate=_emulate_options(table) if "emulate" in table.values else None,
        tags=table.tags("tags"),
        map=map_,
        bundle=table.text("bundle", "network-free"),
        line_port=table.tcp_port("line_port"),
        recordings=str((recordings / name).absolute()),
    )
    table.end()
    return board


def _emulate_options(table: _Table) -> tuple[str, ...]:
    """Return a table of options of ``focalloop emulate`` as words: ``{size = "64x64"}``."""
    inner, options = table.table("emulate"), []
    for key in list(inner.values):
        value = inner.values.pop(key)
        if key not in _EMULATE:
            raise inner.wrong(key, value, f"is not one of {', '.join(_EMULATE)}")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise inner.wrong(key, value, "is neither a text nor a number")
        options.append(f"--{key}={value}")
    return tuple(options)


class _Table:
    """A table of the file, whose keys are taken out of it as they are read."""

    def __init__(self, file: Path, name: str, values: Mapping[str, Any]) -> None:
        self.file, self.name, self.values = file, name, dict(values)

    def wrong(self, key: str, value: object, why: str) -> LabSettingsError:
        where = f"{self.name}.{key}" if self.name else key
        return LabSettingsError(f"{self.file}: {where} = {value!r} {why}")

    def table(self, key: str) -> _Table:
        value = self._take(key, {}, lambda value: isinstance(value, dict), "is not a table")
        return _Table(self.file, f"{self.name}.{key}".strip("."), value)

    def text(self, key: str, default: str) -> str:
        return self.optional_text(key) or default

    def optional_text(self, key: str) -> str | None:
        def is_text(value: object) -> bool:
            return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()

        text: str | None = self._take(key, None, is_text, "is not a text")
        return text

    def tags(self, key: str) -> tuple[str, ...]:
        def are_tags(value: object) -> bool:
            return isinstance(value, list) and all(
                isinstance(tag, str) and NAME.fullmatch(tag) for tag in value
            )

        why = f"is not a list of tags, each of {_NAME_RULE}"
        return tuple(dict.fromkeys(self._take(key, [], are_tags, why)))

    def seconds(self, key: str, default: float) -> float:
        def is_time(value: object) -> bool:
            return type(value) in (int, float) and 1 <= value <= 30 * 86400  # type: ignore[operator]

        return float(self._take(key, default, is_time, "is not a time of 1 s to 30 days"))

    def gigabytes(self, key: str) -> float | None:
        def is_size(value: object) -> bool:
            return type(value) in (int, float) and 0.001 <= value <= 1e6  # type: ignore[operator]

        size: float | None = self._take(key, None, is_size, "is not a size of 0.001 to 1e6 GB")
        return size

    def count(self, key: str, default: int) -> int:
        def is_count(value: object) -> bool:
            return type(value) is int and 1 <= value <= 64

        return int(self._take(key, default, is_count, "is not a number from 1 to 64"))

    def tcp_port(self, key: str) -> int:
        def is_port(value: object) -> bool:
            return type(value) is int and 1 <= value <= 65535

        return int(self._take(key, 0, is_port, "is not a TCP port, 1 to 65535"))

    def end(self) -> None:
        """Refuse keys that nobody has read."""
        for key, value in self.values.items():
            raise self.wrong(key, value, "is not a key that focalloop knows: check its spelling")

    def _take(self, key: str, default: Any, good: Callable[[Any], bool], why: str) -> Any:  # noqa: ANN401
        if key not in self.values:
            return default
        value = self.values.pop(key)
        if not good(value):
            raise self.wrong(key, value, why)
        return value
