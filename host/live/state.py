"""What a live session shows to the service: its state and pictures, and the calls it takes.

The states are plain frozen values, ready for JSON. The service sends them unchanged and builds its
OpenAPI document from them, so the name of each field says its unit. A value that is not known yet,
or has no meaning for this board, is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.live.adaptive_state import AdaptiveState
from focalloop.host.live.calibration_state import CalibrationSource, CalibrationState
from focalloop.host.live.radio_state import RadioChoice, RadioSource, RadioState
from focalloop.host.recording.recorder import RecorderState

if TYPE_CHECKING:
    from focalloop.host.live.recording_desk import RecordingDesk

MAX_MESSAGES = 50
"""Messages that a state carries."""


class Phase(StrEnum):
    """What a live session is doing."""

    STARTING = "starting"
    """The board or its emulator is being started."""
    CONNECTING = "connecting"
    """The board is being opened and identified."""
    UPLOADING = "uploading"
    """The ratio map is being sent to the board."""
    STREAMING = "streaming"
    """Windows arrive."""
    CALIBRATING = "calibrating"
    """The board is being calibrated; the stream is paused."""
    LOST = "lost"
    """The board is silent or gone; the session keeps trying to reconnect."""
    STOPPED = "stopped"
    """The session has ended."""


@dataclass(frozen=True)
class BoardIdentity:
    """What the board says of itself in its HELLO."""

    url: str
    name: str
    firmware: str
    serial: str
    simulated: bool
    """True for an emulated board."""
    replay: bool
    """Whether its windows were recorded earlier, of the board that it names."""
    gives_scene: bool
    """Whether it can be asked for the scene behind a window, the ground truth."""
    height: int
    width: int
    slots: int
    bits: int
    black_level_dn: float
    full_scale_dn: float
    slot_rate_hz: float


@dataclass(frozen=True)
class MapState:
    """The ratio map that the board runs."""

    hash: str
    height: int
    width: int
    slots: int
    tile_height: int
    tile_width: int
    level_shares: dict[int, float]
    """Share of pixels at each level of the level set, in [0, 1]."""
    mean_level: float
    """Measurements per pixel and window, averaged over the array."""
    ratio: float
    """``r_avg``: measurements relative to a full readout, which reads each pixel in each slot."""
    aperture: bool
    """Whether a coded aperture closes pixels in some slots."""


@dataclass(frozen=True)
class ScoreState:
    """Quality of one window's reconstructions against its scene; video clipped to [0, 1], peak 1.

    PSNR is over all slots of the window, SSIM the mean over every fourth slot.
    """

    window: int
    setup: int
    """As in `Picture`."""
    psnr_initial_db: float
    psnr_final_db: float
    ssim_initial: float
    ssim_final: float
    radio: RadioChoice | None = None
    """How the window was sent; None where it was not sent over a radio."""
    beside: str = ""
    """Bundle that rebuilt the same window beside; empty if none did, and the next two are null."""
    psnr_beside_db: float | None = None
    ssim_beside: float | None = None


@dataclass(frozen=True)
class ComparisonState:
    """A second bundle, which rebuilds the same windows while somebody looks at it."""

    bundle: str
    """As it was chosen, or ``network-free``."""
    reconstructed_by: str
    """Bundle that does so under the board's present map, as in `LiveState`."""
    setup: int
    """Number of the pair of the map and `reconstructed_by`, as in `Picture.beside_setup`."""
    reconstruct_ms: float | None
    """Median time that it takes per window, in addition to the first; None where nobody looks."""


@dataclass(frozen=True)
class LinkState:
    """Counters of the serial link since the board was opened, and its present rate."""

    rate_bytes_per_s: float = 0.0
    received_bytes: int = 0
    bad_frames: int = 0
    resends: int = 0
    reconnects: int = 0
    frame_bytes: int = 0
    """Longest frame body in use: shorter on a line that damages long frames."""
    round_trip_ms: float | None = None
    """Time from a request to its answer, smoothed."""


