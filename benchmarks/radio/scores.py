"""The scores of the methods, one file for each (``docs/results/radio/METHOD.json``).

A file holds the PSNR, SSIM, symbols and bits of every clip at every point: a setting of the method,
on a channel. So tables and figures need neither networks nor clips, and intervals can be taken over
any of the clips.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.maps.scores import write_whole
from benchmarks.radio.curves import Curve
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.host.radio.send import SentWindow

SCHEMA = 1
SWEEPS = ("symbols", "snr", "snr-best")
"""Settings at one SNR; SNRs at one setting; the same with the best coded modulation of each."""

FOLDER = Path("docs/results/radio")

OPEN_CLIPS = (
    "bikes_wall_calm",
    "bikes_rack_calm",
    "balance_cam03_60fps",
    "jump_static_camera",
    "ocean_underwave",
    "box_hand",
)
"""The open subset of the public clips, which anybody can rebuild (``docs/test-set.md``)."""

Float = NDArray[np.float64]


class RadioScoresError(FocalloopError):
    """Scores that are missing or cannot be compared."""


@dataclass(frozen=True, eq=False)
class Point:
    """A setting of a method on a channel, over all clips.

    Attributes
    ----------
    sweep : str
        What varies beside it: one of `SWEEPS`.
    setting : float
        The method's knob: symbols per window, or the rate factor of H.264.
    channel : Channel
        What the windows passed through.
    scheme : str or None
        Constellation and code rate of a bitstream.
    symbols, psnr, ssim : ndarray of float64, shape (clips,)
        Complex symbols per window, and the quality of what was shown; dB and 0 to 1.
    parts : dict of str to ndarray, shape (clips,)
        The symbols by what they are for.
    bits : ndarray of float64, shape (clips,), or None
        Information bits.
    block_errors : ndarray of int64, shape (clips,)
        Blocks that failed, in all draws.
    lost : ndarray of float64, shape (clips,)
        Share of the draws in which nothing of the window arrived.
    draws : int
        Draws of the channel over which quality is averaged.
    """

    sweep: str
    setting: float
    channel: Channel
    scheme: str | None
    symbols: Float
    psnr: Float
    ssim: Float
    parts: dict[str, Float]
    bits: Float | None
    block_errors: NDArray[np.int64]
    lost: Float
    draws: int

    @classmethod
    def of(
        cls,
        sweep: str,
        setting: float,
        channel: Channel,
        scheme: str | None,
        runs: Sequence[Sequence[SentWindow]],
    ) -> Point:
        """Gather what became of the windows of every clip in each draw of the channel."""
        counts = [window.symbols for window in runs[0]]
        bits = [window.delivery.bits for window in runs[0]]
        errors = [[window.delivery.block_errors for window in run] for run in runs]
        return cls(
            sweep,
            setting,
            channel,
            scheme,
            np.array([count.total for count in counts], np.float64),
            np.mean([np.array([each.psnr for each in run], np.float64) for run in runs], axis=0),
            np.mean([np.array([each.ssim for each in run], np.float64) for run in runs], axis=0),
            {
                part: np.array([getattr(count, part) for count in counts], np.float64)
                for part in ("payload", "rate_map", "header")
            },
            None if None in bits else np.array(bits, np.float64),
            np.sum(errors, axis=0, dtype=np.int64),
            np.mean([[window.delivery.lost for window in run] for run in runs], axis=0),
            len(runs),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "sweep": self.sweep,
            "setting": self.setting,
            "channel": self.channel.kind,
            "snr": self.channel.snr_db,
            "scheme": self.scheme,
            "symbols": _whole(self.symbols),
            "psnr": [round(float(value), 4) for value in self.psnr],
            "ssim": [round(float(value), 4) for value in self.ssim],
            "parts": {part: _whole(values) for part, values in self.parts.items()},
            "bits": None if self.bits is None else _whole(self.bits),
            "block_errors": _whole(self.block_errors),
            "lost": self.lost.tolist(),
            "draws": self.draws,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Point:
        """Undo `as_dict`."""
        return cls(
            row["sweep"],
            row["setting"],
            Channel(row["channel"], row["snr"]),
            row["scheme"],
            np.array(row["symbols"], np.float64),
            np.array(row["psnr"], np.float64),
            np.array(row["ssim"], np.float64),
            {part: np.array(values, np.float64) for part, values in row["parts"].items()},
            None if row["bits"] is None else np.array(row["bits"], np.float64),
            np.array(row["block_errors"], np.int64),
            np.array(row["lost"], np.float64),
            row.get("draws", 1),
        )


@dataclass(frozen=True, eq=False)
class MethodScores:
    """All points of a method.

    Attributes
    ----------
    name : str
        As in `benchmarks.radio.rivals.RIVALS`.
    tested_on : dict of str to any
        File, SHA-256 and names of the clips, sensing, noise and seeds; ``joint`` says how a sensing
        that was trained together with its link came about.
    points : tuple of Point
        In the order of measurement.
    """

    name: str
    tested_on: dict[str, Any]
    points: tuple[Point, ...]

    @property
    def clips(self) -> list[str]:
        """Names of the clips."""
        return list(self.tested_on["names"])

    @property
    def trained(self) -> str:
        """How long link and sensing were trained together, and the tile that came of it."""
        joint = self.tested_on["joint"]
        rows = " / ".join(" ".join(map(str, row)) for row in joint["tile"])
        return f"{joint['step']} steps in {joint['minutes']:.0f} minutes, tile {rows}"

    def swept(self, sweep: str) -> list[Point]:
        """Return the points of one of `SWEEPS`."""
        return [point for point in self.points if point.sweep == sweep]

    def curve(self, clips: Sequence[str]) -> Curve:
        """Return PSNR over symbols, on some of the clips.

        Raises
        ------
        RadioScoresError
            There are fewer than two points.
        """
        points = self.swept("symbols")
        if len(points) < 2:
            raise RadioScoresError(
                f"{self.name} has {len(points)} points, and a curve needs two: "
                f"run  python -m benchmarks.radio measure {self.name}"
            )
        places = [self.clips.index(clip) for clip in clips]
        return Curve.of([(point.symbols[places], point.psnr[places]) for point in points])

    def save(self, folder: Path) -> Path:
        """Write the file of the method, a point per line."""
        rows = ",\n  ".join(json.dumps(point.as_dict()) for point in self.points)
        head = {"schema": SCHEMA, "method": self.name, "tested_on": self.tested_on}
        body = json.dumps(head, indent=1).removesuffix("\n}")
        path = folder / f"{self.name}.json"
        write_whole(path, f'{body},\n "points": [\n  {rows}\n ]\n}}\n')
        return path


def load(folder: Path, names: Sequence[str]) -> list[MethodScores]:
    """Read those methods that were measured; all on the same clips.

    Raises
    ------
    RadioScoresError
        None was, a file is damaged, or two were measured in different ways.
    """
    found: list[MethodScores] = []
    for name in names:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        try:
            document = json.loads(path.read_text("utf-8"))
            if document["schema"] != SCHEMA:
                raise RadioScoresError(f"{path} has schema {document['schema']}, not {SCHEMA}")
            points = tuple(Point.from_dict(row) for row in document["points"])
            found.append(MethodScores(document["method"], document["tested_on"], points))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RadioScoresError(
                f"{path} does not hold scores ({error}): "
                f"run  python -m benchmarks.radio measure {name}"
            ) from None
        if _common(found[-1].tested_on) != _common(found[0].tested_on):
            raise RadioScoresError(
                f"{name} was measured on other clips, or in another way, than {found[0].name}: "
                "measure both again"
            )
    if not found:
        raise RadioScoresError(
            f"{folder} has no scores of {', '.join(names)}: run  python -m benchmarks.radio measure"
        )
    return found


def stored_points(folder: Path, name: str, about: dict[str, Any]) -> list[Point]:
    """Return the points of a method that were measured as `about` says; none if otherwise."""
    if not (folder / f"{name}.json").exists():
        return []
    (found,) = load(folder, [name])
    return list(found.points) if found.tested_on == about else []


def _common(about: dict[str, Any]) -> dict[str, Any]:
    """Return what must be alike for scores to be compared: all but a sensing that was learned."""
    return {key: value for key, value in about.items() if key not in ("sensing", "joint")}


def _whole(values: NDArray[Any]) -> list[int]:
    return [round(float(value)) for value in values]
