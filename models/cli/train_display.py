"""How a training is shown while it runs, and how Ctrl-C ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import isfinite
from pathlib import Path
from types import FrameType

from focalloop.host.cli.interruption import INTERRUPTING
from focalloop.host.cli.output import print_notice, print_warning, progress_bar
from focalloop.models.training.run import Progress, TrainingLoop

MIN_REPORTS = 6
"""Validations and checkpoints in a run over minutes."""
MIN_PAUSE_MINUTES, MAX_PAUSE_MINUTES = 1.0, 5.0
"""Between two of them."""


class Stopped(KeyboardInterrupt):
    """The user interrupted the training, and the run has written its checkpoint."""


class Display:
    """Trains runs one after the other and shows how far they are, in the first process alone.

    Parameters
    ----------
    command : str
        What the runs were started with, for their record.
    """

    def __init__(self, command: str) -> None:
        self.command = command

    def note(self, text: str) -> None:
        """Print a warning."""
        print_warning(text)

    def train(self, run: TrainingLoop, folder: Path, heading: str) -> None:
        """Train `run` in `folder`; Ctrl-C ends it after the step, with a checkpoint.

        Raises
        ------
        Stopped
            After Ctrl-C.
        """
        run.command = self.command
        with progress_bar(percent=True) as bar:
            task = bar.add_task(heading, total=1.0)

            def show(run: TrainingLoop) -> None:
                told = f"{heading}  {figures(run.progress)}"
                bar.update(task, completed=run.spent, description=told)

            with stopping_on_interrupt(run):
                run.train(folder, report_minutes=_pause_minutes(run), on_step=show)
        if run.stop_wanted and run.spent < 1:
            print_notice(
                f"stopped after step {run.progress.step}; the same command goes on from it"
            )
            raise Stopped

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how many of `total` things are done; yield what is called with their number."""
        with progress_bar() as bar:
            task = bar.add_task(what, total=total)
            yield lambda count: bar.update(task, completed=count)


class Unseen:
    """Trains runs like `Display`, where there is nobody to show them to or to interrupt them."""

    def __init__(self, command: str) -> None:
        self.command = command

    def note(self, text: str) -> None:
        """Keep quiet."""

    def train(self, run: TrainingLoop, folder: Path, heading: str) -> None:
        """Train `run` in `folder`."""
        run.command = self.command
        run.train(folder, report_minutes=_pause_minutes(run))

    def counting(self, what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Give a function that takes numbers and does nothing."""
        return nullcontext(lambda count: None)


def _pause_minutes(run: TrainingLoop) -> float:
    minutes = run.settings.minutes or MAX_PAUSE_MINUTES * MIN_REPORTS
    return min(MAX_PAUSE_MINUTES, max(MIN_PAUSE_MINUTES, minutes / MIN_REPORTS))


def figures(progress: Progress) -> str:
    """Say how far a run has come."""
    text = f"step {progress.step}"
    for name, psnr in (("training", progress.train_psnr), ("validation", progress.validation_psnr)):
        if isfinite(psnr):  # NaN until there is one
            text += f", {name} {psnr:.2f} dB"
    return text


@contextmanager
def stopping_on_interrupt(run: TrainingLoop) -> Iterator[None]:
    """Let the first Ctrl-C or its like ask `run` to stop, and a second one interrupt it at once."""
    before = {number: signal.getsignal(number) for number in INTERRUPTING}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        run.stop_wanted = True
        restore()

    for number in INTERRUPTING:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
