"""What passes between a live session and the service: its state, its pictures, its handles.

The states are plain frozen values, ready for JSON. The service sends them as they are and builds
its OpenAPI document from them, so each field says its unit. A value that is not known yet, or has
no meaning for this board, is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.live.calibration_state import CalibrationSource, CalibrationState


class Phase(StrEnum):
    """Where a live session stands."""

    STARTING = "starting"
    """Nothing is connected yet: the board or its emulator is being started."""
    CONNECTING = "connecting"
    """A board is being opened and asked who it is."""
    UPLOADING = "uploading"
    """The ratio map is on its way to the board."""
    STREAMING = "streaming"
    """Windows arrive."""
    CALIBRATING = "calibrating"
    """The stream waits while the board is calibrated."""
    LOST = "lost"
    """The board is silent or gone; the session keeps trying."""
    STOPPED = "stopped"
    """The session has ended."""


@dataclass(frozen=True)
class BoardState:
    """Who the board is, from its HELLO."""

    url: str
    name: str
    firmware: str
    serial: str
    simulated: bool
    """True for an emulated board, False for a real one."""
    height: int
    width: int
    slots: int
    bits: int
    black_level_dn: float
    full_scale_dn: float
    slot_rate_hz: float


@dataclass(frozen=True)
class MapState:
    """The ratio map the board runs."""

    hash: str
    height: int
    width: int
    slots: int
    tile_height: int
    tile_width: int
    level_shares: dict[int, float]
    """Share of the pixels at each level of the level set, in [0, 1]."""
    mean_level: float
    """Measurements a pixel a window, the mean."""
    ratio: float
    """``r_avg``: measurements against a full readout, one read a pixel a slot."""
    aperture: bool
    """Whether a coded aperture shuts single pixels in single slots."""


@dataclass(frozen=True)
class ScoreState:
    """Picture quality of one window against the truth; video clipped to [0, 1], peak 1.

    PSNR is over all slots of the window, SSIM the mean over every fourth of them.
    """

    window: int
    psnr_initial_db: float
    psnr_final_db: float
    ssim_initial: float
    ssim_final: float


@dataclass(frozen=True)
class LinkState:
    """Counters of the serial link since the session began, and its present rate."""

    rate_bytes_per_s: float = 0.0
    received_bytes: int = 0
    bad_frames: int = 0
    resends: int = 0
    reconnects: int = 0
    frame_bytes: int = 0
    """Longest frame body in use; a line that damages long ones gets shorter ones."""
    round_trip_ms: float | None = None
    """From a request to its answer, smoothed."""


@dataclass(frozen=True)
class SpeedState:
    """How fast windows come, are rebuilt and reach the screen."""

    windows_received: int = 0
    windows_reconstructed: int = 0
    windows_lost: int = 0
    """Announced by the board and never received whole."""
    windows_passed_over: int = 0
    """Received whole and not reconstructed: a newer one was already there."""
    windows_skipped: int = 0
    """Exposed by the board and not read out, since the host was not ready for them."""
    received_per_s: float = 0.0
    reconstructed_per_s: float = 0.0
    reconstruct_ms: float | None = None
    """Median time of the network alone."""
    latency_p50_ms: float | None = None
    """End of a window's last slot to its first picture drawn by a page: the median."""
    latency_p95_ms: float | None = None
    first_picture_s: float | None = None
    """From the start of the session to the first reconstructed window."""


@dataclass(frozen=True)
class Message:
    """One line of what happened, for people."""

    time_s: float
    """Seconds since the epoch."""
    level: str
    """``info``, ``warning`` or ``error``."""
    text: str


@dataclass(frozen=True)
class LiveState:
    """All a page or a script needs to know about a live session."""

    phase: Phase = Phase.STARTING
    activity: str = ""
    """What is being done right now, a few words."""
    progress: float | None = None
    """Share of the activity that is done, in [0, 1]."""
    scene: str = ""
    profile: str = ""
    bundle: str = ""
    """Name of what was chosen to reconstruct: a bundle, or ``network-free``."""
    rebuilt_by: str = ""
    """Name of what reconstructs under the map that the board runs: another than `bundle` where the
    network of that was trained for another map."""
    board: BoardState | None = None
    map: MapState | None = None
    scores: ScoreState | None = None
    link: LinkState = field(default_factory=LinkState)
    speed: SpeedState = field(default_factory=SpeedState)
    calibration: CalibrationState = field(default_factory=CalibrationState)
    messages: tuple[Message, ...] = ()
    """The newest last; at most 50."""


@dataclass(frozen=True)
class BundleState:
    """Something a session can reconstruct with."""

    name: str
    title: str
    ratio: float | None = None
    """``r_avg`` of its map; None for the network-free path."""
    aperture: bool = False
    """Whether that map has a coded aperture."""
    any_map: bool = False
    """Whether its network takes any map, and not just its own."""
    psnr_db: float | None = None
    """On the open test set, as the bundle states it; None where it does not."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One reconstructed window: the slots that are drawn, and what they were rebuilt from."""

    window: int
    map_hash: bytes
    slots: range
    """Which slots of the window the planes are; its step is a power of two."""
    truth: NDArray[np.uint8] | None
    """Scene, shape (slots, H, W); None where the board does not know it."""
    initial: NDArray[np.uint8]
    """Initial reconstruction (CRL Eq. 3), clipped to [0, 1] and scaled to 255; as `truth`."""
    final: NDArray[np.uint8]
    """Final reconstruction, as `initial`."""
    readout: NDArray[np.uint8] | NDArray[np.uint16]
    """Measurements in DN in the order of the read plan, shape (count,)."""


class LiveSource(Protocol):
    """What the service shows and steers; `focalloop.host.live.session.LiveSession` is one."""

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map the board runs, None before the first upload."""
        ...

    @property
    def calibrator(self) -> CalibrationSource:
        """The calibration of the board."""
        ...

    def state(self) -> LiveState:
        """Return how the session stands now."""
        ...

    def picture(self) -> Picture | None:
        """Return the newest picture."""
        ...

    def subscribe(self, called: Callable[[], None]) -> Callable[[], None]:
        """Have `called` run, in a thread of the session, at each new picture; returns its end."""
        ...

    def want(self, viewer: object, step: int | None) -> None:
        """Ask for every `step`-th slot of the coming windows for a viewer; None takes it back."""
        ...

    def drawn(self, window: int) -> None:
        """Note that a viewer has just put a window on the screen."""
        ...

    def upload(self, ratio_map: RatioMap) -> None:
        """Bring a map onto the board and run it; returns when it runs."""
        ...

    def bundles(self) -> list[BundleState]:
        """Return everything that can reconstruct."""
        ...

    def select(self, name: str) -> None:
        """Run the named bundle's map and reconstruct with its network; returns when it runs.

        ``network-free`` leaves the network out and the map as it is.
        """
        ...


def map_state(ratio_map: RatioMap) -> MapState:
    """Return what there is to tell about a map."""
    height, width = ratio_map.shape
    tile_height, tile_width = ratio_map.tile.shape
    counts = np.bincount(ratio_map.levels.reshape(-1), minlength=256)
    return MapState(
        hash=ratio_map.hash_hex,
        height=height,
        width=width,
        slots=ratio_map.slots,
        tile_height=tile_height,
        tile_width=tile_width,
        level_shares={
            level: float(counts[level]) / (height * width) for level in ratio_map.level_set
        },
        mean_level=ratio_map.mean_level,
        ratio=ratio_map.ratio,
        aperture=ratio_map.aperture is not None,
    )
