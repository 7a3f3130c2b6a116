"""A fake live session whose pictures a test puts in, so that all the service shows is known."""

from dataclasses import replace

import numpy as np

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.host.live.adaptive_state import AdaptiveState
from focalloop.host.live.calibration_state import (
    CalibrationState,
    PlanState,
    StepState,
)
from focalloop.host.live.deployment import MapChangedError
from focalloop.host.live.radio_state import RadioChoice, RadioState
from focalloop.host.live.state import (
    BoardIdentity,
    BundleState,
    ComparisonState,
    LinkState,
    LiveState,
    Phase,
    Picture,
    SpeedState,
    map_state,
)
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE

SHAPE = (16, 24)

FOLLOWING = AdaptiveState(
    active=True,
    activity="The map follows the scene.",
    budget=1 / 16,
    budget_reads=384,
    rows=2,
    columns=3,
    block=8,
    tile_reads=(0.5, 1.0, 1.5),
    reads=288,
    windows=50,
    windows_under_grid=40,
    delays={2: 39, 3: 1},
    grids_late=1,
    choice_ms=2.0,
)
"""Of an adaptive map that has followed the scene for some windows."""


def make_picture(window, ratio_map, *, step=1, truth=True, setup=1, grid=None, beside_setup=0):
    """A picture whose planes differ by window, slot and kind."""
    rng = np.random.default_rng(window)
    slots = range(0, 16, step)
    planes = rng.integers(0, 256, (4 if beside_setup else 3, 16, *SHAPE), np.uint8)[:, ::step]
    count = ReadPlan.of(ratio_map).count
    return Picture(
        window=window,
        map_hash=ratio_map.hash(),
        setup=setup,
        slots=slots,
        truth=planes[0] if truth else None,
        initial=planes[1],
        final=planes[2],
        readout=rng.integers(0, 65536, count, np.uint16),
        grid=grid,
        beside_setup=beside_setup,
        beside=planes[3] if beside_setup else None,
    )


class FakeCalibrator:
    """A `CalibrationSource` that records what is asked of it."""

    def __init__(self):
        self.result, self.asked, self.error = None, [], None
        self.now = CalibrationState()
        self.shown_light = None
        steps = tuple(
            StepState(light, level, windows)
            for light in (0.0, 0.9)
            for level, windows in ((1, 4), (2, 2), (4, 1))
        )
        self.planned = PlanState(steps, windows=14, seconds=3.0, by_hand=False, keeps="")

    def state(self):
        return self.now

    def light(self):
        return self.shown_light

    def plan(self, reads):
        self._note("plan", reads)
        return self.planned

    def _note(self, *request):
        if self.error is not None:
            raise self.error
        self.asked.append(request)

    def start(self, reads, turn=None):
        self._note("start", reads, turn)

    def proceed(self, turn=None):
        self._note("proceed", turn)

    def cancel(self):
        self._note("cancel")

    def apply(self, turn=None):
        self._note("apply", turn)

    def undo(self, turn=None):
        self._note("undo", turn)

    def discard(self, turn=None):
        self._note("discard", turn)


class FakeRadio:
    """A `RadioSource` that records what is chosen."""

    def __init__(self, **fields):
        choice = RadioChoice("semcom", "awgn", 10.0, 77)
        self.now = RadioState(choice, ("semcom", "compr-ldpc"), 12, 138, **fields)
        self.chosen = []

    def state(self):
        return self.now

    def choose(self, choice):
        self.chosen.append(choice)
        self.now = replace(self.now, choice=choice)


class FakeSession:
    """A `LiveSource` that shows the pictures a test gives it, and records what is asked of it."""

    def __init__(self):
        self.ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)
        self.board = BoardIdentity(
            url="/dev/pts/9",
            name="board",
            firmware="1.0",
            serial="7",
            simulated=True,
            replay=False,
            gives_scene=True,
            height=SHAPE[0],
            width=SHAPE[1],
            slots=16,
            bits=16,
            black_level_dn=4096.0,
            full_scale_dn=49152.0,
            slot_rate_hz=240.0,
        )
        self.setup, self.scores, self.phase = 1, None, Phase.STREAMING
        self.speed, self.link = SpeedState(), LinkState()
        self.activity, self.progress = "", None
        self.messages, self.electrons = (), None
        self.bundle = NETWORK_FREE
        self.calibrator = FakeCalibrator()
        self.radio, self.adaptive_map, self.adaptive = None, None, None
        self.recordings, self.recording = None, None
        self.comparison, self.beside = None, False
        self.uploads, self.selected, self.seen = [], [], []
        self.before = None
        self.wants = {}
        self.newest = None
        self.subscribers = []

    def renew(self):
        """Be as new, but for the calibrator, which the routes of a service hold."""
        calibrator = self.calibrator
        self.__dict__.clear()
        self.__init__()
        self.calibrator = calibrator
        calibrator.__init__()

    def put(self, picture):
        """Show this picture from now on."""
        self.newest = picture
        for called in list(self.subscribers):
            called()

    def state(self):
        unopened = self.board is None and self.phase is Phase.STREAMING
        return LiveState(
            phase=Phase.STARTING if unopened else self.phase,
            board=self.board,
            map=self.ratio_map and map_state(self.adaptive_map or self.ratio_map),
            activity=self.activity,
            progress=self.progress,
            messages=self.messages,
            signal_electrons=self.electrons,
            bundle=self.bundle,
            reconstructed_by=self.bundle,
            setup=self.setup,
            can_go_back=self.before is not None,
            scores=self.scores,
            comparison=self.comparison,
            speed=self.speed,
            link=self.link,
            radio=self.radio and self.radio.state(),
            adaptive=self.adaptive,
            calibration=self.calibrator.state(),
            recording=self.recording or (self.recordings and self.recordings.state()),
            disk=self.recordings and self.recordings.disk(),
        )

    def picture(self):
        return self.newest

    def subscribe(self, called):
        self.subscribers.append(called)
        return lambda: self.subscribers.remove(called)

    def want(self, viewer, step, *, beside=False):
        self.wants[id(viewer)] = step
        if step is not None:
            self.beside = beside

    def drawn(self, window):
        self.seen.append(window)

    def upload(self, ratio_map, based_on=None):
        if based_on not in {None, self.ratio_map.hash_hex}:
            raise MapChangedError("another map meanwhile: nothing is overwritten")
        self.uploads.append(ratio_map)
        self.before, self.ratio_map = self.ratio_map, ratio_map

    def back(self):
        if self.before is None:
            raise MapChangedError("there is no map to go back to")
        self.ratio_map, self.before = self.before, None

    def keep(self):
        self.before = None

    def follow_scene(self):
        self.adaptive = replace(self.adaptive, active=True)

    def bundles(self):
        edge = BundleState("edge", "edge", ratio=0.125, aperture=True, psnr_db=30.0, suits=True)
        other = BundleState("other", "other", ratio=0.25)
        return [edge, other, BundleState(NETWORK_FREE, "no network", suits=True)]

    def select(self, name):
        self.selected.append(name)
        self.bundle = name

    def compare(self, name):
        self.comparison = ComparisonState(name, name, 2, 19.0) if name else None
