"""From a board or an emulator to windows, captures, pictures and profiles, by the public API."""

import io

import numpy as np
import pytest
from PIL import Image

from focalloop import (
    Board,
    BoardLostError,
    Bundle,
    Capture,
    CaptureError,
    Emulator,
    NoiseProfile,
    RatioMap,
    RatioMapError,
    ReconstructError,
    WriteError,
    calibrate,
)
from focalloop.firmware_sim.scenes.scene import open_scene
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from tests.support.served import on_pty

SHAPE = (48, 64)
MAP = RatioMap.load("tile-2of16", shape=SHAPE)


def moving_square():
    scene = np.full((16, *SHAPE), 0.2, np.float32)
    for slot in range(16):
        scene[slot, 10:30, 10 + slot : 30 + slot] = 0.8
    return scene


@pytest.fixture
def url():
    """An emulated board before a moving scene."""
    settings = BoardSettings(profile=NoiseProfile.load("scamp5"))
    with on_pty(VirtualBoard(open_scene("synthetic", *SHAPE), settings)) as server:
        yield server.url


@pytest.fixture
def board(url):
    with Board.open(url) as board:
        board.upload(MAP)
        yield board


def test_a_board_says_its_name_array_and_state(board, url):
    text = repr(board)
    assert text.startswith(f"<Board {board.info.name!r} at {url}: 64x48, 8 bit, connected; runs ")
    assert text.endswith(f"{MAP.summary}>")
    board.close()
    assert ", closed" in repr(board)


def test_windows_of_a_board_are_kept_and_come_back(board, tmp_path):
    capture = Capture.take(tmp_path / "night", board, count=3)
    assert repr(capture) == (
        f"<Capture {str(tmp_path / 'night')!r}: 3 windows of {board.info.name!r}; {MAP.summary}>"
    )
    assert len(capture) == 3
    again = list(Capture.load(tmp_path / "night").windows())
    assert [window.number for window in again] == [w.number for w in capture.windows()]
    assert all(window.ratio_map == MAP and window.bits == 8 for window in again)
    assert again[0].reads.shape == (8, *SHAPE)
    with pytest.raises(WriteError, match="exists"):
        Capture.take(tmp_path / "night", board)


def test_a_bundle_reconstructs_what_an_emulator_captures():
    scene = moving_square()
    bundle = Bundle.load("edge-tile-2of16")
    window = Emulator(bundle.ratio_map.tiled_to(*SHAPE), "paper").capture(scene, 7)
    video = bundle.reconstruct(window)
    assert repr(video) == ("<Reconstruction of window 7: 16 frames, 64x48, by 'edge-tile-2of16'>")
    assert np.asarray(video).shape == video.shape == (16, *SHAPE)
    assert np.asarray(video, np.float64).dtype == np.float64
    assert len(video) == 16
    assert video[3].shape == SHAPE
    np.testing.assert_array_equal(np.stack(list(video)), video.video)
    assert abs(scene - video).mean() < 0.05
    assert video.psnr(scene) > 25
    assert 0.5 < video.ssim(scene) <= 1
    with Image.open(io.BytesIO(video._repr_png_())) as picture:
        assert (picture.n_frames, picture.size) == (16, (256, 192))


def test_a_reconstruction_is_saved(tmp_path):
    window = Emulator(MAP, "ideal").capture(moving_square())
    video = Bundle.load("edge-universal-int8").reconstruct(window)
    video.save(tmp_path / "video.npz")
    with np.load(tmp_path / "video.npz") as saved:
        np.testing.assert_array_equal(saved["video"][0], video)
    video.save(tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").stat().st_size


def test_a_bundle_for_another_map_says_which_one_suits():
    window = Emulator(RatioMap.uniform(4, SHAPE), "paper").capture(moving_square())
    with pytest.raises(ReconstructError, match=r"edge-tile-2of16 is not for .*edge-universal-int8"):
        Bundle.load("edge-tile-2of16").reconstruct(window)
    coded = RatioMap.uniform(4, SHAPE).with_aperture(np.ones((16, *SHAPE)))
    window = Emulator(coded, "paper").capture(moving_square())
    with pytest.raises(ReconstructError, match=r"or reconstruct with aperture-universal$"):
        Bundle.load("edge-tile-2of16").reconstruct(window)
    gaps = np.zeros(SHAPE, np.uint8)
    gaps[0, 0] = 4
    window = Emulator(RatioMap(gaps), "paper").capture(moving_square())
    with pytest.raises(ReconstructError, match=r"capture under the bundle's map$"):
        Bundle.load("edge-tile-2of16").reconstruct(window)


def test_a_bundle_takes_one_window(board):
    with pytest.raises(ReconstructError, match="one Window at a time, not a list"):
        Bundle.load().reconstruct(board.capture())


def test_a_board_takes_maps_by_name(board):
    assert board.upload("fixed-4of16") == RatioMap.uniform(4, SHAPE)
    assert board.capture()[0].ratio_map.mean_level == 4
    with pytest.raises(RatioMapError, match=r"no ratio map 'fixed-3of16'.*Bundle\.load"):
        board.upload("fixed-3of16")
    with pytest.raises(RatioMapError, match="not from <Bundle 'edge-tile-2of16' for "):
        board.upload(Bundle.load("edge-tile-2of16"))


def test_bundles_say_what_they_are_for():
    assert repr(Bundle.load("edge-tile-2of16")).startswith("<Bundle 'edge-tile-2of16' for ")
    assert repr(Bundle.load("edge-universal-int8")).startswith(
        "<Bundle 'edge-universal-int8' for any map; "
    )


def test_a_calibration_is_made_from_a_board_and_runs_an_emulator(board, tmp_path):
    found = calibrate(board, name="bench")
    truth = NoiseProfile.load("scamp5")
    assert found.profile.name == "bench"
    assert repr(found).startswith("<Calibration 'bench': s_ss 0.00")
    assert "<tr><th>s_r</th><td>0.00" in found._repr_html_()
    assert found.profile.s_r == pytest.approx(truth.s_r, rel=0.2)
    found.profile.save(tmp_path / "bench.json")
    assert Emulator(MAP, tmp_path / "bench.json").profile == found.profile
    board.upload(MAP)  # what a calibration captures under is not what the board ran


def test_a_calibration_takes_captures_and_their_paths(board, tmp_path):
    from focalloop.host.captures.calibration_capture import take
    from focalloop.host.captures.calibration_design import Design, plan
    from focalloop.host.captures.writer import CaptureWriter

    for name in ("a", "b"):
        with CaptureWriter(tmp_path / name, board.info) as writer:
            take(board, plan(board.info, Design.SPANS, reads=4), writer)
    one = calibrate(str(tmp_path / "a")).profile.s_r
    both = calibrate(Capture.load(tmp_path / "a"), tmp_path / "b").profile.s_r
    assert one == pytest.approx(both, rel=0.2)
    assert one != both


def test_what_cannot_be_calibrated_is_said(board, tmp_path):
    Capture.take(tmp_path / "scene", board)
    for sources, options, said in [
        ((), {}, "nothing to calibrate from"),
        ((tmp_path / "nowhere",), {}, "there is no .*nowhere"),
        ((tmp_path / "scene",), {}, "exposed to a scene"),
        ((tmp_path / "scene",), {"bits": 8}, "a capture states its own"),
        (([tmp_path / "scene"],), {}, "as separate arguments, not a list"),
    ]:
        with pytest.raises(CaptureError, match=said):
            calibrate(*sources, **options)


def test_a_board_that_is_gone_is_one_sentence(board):
    board.close()
    with pytest.raises(BoardLostError, match="closed"):
        board.capture()
