"""Readings from captures: each read at its time, and only captures that belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.calibration_readings import readings_of
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import CaptureError
from tests.support.made_windows import BOARD, make_window
from tests.support.served import SHAPE, make_map


def write(folder: Path, board=BOARD, ratio_map=None, **changes):
    ratio_map = ratio_map or RatioMap.uniform(4, SHAPE)
    with CaptureWriter(folder, board) as writer:
        writer.add(make_window(0, ratio_map, **{"kind": WindowKind.FLAT} | changes), light=0.5)
    return Capture.load(folder)


def test_reads_of_a_window_have_times_of_their_own(tmp_path):
    (level,) = readings_of([write(tmp_path / "a")]).levels
    np.testing.assert_allclose(np.diff(level.times_s), 4 / 240, atol=1e-6)


def test_captures_that_do_not_belong_together_are_refused(tmp_path):
    first = write(tmp_path / "first")
    aperture = make_map().with_aperture(np.ones((16, *SHAPE), np.bool_))
    for number, (other, words) in enumerate(
        [
            ({"board": replace(BOARD, serial="t")}, "another board"),
            ({"bits": 12}, "bits"),
            ({"black_level_dn": 21.0}, "black level"),
            ({"kind": WindowKind.SCENE}, "exposed to a scene"),
            ({"ratio_map": aperture}, "coded aperture"),
        ]
    ):
        with pytest.raises(CaptureError, match=words):
            readings_of([first, write(tmp_path / str(number), **other)])
    with CaptureWriter(tmp_path / "empty", BOARD):
        pass
    with pytest.raises(CaptureError, match="no windows"):
        readings_of([Capture.load(tmp_path / "empty")])
