"""A sweep: one training for every combination of the values of some options.

A TOML file gives the values of options of ``focalloop train`` that are to be tried::

    seed = [0, 1, 2]
    learning-rate = [0.001, 0.004]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.files import exists
from focalloop.models.errors import OptionsError
from focalloop.models.training_options import TrainingOptions

MAX_RUNS = 1000

TRIED: Mapping[str, tuple[str, type, int | None]] = {
    "map": ("ratio_map", str, None),
    "budget": ("budget", float, None),
    "noise": ("noise", str, None),
    "start": ("start", str, None),
    "learning-rate": ("learning_rate", float, None),
    "batch": ("batch", int, 1),
    "crop": ("crop", int, 8),
    "seed": ("seed", int, 0),
}
"""What can be tried: the field of `TrainingOptions`, the type of a value, and the least one."""

_KINDS = {str: "texts", float: "numbers", int: "whole numbers"}


def read_sweep(path: Path) -> dict[str, list[Any]]:
    """Read the values to try, by the name of the option.

    Raises
    ------
    OptionsError
        The file is missing or no TOML, or names what cannot be tried; or there are too many runs.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # of TOML and of UTF-8 too
        raise OptionsError(f"{path} cannot be read: {error}") from None
    for name, values in document.items():
        if name not in TRIED:
            raise OptionsError(f"{path}: {name!r} cannot be tried, but {', '.join(TRIED)} can")
        _, kind, least = TRIED[name]
        accepted = (int, float) if kind is float else (kind,)
        right = isinstance(values, list) and all(type(value) in accepted for value in values)
        if not right or not values or len(set(values)) < len(values):
            raise OptionsError(f"{path}: {name!r} needs a list of different {_KINDS[kind]}")
        if least is not None and min(values) < least:
            raise OptionsError(f"{path}: {name!r} is {least} or more, not {min(values)}")
    if not 1 < prod(map(len, document.values())) <= MAX_RUNS:
        raise OptionsError(f"{path} must give 2 to {MAX_RUNS} combinations of values")
    return document


def swept(options: TrainingOptions, values: Mapping[str, Sequence[Any]]) -> list[TrainingOptions]:
    """Return the options of every run, each in a folder of its own in that of `options`.

    Paths are absolute, for processes that run elsewhere.

    Raises
    ------
    OptionsError
        A value is out of range, or two runs would have one folder.
    """
    runs = []
    for combination in product(*values.values()):
        tried = dict(zip(values, combination, strict=True))
        name = "_".join(f"{option}-{_word(value)}" for option, value in tried.items())
        run = replace(
            options,
            folder=options.folder.resolve() / name,
            data=options.data and options.data.resolve(),
            **{TRIED[option][0]: value for option, value in tried.items()},
        )
        runs.append(
            replace(
                run,
                ratio_map=_absolute(run.ratio_map),
                noise=_absolute(run.noise),
                start=_absolute(run.start),
            )
        )
    names = [run.folder.name for run in runs]
    if len(set(names)) < len(names):
        twice = max(names, key=names.count)
        raise OptionsError(f"two runs of the sweep would have the folder {twice}: rename a file")
    return runs


def _word(value: Any) -> str:  # noqa: ANN401 - a value of TOML
    text = Path(value).name if isinstance(value, str) else repr(value)
    return re.sub(r"[^\w.+-]+", "-", text)


def _absolute(text: str | None) -> str | None:
    return str(Path(text).resolve()) if text and exists(text) else text
