"""The methods that are compared: how each is made, where it is measured, how it is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.radio.scores import Point
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.radio.budget import PUBLISHED, CodedModulation
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.radio.block_errors import best_scheme
from focalloop.host.radio.codec import Codec
from focalloop.host.radio.compressed import Compressed
from focalloop.host.radio.h264 import H264Method
from focalloop.host.radio.ldpc import LdpcLink
from focalloop.host.radio.methods import SENSING_BUNDLE, Method, Sensing, load_method
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.host.radio.send import Outgoing, sent
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.reconstruction.reconstruct import Float32

PUBLISHED_CHANNEL = Channel("awgn", 10)
"""Where the method's paper compares."""

BUDGETS = (4_500.0, 6_144.0, 8_600.0, 13_000.0, 18_432.0, 24_000.0)
"""Symbols per 256x256 pixels of methods that take a budget."""

CRF = (33.0, 35.0, 37.0, 39.0, 41.0, 43.0)
"""Rate factors of H.264, each the same for all windows: constant quality."""

QUALITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the codec's qualities, each the same for all windows."""

COMMON_SYMBOLS = 12_288
"""Symbols per 256x256 pixels where methods are compared over SNR, or as near as settings come."""

SNRS = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)
CLIFF = (8.5, 9.0, 9.5)
"""SNRs between them for what is coded, which falls off there."""

CODED_DRAWS = 8
"""Draws of the channel for a point of what is coded, as one lost block costs a window; one for each
point of the sweep ``snr``, in which nearly all windows arrive or none."""

NOISE = "paper"
SENSOR_SEED = CHANNEL_SEED = 0

Maker = Callable[
    [Sensing, Path | None], Callable[[float, CodedModulation], tuple[Method, int | None]]
]
"""Gives, for a sensing and a radio bundle or the shipped one, what makes the method of a setting,
and the symbols that it is given."""


def _by_budget(name: str) -> Maker:
    def make(
        sensing: Sensing, model: Path | None
    ) -> Callable[[float, CodedModulation], tuple[Method, int]]:
        method, share = load_method(name, sensing, model), _share(sensing)
        return lambda symbols, scheme: (method, round(share * symbols))

    return make


def _share(sensing: Sensing) -> float:
    """Return the pixels of a window over those of 256x256."""
    height, width = sensing.ratio_map.shape
    return height * width / 256**2


def _compressed(name: str) -> Maker:
    def make(
        sensing: Sensing, model: Path | None
    ) -> Callable[[float, CodedModulation], tuple[Method, None]]:
        codec = Codec.load(model, threads=1)

        def at(share: float, scheme: CodedModulation) -> tuple[Method, None]:
            link = None if name == "compr-cap" else LdpcLink(scheme)
            quality = round(share * (codec.qualities - 1))
            return Compressed(name, sensing, codec, link, quality), None

        return at

    return make


class _EncodedOnce(H264Method):
    """H.264 whose streams are kept, as the channel changes nothing about them."""

    def __init__(self, sensing: Sensing, crf: float) -> None:
        super().__init__(sensing, LdpcLink(), crf)
        self._streams: dict[bytes, bytes] = {}

    def stream(self, reads: Float32, channel: Channel, symbols: int | None = None) -> bytes:
        key = reads.tobytes()
        if key not in self._streams:
            self._streams[key] = super().stream(reads, channel, symbols)
        return self._streams[key]


def _h264(
    sensing: Sensing, model: Path | None
) -> Callable[[float, CodedModulation], tuple[Method, None]]:
    methods: dict[float, _EncodedOnce] = {}

    def method(crf: float, scheme: CodedModulation) -> tuple[Method, None]:
        found = methods.setdefault(crf, _EncodedOnce(sensing, crf))
        found.link = LdpcLink(scheme)
        return found, None

    return method


@dataclass(frozen=True)
class Rival:
    """A method of the comparison.

    Attributes
    ----------
    label : str
        In tables and figures.
    colour, marker : str
        Of its line.
    make : callable
        As `Maker`.
    settings : tuple of float
        Points of the curve at 10 dB.
    coded : bool
        Whether it is sent over LDPC codes, and so at the best scheme of each SNR as well.
    joint : str or None
        Radio bundle of a link that was trained together with its sensing
        (``focalloop radio train joint``), the bundle ``NAME-sensing`` beside it.
    """

    label: str
    colour: str
    marker: str
    make: Maker
    settings: tuple[float, ...] = BUDGETS
    coded: bool = False
    joint: str | None = None


