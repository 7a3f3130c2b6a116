"""What ``focalloop train`` does from start to finish, in the folder of the training.

===================  ===========================================================================
maps that are given  ``FOLDER`` holds the run of the network
a budget             ``FOLDER/map`` the run of the map, ``FOLDER/network`` that of its network
a list of prices     ``FOLDER/price-<lambda>`` the run of each map, and ``summary.json``
===================  ===========================================================================

Every run continues where it was interrupted, so the same options in the same folder do too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.adaptive.adaptive_grids import AdaptiveGrids
from focalloop.models.data.footage import FOOTAGE_SETTINGS, footage_data
from focalloop.models.data.training_file import save_windows
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.map_run import MapRun, with_coding
from focalloop.models.map_learning.policy import PolicySettings
from focalloop.models.map_learning.tile_search import SearchSettings, search_tiles
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.networks.profiles import default_settings
from focalloop.models.training import distributed
from focalloop.models.training.checkpoint import CHECKPOINT
from focalloop.models.training.learner import Learner
from focalloop.models.training.map_source import (
    Coding,
    MapSource,
    OneAperture,
    OneMap,
    map_coding,
    map_source,
)
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.run import Run, RunSettings, make_folder
from focalloop.models.training.starting_weights import Start, find_start
from focalloop.models.training.training_data import TrainingData, made_from
from focalloop.models.training_options import (
    ADAPTIVE_GRIDS,
    DEFAULT_NOISE,
    MANY_MAPS,
    MAP,
    NETWORK,
    PRICE,
    TrainingOptions,
)

SUMMARY = "summary.json"
SEARCHED = "searched.json"
SEARCH_SHARE = 0.8
"""Share of the map's minutes spent on searching the tiles from which its policies start."""
SEARCH_CANDIDATES, SEARCH_LESSONS, SEARCH_GENERATIONS = 128, 80, 4
"""Tiles per generation; steps per lesson; and, for a budget in steps, the number of generations.
The first two are also limited to the steps of the map's run."""
FOOTAGE_DATA = "data.npz"
FOOTAGE_MARGIN = 32
"""How much larger than a crop the windows of one's own footage are, pixels."""

FROM_RANDOM, FROM_WEIGHTS = (4e-3, 200), (1.5e-3, 50)
"""Learning rate and warm-up steps; weights that are good already take smaller steps."""


AVERAGE_DECAY = {"cosine": 0.998, "flat": 0.9995}
"""Decay per step of the average of the weights; it must do what a falling rate would."""