@dataclass(frozen=True)
class SpeedState:
    """How many windows arrive, are reconstructed and reach the screen, and how fast."""

    windows_received: int = 0
    windows_reconstructed: int = 0
    windows_lost: int = 0
    """Announced by the board and never received whole."""
    windows_dropped_by_host: int = 0
    """Received whole and not reconstructed, because a newer one had already arrived."""
    windows_dropped_by_board: int = 0
    """Exposed by the board and not read out, because the host had granted no credit."""
    received_per_s: float = 0.0
    reconstructed_per_s: float = 0.0
    """This rate and the times below are those of the present setup alone."""
    reconstruct_ms: float | None = None
    """Median time of the network alone, over the last 60 windows."""
    latency_p50_ms: float | None = None
    """Median time from the end of a window's last slot to its first picture on a page."""
    latency_p95_ms: float | None = None
    first_picture_s: float | None = None
    """Time from the start of the session to its first reconstructed window."""


@dataclass(frozen=True)
class DiskState:
    """The disk on which recordings are kept."""

    free_bytes: int
    floor_bytes: int
    """Free disk at which a recording ends by itself."""


@dataclass(frozen=True)
class Message:
    """One event, as a sentence for people."""

    time_s: float
    """Seconds since the Unix epoch."""
    level: str
    """``info``, ``warning`` or ``error``."""
    text: str


@dataclass(frozen=True)
class LiveState:
    """Everything that a page or a script needs to know about a live session."""

    phase: Phase = Phase.STARTING
    activity: str = ""
    """What is being done right now, in a few words."""
    progress: float | None = None
    """Completed share of the activity, in [0, 1]."""
    scene: str = ""
    footage: str = ""
    """How the clip was filmed and how it is played; empty if that is not known."""
    profile: str = ""
    bundle: str = ""
    """Selected bundle, or ``network-free``."""
    corrected_by: str = ""
    """What the reads are corrected by before they are reconstructed; empty if they are not."""
    reconstructed_by: str = ""
    """Bundle that reconstructs under the board's present map, or ``network-free``; differs from
    `bundle` where that one's network was trained for another map."""
    noise_note: str = ""
    """How the noise of the board differs from what that one is for; empty if it does not, or if the
    noise is not known."""
    setup: int = 0
    """Number of the pair of `map` and `reconstructed_by`; 0 before there is one. A picture with the
    same number was made by this pair."""
    signal_electrons: float | None = None
    """Electrons of a signal of 1; None where no calibration of the board tells them."""
    board: BoardIdentity | None = None
    map: MapState | None = None
    can_go_back: bool = False
    """Whether the map before the last upload can be restored."""
    scores: ScoreState | None = None
    """Of the present setup."""
    comparison: ComparisonState | None = None
    """None where no second bundle is chosen."""
    radio: RadioState | None = None
    """None where the session has no radio link."""
    adaptive: AdaptiveState | None = None
    """None where the session has no adaptive map."""
    link: LinkState = field(default_factory=LinkState)
    speed: SpeedState = field(default_factory=SpeedState)
    calibration: CalibrationState = field(default_factory=CalibrationState)
    recording: RecorderState | None = None
    """Of the present or last recording; None before the first."""
    disk: DiskState | None = None
    """None where no recordings are kept."""
    messages: tuple[Message, ...] = ()
    """At most `MAX_MESSAGES`, oldest first."""


