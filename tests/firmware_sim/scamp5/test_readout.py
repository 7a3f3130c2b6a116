"""What the controller reads out, and in which order."""

import numpy as np
import pytest

from focalloop.firmware_sim.scamp5 import Areg, Grid, Machine, Mode, Scamp5Error
from focalloop.firmware_sim.scamp5.readout import (
    block_means,
    global_sum,
    scan_analog,
    scan_digital,
    scan_events,
)

PICTURE = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], np.uint8)
ONES = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]], bool)


def test_a_scan_runs_down_the_columns_from_the_right():
    whole = scan_analog(PICTURE, Grid(last_row=2, last_column=3))
    assert whole.tolist() == [3, 7, 11, 2, 6, 10, 1, 5, 9, 0, 4, 8]
    # As the kit's documentation has it: buffer[3] is on the first column right, fourth row down.
    assert scan_analog(np.arange(256 * 256).reshape(256, 256), Grid())[3] == 3 * 256 + 255


def test_a_scan_may_have_a_window_and_steps():
    grid = Grid(row=0, column=1, last_row=2, last_column=3, row_step=2, column_step=2)
    assert scan_analog(PICTURE, grid).tolist() == [2, 10, 0, 8]
    assert grid.count == 4


def test_eight_bits_are_the_value_plus_128():
    machine = Machine((1, 4))
    machine.load(Areg.A, [[-128, -1, 0, 127]])
    assert machine.scan(Areg.A).tolist() == [[0, 127, 128, 255]]
    assert machine.scan(Areg.A).dtype == np.uint8
    ideal = Machine((1, 2), Mode.IDEAL)
    ideal.load(Areg.A, [[0.25, -200.5]])
    assert ideal.scan(Areg.A).tolist() == [[128.25, -72.5]]


def test_one_bit_scans_pack_a_row_from_the_right():
    plane = np.zeros((2, 16), bool)
    plane[0, 15] = plane[0, 4] = plane[1, 0] = True
    assert scan_digital(plane, 0, 1) == bytes([0b1, 0b1000, 0, 0b10000000])
    assert scan_digital(plane, 1, 1) == bytes([0, 0b10000000])
    assert len(scan_digital(np.ones((256, 256), bool))) == 8192


def test_events_come_column_by_column_and_end_with_zeros():
    assert scan_events(ONES, 5).tolist() == [[0, 2], [1, 1], [3, 0], [3, 2], [0, 0]]
    assert scan_events(ONES, 2).tolist() == [[0, 2], [1, 1]]
    turned = scan_events(ONES, 4, from_left=True, from_below=True)
    assert turned.tolist() == [[3, 2], [3, 0], [1, 1], [0, 2]]


def test_block_means_and_global_sums():
    plane = np.zeros((16, 16), np.uint8)
    plane[0:2, 14:16] = [[10, 20], [30, 40]]  # the block at the top right comes first
    plane[2:4, 14:16] = 100
    means = block_means(plane)
    assert means.shape == (64,)
    assert means[:3].tolist() == [25, 100, 0]
    assert global_sum(np.full((16, 16), 7, np.uint8)) == 16 * 7
    assert global_sum(np.full((16, 16), 7, np.uint8), grid=8) == 64 * 7


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: scan_analog(PICTURE, Grid()), "exceeds an array of 3 rows and 4 columns"),
        (lambda: Grid(row=3, last_row=2), "at or after its first row"),
        (lambda: Grid(row_step=0), "must be 1 or more"),
        (lambda: scan_digital(ONES, 0, 2), "whole bytes"),
        (lambda: scan_events(ONES, 4001), "1 to 4000 events"),
        (lambda: scan_events(np.ones((1, 257), bool)), "addresses of a byte"),
        (lambda: block_means(PICTURE), "8x8 blocks"),
        (lambda: global_sum(PICTURE, 3), "grid of 4 or 8"),
    ],
)
def test_wrong_read_outs_are_refused(call, says):
    with pytest.raises(Scamp5Error, match=says):
        call()