class Watcher(Protocol):
    """Trains runs, and shows the progress."""

    def train(self, run: Run, folder: Path, heading: str) -> None:
        """Train `run` in `folder`, and show it under `heading`."""
        ...

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Give a function to call with how many of `total` things are done."""
        ...

    def note(self, text: str) -> None:
        """Tell what a user should know about the data."""
        ...


@dataclass(frozen=True, eq=False)
class Shared:
    """What the runs of a training share.

    Attributes
    ----------
    data, settings, device : TrainingData or RunSettings or str
        As in `Run`; the budget is that of all runs together, and `start` and `learning_rate` below
        take precedence.
    start : Start
        What the network of the first run starts from.
    watcher : Watcher
        Trains each run.
    learning_rate : float or None
        Learning rate of all runs; None for the default of their start.
    coding : Coding or None
        Coded aperture to learn maps under, or None.
    """

    data: TrainingData
    settings: RunSettings
    start: Start
    watcher: Watcher
    device: str = "cpu"
    learning_rate: float | None = None
    coding: Coding | None = None

    def settings_from_start(self) -> RunSettings:
        """Return the settings with the name of the start, and a learning rate to match."""
        rate, warm_up = FROM_WEIGHTS if self.start.name else FROM_RANDOM
        return replace(
            self.settings,
            start=self.start.name,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            warm_up_steps=warm_up,
        )


def run_training(options: TrainingOptions, watcher: Watcher, device: str) -> dict[str, Any]:
    """Train what the options ask for, or continue it.

    Returns
    -------
    dict
        Folder, steps, minutes and PSNR of every run, for JSON; `final_run` returns the one to
        export.

    Raises
    ------
    FocalloopError
        If something cannot be done; the folder is then unchanged.
    """
    any_aperture = options.network == "aperture"
    maps: MapSource | None = None
    if options.ratio_map == ADAPTIVE_GRIDS:
        maps = AdaptiveGrids()
    elif options.ratio_map is not None:
        maps = map_source(options.ratio_map, options.aperture, any_aperture)
    coded = isinstance(maps, OneAperture) and maps.aperture is not None
    aperture = any_aperture or options.aperture or coded
    network = replace(default_settings(options.network), aperture=aperture)
    if isinstance(network, EdgeSettings) and options.ratio_map in MANY_MAPS:
        remembers = options.ratio_map == ADAPTIVE_GRIDS
        network = replace(network, noise=options.noise is None, memory=remembers)
    noise = NoiseProfile.load(options.noise or DEFAULT_NOISE, network.slots)
    if options.corrected:
        if corrected(noise) == noise:
            raise TrainError(
                f"{noise.name} has no fixed pattern that could be corrected (pixel_offset, "
                "column_offset and prnu are 0): leave out --corrected"
            )
        noise = corrected(noise)
    refuse_other_runs(options)
    shared = Shared(
        training_data(options, watcher),
        RunSettings(
            minutes=options.minutes,
            steps=options.steps,
            batch=options.batch,
            crop=options.crop,
            seed=options.seed,
            noise=noise,
            schedule=options.schedule,
            rounded=options.rounded,
            average_decay=AVERAGE_DECAY[options.schedule],
            network=network,
        ),
        find_start(options.start, network, options.first_runs(), noise),
        watcher,
        device,
        options.learning_rate,
        map_coding(any_aperture) if options.aperture else None,
    )
    if options.rounded and not shared.start.name:
        raise TrainError(
            "--rounded is for weights that are good already, since the ranges are taken from them: "
            "give --start"
        )
    if maps is not None:
        return _summary(_train_network(maps, shared, options.folder), options.folder)
    policy = PolicySettings(credit=options.credit)
    if options.periods:
        policy = replace(policy, periods=options.periods)
    if options.prices:
        return _learn_maps(options.prices, policy, shared, options.folder)
    return _learn_map_and_network(options, policy, shared)


def final_run(options: TrainingOptions) -> Path:
    """Return the folder of the run that a bundle is made from."""
    return options.folder / NETWORK if options.budget is not None else options.folder


def _learn_map_and_network(
    options: TrainingOptions, policy: PolicySettings, shared: Shared
) -> dict[str, Any]:
    """Learn a map, then train its network, which starts from the one that learned along."""
    assert options.budget is not None
    policy = replace(policy, budget=options.budget * shared.data.slots)
    first, second = divided(shared.settings, options.map_share)
    folders = options.folder / MAP, options.folder / NETWORK
    tiles = None
    if options.search and options.credit != "own-pixel":  # the paper begins anywhere
        if first.minutes is not None:
            searching, left = SEARCH_SHARE * first.minutes, (1 - SEARCH_SHARE) * first.minutes
            tiles = _searched(policy, shared, folders[0], searching)
            first = replace(first, minutes=left)
        else:
            tiles = _searched(policy, shared, folders[0], None)
        policy = replace(policy, periods=options.periods or (8,), exploration=0.1, price=0.1)
    learned = _learn_map(policy, replace(shared, settings=first), folders[0], "map", tiles)
    ratio_map = with_coding(learned.best_map(), shared.coding)
    start = Start.of(MAP, learned.learner.averaged_network().state_dict())
    shared = replace(shared, settings=second, start=start)
    trained = _train_network(OneMap(ratio_map), shared, folders[1])
    return {
        "run": str(options.folder),
        "budget": options.budget,
        "r_avg": ratio_map.ratio,
        "map": _summary(learned, folders[0]),
        "network": _summary(trained, folders[1]),
    }


def _learn_maps(
    prices: Sequence[float], policy: PolicySettings, shared: Shared, folder: Path
) -> dict[str, Any]:
    """Learn a map at each of several fixed prices, each with the whole budget."""
    maps = []
    for number, price in enumerate(prices, start=1):
        name = f"{PRICE}{price:g}"
        priced = replace(policy, budget=None, price=price)
        run = _learn_map(priced, shared, folder / name, f"map {number} of {len(prices)}, {name}")
        maps.append({"price": price, "r_avg": run.best_map().ratio, **_summary(run, folder / name)})
    document = {"run": str(folder), "maps": maps}
    if distributed.rank() == 0:
        with written_whole(folder / SUMMARY) as partial:
            partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def _train_network(maps: MapSource, shared: Shared, folder: Path) -> NetworkRun:
    run = NetworkRun(maps, shared.data, shared.settings_from_start(), shared.device)
    _drive(run, shared, folder, "network")
    return run


def _learn_map(
    policy: PolicySettings,
    shared: Shared,
    folder: Path,
    heading: str,
    tiles: list[NDArray[np.uint8]] | None = None,
) -> MapRun:
    settings, data = shared.settings_from_start(), shared.data.filmed_alone()
    run = MapRun(policy, data, settings, shared.device, shared.coding, tiles)
    _drive(run, shared, folder, heading)
    return run


def _searched(
    policy: PolicySettings, shared: Shared, folder: Path, minutes: float | None
) -> list[NDArray[np.uint8]]:
    """Search the tiles from which the policies start, once, in the first process."""
    path = folder / SEARCHED
    if distributed.rank() == 0 and not path.exists():
        finalists, steps = max(8, policy.starts), shared.settings.steps or SEARCH_CANDIDATES
        settings = SearchSettings(
            candidates=max(finalists, min(SEARCH_CANDIDATES, steps)),
            finalists=finalists,
            crop=min(64, shared.settings.crop),
            lessons=min(SEARCH_LESSONS, steps),
            generations=None if minutes else SEARCH_GENERATIONS,
            minutes=minutes,
            seed=shared.settings.seed,
        )
        network = shared.settings.network
        judge = Learner(network, shared.settings.noise, device=shared.device, alone=True)
        if shared.start.weights is not None:
            judge.start_from(dict(shared.start.weights))
        assert policy.budget is not None
        with shared.watcher.counting("generations of tiles", SEARCH_GENERATIONS) as count:
            ranking = search_tiles(
                judge,
                shared.data.filmed_alone(),
                policy.budget,
                settings,
                coding=shared.coding,
                progress=lambda generation, _: count(generation),
            )
        make_folder(folder)
        with written_whole(path) as partial:
            found = [{"psnr": one.psnr, "tile": one.tile.tolist()} for one in ranking]
            partial.write_text(json.dumps(found) + "\n", encoding="utf-8")
    distributed.wait()
    found = json.loads(path.read_text("utf-8"))
    return [np.array(one["tile"], np.uint8) for one in found[: policy.starts]]


def _drive(run: Run, shared: Shared, folder: Path, heading: str) -> None:
    if shared.start.weights is not None:  # a run that continues replaces them by its own
        run.learner.start_from(dict(shared.start.weights))
    shared.watcher.train(run, folder, heading)


def _summary(run: Run, folder: Path) -> dict[str, Any]:
    """Summarise a run; numbers that are not known yet are None."""
    progress = asdict(run.progress)
    known = {key: None if math.isnan(value) else value for key, value in progress.items()}
    return {"run": str(folder), **known}


def training_data(options: TrainingOptions, watcher: Watcher) -> TrainingData:
    """Load the training data; windows of one's own footage are made once, in the folder.

    Raises
    ------
    FocalloopError
        If there is too little, it cannot be read, or the folder holds windows of other footage.
    """
    if options.data is not None:
        return training_data_of(options)
    assert options.footage is not None
    path = options.folder / FOOTAGE_DATA
    settings = replace(FOOTAGE_SETTINGS, size=options.crop + FOOTAGE_MARGIN, seed=options.seed)
    origin = f"{options.footage.resolve()}, {settings}"
    if options.white is not None:
        origin += f", white {options.white:g}"
    if distributed.rank() == 0:
        if not path.exists():
            make_folder(options.folder)
            with watcher.counting("windows of the footage", settings.windows) as count:
                made = footage_data(
                    options.footage, settings, count, white=options.white, note=watcher.note
                )
            save_windows(path, made | {"footage": np.array(origin)})
        found = made_from(path) or "something else"
        if found != origin:
            raise TrainError(f"{path} was made from {found}, not {origin}: use another folder")
    distributed.wait()
    return training_data_of(options)


def training_data_of(options: TrainingOptions) -> TrainingData:
    """Load the training data of a training that has begun."""
    return TrainingData.load(options.data or options.folder / FOOTAGE_DATA)


def divided(settings: RunSettings, share: float) -> tuple[RunSettings, RunSettings]:
    """Divide a budget of minutes and steps in two, of which the first gets `share`.

    Raises
    ------
    TrainError
        If there are not enough steps for both.
    """
    first, second = settings, settings
    if settings.minutes is not None:
        first = replace(first, minutes=settings.minutes * share)
        second = replace(second, minutes=settings.minutes * (1 - share))
    if settings.steps is not None:
        steps = round(settings.steps * share)
        if not 0 < steps < settings.steps:
            raise TrainError(
                f"{settings.steps} steps leave {steps} for the map: give more, or another share"
            )
        first = replace(first, steps=steps)
        second = replace(second, steps=settings.steps - steps)
    return first, second


def refuse_other_runs(options: TrainingOptions) -> None:
    """Refuse a folder that holds runs of another kind of training, before it is changed.

    Raises
    ------
    TrainError
        Naming what the folder holds.
    """
    folder = options.folder
    for checkpoint in (*folder.glob(CHECKPOINT), *folder.glob(f"*/{CHECKPOINT}")):
        name = checkpoint.parent.name if checkpoint.parent != folder else ""
        ours = (
            name.startswith(PRICE)
            if options.prices
            else name in ((MAP, NETWORK) if options.budget is not None else ("",))
        )
        if not ours:
            raise TrainError(f"{folder} holds another training, {checkpoint}: use another folder")