RIVALS: dict[str, Rival] = {
    "semcom": Rival("SemCom", "#d55e00", "o", _by_budget("semcom")),
    "semcom-noran": Rival("SemCom+noRAN", "#e69f00", "v", _by_budget("semcom-noran")),
    "compr-cap": Rival("Compr+Cap", "#56b4e9", "^", _compressed("compr-cap"), QUALITIES),
    "compr-ldpc": Rival(
        "Compr+LDPC", "#0072b2", "s", _compressed("compr-ldpc"), QUALITIES, coded=True
    ),
    "jscc": Rival("Sensordata+JSCC", "#cc79a7", "P", _by_budget("jscc")),
    "h264-ldpc": Rival("Video+H.264+LDPC", "#009e73", "D", _h264, CRF, coded=True),
    "linear": Rival("linear", "#777777", "X", _by_budget("linear")),
}
RIVALS |= {
    f"{name}-joint": replace(RIVALS[name], label=f"{RIVALS[name].label}, joint", joint=bundle)
    for name, bundle in {
        "semcom": "joint-semcom",
        "compr-cap": "joint-compr",
        "compr-ldpc": "joint-compr",
        "semcom-noran": "joint-semcom-noran",
    }.items()
}
"""By the name of the file of scores."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What all methods share: the sensing, the windows, and how they were made.

    Attributes
    ----------
    sensing : Sensing
        The frozen map and reconstruction.
    windows : list of Outgoing
        The measurements of every clip, and the clip.
    tested_on : dict of str to any
        What is stored with scores.
    model : Path or None
        Radio bundle of the link, where it is not the shipped one of the method.
    """

    sensing: Sensing
    windows: list[Outgoing]
    tested_on: dict[str, Any]
    model: Path | None = None

    @classmethod
    def of(cls, path: Path, max_clips: int | None = None, *, joint: Path | None = None) -> Bench:
        """Capture the clips of a file or folder with the emulated sensor.

        Parameters
        ----------
        path : Path
            The clips.
        max_clips : int or None, optional
            How many; all by default.
        joint : Path or None, optional
            Radio bundle of a link that was trained together with its sensing.

        Raises
        ------
        FocalloopError
            The clips cannot be read, or are no multiple of the map's tile.
        """
        name = SENSING_BUNDLE if joint is None else joint.with_name(f"{joint.name}-sensing")
        bundle, clips = Bundle.load(name), load_clips(path, max_clips=max_clips)
        ratio_map = bundle.ratio_map.tiled_to(*clips.clips.shape[2:])
        captured = capture_clips(clips.clips, ratio_map, preset(NOISE), seed=SENSOR_SEED)
        windows = [Outgoing(*each) for each in zip(clips.names, captured, clips.clips, strict=True)]
        about = {
            "file": path.name,
            "sha256": hashlib.sha256(np.ascontiguousarray(clips.clips).tobytes()).hexdigest(),
            "names": list(clips.names),
            "sensing": bundle.name,
            "noise": NOISE,
            "sensor_seed": SENSOR_SEED,
            "channel_seed": CHANNEL_SEED,
        }
        if joint is not None:
            about["joint"] = _trained(RadioBundle.load(joint))
        return cls(Sensing(ratio_map, bundle.reconstructor(threads=1)), windows, about, joint)

    def measured(self, name: str, sweep: str, curve: Sequence[Point]) -> Iterator[Point]:
        """Measure one of `scores.SWEEPS` of a method.

        Parameters
        ----------
        name : str
            One of `RIVALS`.
        sweep : str
            ``symbols`` is its curve at 10 dB. ``snr`` is at about `COMMON_SYMBOLS` over SNR, and
            ``snr-best`` the same for what is coded, at the best scheme of each SNR where a
            setting takes so few.
        curve : sequence of Point
            The curve, where what is coded finds the setting that takes so many symbols.
        """
        rival = RIVALS[name]
        make = rival.make(self.sensing, self.model)
        if sweep == "symbols":
            for setting in rival.settings:
                yield self._point(rival, make, sweep, setting, PUBLISHED_CHANNEL, PUBLISHED)
        elif rival.joint is not None:
            return  # the published comparison is at one SNR
        elif sweep == "snr" and not rival.coded:
            make = _by_budget(name)(self.sensing, None)
            for snr in SNRS:
                channel = Channel("awgn", snr)
                yield self._point(rival, make, sweep, COMMON_SYMBOLS, channel, PUBLISHED)
        elif rival.coded:
            for snr in SNRS if sweep == "snr-best" else sorted((*SNRS, *CLIFF)):
                channel = Channel("awgn", snr)
                scheme = best_scheme(channel) if sweep == "snr-best" else PUBLISHED
                # As many symbols of the published scheme as carry the bits.
                alike = COMMON_SYMBOLS * scheme.efficiency / PUBLISHED.efficiency
                alike *= _share(self.sensing)
                if alike < 0.9 * min(point.symbols.mean() for point in curve):
                    continue  # even its coarsest setting takes more
                setting = _setting_for(curve, alike)
                yield self._point(rival, make, sweep, setting, channel, scheme)

    def _point(
        self,
        rival: Rival,
        make: Callable[[float, CodedModulation], tuple[Method, int | None]],
        sweep: str,
        setting: float,
        channel: Channel,
        scheme: CodedModulation,
    ) -> Point:
        method, symbols = make(setting, scheme)
        send = partial(sent, self.windows, method, self.sensing, channel, symbols=symbols)
        draws = CODED_DRAWS if rival.coded and sweep != "snr" else 1
        runs = [list(send(seed=CHANNEL_SEED + draw)) for draw in range(draws)]
        return Point.of(sweep, setting, channel, str(scheme) if rival.coded else None, runs)


def _trained(bundle: RadioBundle) -> dict[str, Any]:
    """Return what came of a joint training, and how long it was."""
    training = bundle.meta["training"]
    result = {key: training["result"][key] for key in ("step", "minutes")}
    return {"recipe": training["recipe"], **result, "tile": bundle.tile.tolist()}


def _setting_for(curve: Sequence[Point], symbols: float) -> float:
    """Return the setting whose windows take so many symbols on average, interpolated."""
    places = sorted((float(np.log(point.symbols.mean())), point.setting) for point in curve)
    logs, settings = zip(*places, strict=True)
    return round(float(np.interp(np.log(symbols), logs, settings)), 2)
