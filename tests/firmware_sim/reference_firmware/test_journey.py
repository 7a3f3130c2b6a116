"""Upload, capture and calibration over a real line: emulator, native C board and Cortex-M3.

The microcontroller is one that QEMU runs, its UART a TCP port; all three look at the same scene.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.virtual_board.sensor import make_emulator
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import BoardState, Feature, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.captures.capture import Capture
from focalloop.host.cli.main import main
from focalloop.host.errors import BoardError
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.reconstruct import NetworkFree
from tests.support.board_bench import SHAPE, CountingScene, aperture_map, make_board, tile_map
from tests.support.c_board import SMALL, TIMEOUT_S, native_board, qemu_board
from tests.support.served import on_tcp

ARRAY = f"{SHAPE[1]}x{SHAPE[0]}"


@contextmanager
def emulator_board() -> Iterator[str]:
    with on_tcp(make_board(make_reader=make_emulator)) as server:
        yield server.url


@pytest.fixture(
    scope="class",
    params=[
        pytest.param(emulator_board, id="emulator"),
        pytest.param(lambda: native_board(array=ARRAY), id="native C"),
        pytest.param(lambda: qemu_board(SMALL), id="Cortex-M3"),
    ],
)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param() as address:
        yield address


def codes(ratio_map: RatioMap, exposure: int) -> np.ndarray:
    scene = CountingScene(ratio_map.shape).window(exposure)
    return Emulator(ratio_map, preset("ideal")).read_out(scene)


def assert_exact(window: Window, ratio_map: RatioMap) -> None:
    assert window.ratio_map.hash() == ratio_map.hash()
    np.testing.assert_array_equal(window.codes, codes(ratio_map, window.number + window.skipped))


class TestJourney:
    @pytest.mark.parametrize(
        "ratio_map",
        [tile_map(), RatioMap.uniform(2, SHAPE), RatioMap.random(SHAPE), aperture_map()],
        ids=["tile", "fixed", "irregular", "aperture"],
    )
    def test_what_is_captured_is_what_the_emulator_reads(
        self, url: str, ratio_map: RatioMap
    ) -> None:
        with Board.open(url, timeout_s=TIMEOUT_S) as board:
            assert board.info.shape == SHAPE
            board.upload(ratio_map)
            assert board.status().map_hash == ratio_map.hash()
            for window in board.capture(3):
                assert_exact(window, ratio_map)
            assert board.status().state is BoardState.IDLE
            assert board.stats.lost == 0

    def test_a_stream_changes_its_map_and_ends(self, url: str) -> None:
        with Board.open(url, timeout_s=TIMEOUT_S) as board:
            board.upload(tile_map())
            with closing(board.stream()) as stream:
                windows = list(islice(stream, 5))
                board.upload(RatioMap.uniform(1, SHAPE))
                windows += islice(stream, 12)
            assert board.status().state is BoardState.IDLE
        numbers = [window.number for window in windows]
        assert numbers == list(range(numbers[0], numbers[0] + len(windows)))
        assert windows[-1].ratio_map.hash() == RatioMap.uniform(1, SHAPE).hash()
        for window in windows:
            uploaded = tile_map() if len(window.codes) > 24 * 40 else RatioMap.uniform(1, SHAPE)
            assert_exact(window, uploaded)

    def test_dark_and_flat_windows(self, url: str) -> None:
        with Board.open(url, timeout_s=TIMEOUT_S) as board:
            dark = board.dark_capture(4, 3)
            flat = board.calibration_capture(2, 0.5, 2)
        assert [window.kind for window in dark + flat] == 3 * [WindowKind.DARK] + 2 * [
            WindowKind.FLAT
        ]
        assert {int(code) for window in dark for code in window.codes} == {0}
        assert {int(code) for window in flat for code in window.codes} == {128 * 8}

    def test_a_reset_board_gets_its_map_again(self, url: str) -> None:
        with Board.open(url, timeout_s=TIMEOUT_S, on_event=lambda text: None) as board:
            board.upload(tile_map())
            before = board.info.boot_id
            board.reset()
            assert board.info.boot_id != before
            (window,) = board.capture()
            assert window.number == 0
            assert_exact(window, tile_map())

    def test_clocks_are_compared(self, url: str) -> None:
        with Board.open(url, timeout_s=TIMEOUT_S) as board:
            assert abs(board.time_sync() - board.time_sync()) < 1.0


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(lambda: native_board(), id="native C"),
        pytest.param(lambda: qemu_board(), id="Cortex-M3"),
    ],
)
def test_the_default_bundle_on_the_reference_board(start: object) -> None:
    """256x256 pixels in the memory that the linker script checks, upload to picture."""
    bundle = Bundle.load()
    with start() as address, Board.open(address, timeout_s=TIMEOUT_S) as board:  # type: ignore[operator]
        assert board.info.shape == (256, 256)
        assert Feature.EMULATOR not in board.info.features
        board.upload(bundle.ratio_map)
        (window,) = board.capture()
    ratio_map = bundle.ratio_map.tiled_to(256, 256)
    assert_exact(window, ratio_map)
    scene = CountingScene((256, 256)).window(window.number) / np.float32(255)
    for reconstruct in (NetworkFree(), bundle.reconstructor()):
        video = reconstruct(window.reads, window.ratio_map)
        error = float(np.mean((video[:, 8:-8, 8:-8] - scene[:, 8:-8, 8:-8]) ** 2))
        assert error < 1e-3  # 30 dB: a picture of the scene, not just numbers


def test_maps_and_captures_beyond_the_memory_are_refused() -> None:
    """The reference board stores two measurements per pixel: 256 KiB per window."""
    with native_board() as address, Board.open(address, timeout_s=TIMEOUT_S) as board:
        fits = board.upload(RatioMap.uniform(2, (256, 256)))
        with pytest.raises(BoardError, match=r"524288 bytes; .* can store 262144") as refused:
            board.upload(RatioMap.uniform(4, (256, 256)))
        assert refused.value.code.name == "BAD_MAP"
        assert board.status().map_hash == fits.hash()
        with pytest.raises(BoardError, match="262144") as refused:
            board.dark_capture(8)
        assert refused.value.code.name == "BAD_ARGUMENT"
        assert len(board.dark_capture(2)[0].codes) == 2 * 256 * 256


def test_the_commands_work_on_a_board_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands that docs/porting-a-board.md tells board makers to run."""

    def run(*words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["focalloop", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code, capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    with native_board(array=ARRAY) as address:
        run("upload", "tile-2of16", "--port", address)
        run("capture", "--port", address, "--map", "tile-2of16", "-o", "taken", "-n", 3)
    (series,) = Capture.load("taken").series
    assert [int(number) for number in series.numbers] == [0, 1, 2]
    for number, readout in enumerate(series.readouts):
        np.testing.assert_array_equal(readout, codes(tile_map(), number))
