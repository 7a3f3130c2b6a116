"""How a training run is shown: a bar on a terminal, a line at each report elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from focalloop.models.training import processes
from focalloop.models.training.run import Run

REPORTS = 6
"""Validations and checkpoints in a run over minutes, at least."""
LEAST_MINUTES, MOST_MINUTES = 1.0, 5.0
"""Between two of them."""


class Stopped(KeyboardInterrupt):
    """The user asked for an end, and the run has written its checkpoint."""


class Display:
    """Trains runs one after the other and shows where they stand, in the first process alone.

    Parameters
    ----------
    command : str
        That the runs were started with, for their record.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.console = Console(stderr=True, quiet=processes.rank() > 0)

    def train(self, run: Run, folder: Path, heading: str) -> None:
        """Train `run` in `folder`; Ctrl-C ends it after the step, with a checkpoint.

        Raises
        ------
        Stopped
            After Ctrl-C.
        """
        run.command = self.command
        minutes = run.settings.minutes or MOST_MINUTES * REPORTS
        pause = min(MOST_MINUTES, max(LEAST_MINUTES, minutes / REPORTS))
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        terminal = self.console.is_terminal
        with Progress(*columns, console=self.console, disable=not terminal) as bar:
            task = bar.add_task(heading, total=1.0, left="")

            def show(run: Run) -> None:
                text = f"{heading}  {standing(run)}"
                bar.update(task, completed=run.spent, description=text, left=left(run))

            def tell(run: Run) -> None:
                if not terminal:
                    text = f"{heading}  {standing(run)}, {run.spent:.0%} done, {left(run)}"
                    self.console.print(text, soft_wrap=True, highlight=False)

            with stopping_on_interrupt(run):
                run.train(folder, report_minutes=pause, on_step=show, on_report=tell)
        if run.stop_wanted and run.spent < 1:
            self.console.print(
                f"stopped after step {run.progress.step}; the same command goes on from there",
                soft_wrap=True,
                highlight=False,
            )
            raise Stopped

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how many of `total` things are done; give what is told their number."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        terminal = self.console.is_terminal
        with Progress(*columns, console=self.console, disable=not terminal) as bar:
            task = bar.add_task(what, total=total)
            yield lambda count: bar.update(task, completed=count)


def standing(run: Run) -> str:
    """Say how far a run has come."""
    progress = run.progress
    return (
        f"step {progress.step}, training {progress.train_psnr:.2f} dB, "
        f"validation {progress.validation_psnr:.2f} dB"
    )


def left(run: Run) -> str:
    """Say how much longer a run takes, by the share of its budget that is spent."""
    if not 0 < run.spent < 1:
        return ""
    seconds = 60 * run.progress.minutes * (1 / run.spent - 1)
    return f"ETA {timedelta(seconds=round(seconds))}"


@contextmanager
def stopping_on_interrupt(run: Run) -> Iterator[None]:
    """Let the first Ctrl-C ask `run` to stop, and a second one interrupt it at once."""
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        run.stop_wanted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
