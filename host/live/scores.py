"""PSNR and SSIM of live windows against their scene, in a thread of their own."""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.host.live.comparison import Beside
from focalloop.host.live.mailbox import Mailbox
from focalloop.host.live.radio_state import RadioChoice
from focalloop.host.live.state import ScoreState
from focalloop.host.live.truths import Truth
from focalloop.host.reconstruction.quality import SSIM_WINDOW, psnr, ssim
from focalloop.host.reconstruction.reconstruct import Float32

SCORE_PERIOD_S = 1.0

SSIM_STEP = 4
"""Slots from one that SSIM scores to the next; scoring all 16 would cost a fifth of a core."""

MAX_PSNR_DB = 100.0
"""Stands for infinity, which JSON cannot express."""

_TRUTH_TIMEOUT_S = 1.0


@dataclass(frozen=True, eq=False)
class Unscored:
    """Both reconstructions of a window, as for `score`, and the scene that is still on its way."""

    window: int
    setup: int
    initial: Float32
    final: Float32
    truth: Future[Truth]
    radio: RadioChoice | None = None
    beside: Beside | None = None


class Scorer:
    """Scores one window per second, and the first one of each setup at once."""

    def __init__(self) -> None:
        self._waiting: Mailbox[Unscored] = Mailbox()
        self._newest: ScoreState | None = None
        self._due_s = 0.0
        self._due_setup = 0

    def is_due(self, setup: int) -> bool:
        """Whether to score the window that is at hand, of this setup; true once per period."""
        now_s = time.monotonic()
        if setup == self._due_setup and now_s < self._due_s:
            return False
        self._due_setup, self._due_s = setup, now_s + SCORE_PERIOD_S
        return True

    def put(self, window: Unscored) -> None:
        """Hand a window over; it replaces one that still waits."""
        self._waiting.put(window)

    def run(self) -> None:
        """Score windows until `close`."""
        while (item := self._waiting.take()) is not None:
            truth = awaited(item.truth)
            self._newest = None if truth is None else score(item, truth)

    def close(self) -> None:
        """End `run`."""
        self._waiting.close()

    def newest(self, setup: int) -> ScoreState | None:
        """Return the newest score if it is of this setup."""
        newest = self._newest
        return newest if newest is not None and newest.setup == setup else None


def awaited(truth: Future[Truth]) -> Truth:
    """Wait for a scene; None where it does not come in time."""
    with suppress(TimeoutError):
        return truth.result(_TRUTH_TIMEOUT_S)
    return None


def score(unscored: Unscored, truth: NDArray[np.uint8]) -> ScoreState | None:
    """Compare both reconstructions of a window with its scene; None if it is too small for SSIM.

    Parameters
    ----------
    unscored : Unscored
        The window, its reconstructions of shape (T, H, W) with white at 1.
    truth : ndarray of uint8, shape (T, H, W)
        Scene.
    """
    initial, final = unscored.initial, unscored.final
    if min(truth.shape[1:]) < SSIM_WINDOW:
        return None
    beside = unscored.beside
    other = None if beside is None else beside.video
    return ScoreState(
        window=unscored.window,
        setup=unscored.setup,
        psnr_initial_db=min(psnr(initial, truth), MAX_PSNR_DB),
        psnr_final_db=min(psnr(final, truth), MAX_PSNR_DB),
        ssim_initial=ssim(initial[::SSIM_STEP], truth[::SSIM_STEP]),
        ssim_final=ssim(final[::SSIM_STEP], truth[::SSIM_STEP]),
        radio=unscored.radio,
        beside="" if beside is None or other is None else beside.by,
        psnr_beside_db=None if other is None else min(psnr(other, truth), MAX_PSNR_DB),
        ssim_beside=None if other is None else ssim(other[::SSIM_STEP], truth[::SSIM_STEP]),
    )