@dataclass(frozen=True)
class BundleState:
    """A bundle that can be selected, or ``network-free``."""

    name: str
    title: str
    ratio: float | None = None
    """``r_avg`` of its map; None for ``network-free``."""
    aperture: bool = False
    """Whether its map has a coded aperture."""
    any_map: bool = False
    """Whether its network reconstructs under any map, not only under its own."""
    psnr_db: float | None = None
    """Mean PSNR on the open test set as stated by the bundle; None where it states none."""
    suits: bool = False
    """Whether its network suits the map that the board runs; without a network, any map does."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One reconstructed window: the slots to be drawn, and the measurements behind them."""

    window: int
    map_hash: bytes
    setup: int
    """Number of the pair of map and network that made it; see `LiveState`."""
    slots: range
    """Slots of the window that the planes show; the step is a power of two."""
    truth: NDArray[np.uint8] | None
    """Scene, shape (len(slots), H, W); None where the board does not know it."""
    initial: NDArray[np.uint8]
    """Reconstruction without a network (`NetworkFree`; under a grid CRL Eq. 3), clipped to [0, 1]
    and scaled to 255; shape of `truth`."""
    final: NDArray[np.uint8]
    """Final reconstruction, like `initial`."""
    readout: NDArray[np.uint8] | NDArray[np.uint16]
    """Measurements in DN in the order of the read plan, shape (number of reads,)."""
    beside_setup: int = 0
    """Number of the pair of map and second bundle; 0 if none was chosen."""
    beside: NDArray[np.uint8] | None = None
    """Reconstruction by the second bundle, like `final`; None if nobody looked at it."""
    grid: NDArray[np.uint8] | None = None
    """Tiles of its blocks, (R, C), where it was read under a grid of an adaptive map."""


class LiveSource(Protocol):
    """What the service needs of a session; `focalloop.host.live.session.LiveSession` has it."""

    @property
    def ratio_map(self) -> RatioMap | None:
        """Map that the board runs, at rest if it is adaptive; None before the first upload."""
        ...

    @property
    def adaptive_map(self) -> AdaptiveMap | None:
        """Adaptive map that the board runs, if it runs one."""
        ...

    @property
    def calibrator(self) -> CalibrationSource:
        """Calibrates the board."""
        ...

    @property
    def radio(self) -> RadioSource | None:
        """Carries the windows; None where they are not sent over a radio."""
        ...

    @property
    def recordings(self) -> RecordingDesk | None:
        """Records the windows; None where no recordings are kept."""
        ...

    def state(self) -> LiveState:
        """Return a snapshot of the session."""
        ...

    def picture(self) -> Picture | None:
        """Return the newest picture."""
        ...

    def subscribe(self, called: Callable[[], None]) -> Callable[[], None]:
        """Call a function, in a thread of the session, at each new picture; returns unsubscribe."""
        ...

    def want(self, viewer: object, step: int | None, *, beside: bool = False) -> None:
        """Ask for every `step`-th slot of the next windows for a viewer; None withdraws that.

        With `beside`, it wants them rebuilt by the second bundle too, if one is chosen.
        """
        ...

    def drawn(self, window: int) -> None:
        """Record that a viewer has just put a window on its screen."""
        ...

    def upload(self, ratio_map: RatioMap, based_on: str | None = None) -> None:
        """Upload a map, in place of the one with the hash `based_on` if that is given.

        Returns once the board runs it.
        """
        ...

    def back(self) -> None:
        """Upload the map before the last upload again; returns once the board runs it."""
        ...

    def keep(self) -> None:
        """Give up the map before the last upload."""
        ...

    def follow_scene(self) -> None:
        """Run the adaptive map of the session again; returns once the board does."""
        ...

    def bundles(self) -> list[BundleState]:
        """Return everything that can be selected."""
        ...

    def select(self, name: str) -> None:
        """Upload the map of a bundle and reconstruct with its network.

        Returns once both are in use. ``network-free`` drops the network and keeps the map.
        """
        ...

    def compare(self, name: str | None) -> None:
        """Rebuild the same windows by a second bundle too, for who looks at it; None ends that."""
        ...


def map_state(running: RatioMap | AdaptiveMap) -> MapState:
    """Summarise a ratio map, or an adaptive map: its own hash, and the rest as it is at rest."""
    ratio_map = running.resting if isinstance(running, AdaptiveMap) else running
    height, width = ratio_map.shape
    tile_height, tile_width = ratio_map.tile.shape
    counts = np.bincount(ratio_map.levels.reshape(-1), minlength=256)
    return MapState(
        hash=running.hash_hex,
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
