"""A second bundle beside that of a session, over a served board."""

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.session import LiveSession
from focalloop.host.reconstruction.bundle import BundleError
from tests.support.served import SHAPE, make_board, on_pty
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.waiting import wait_until

VIEWER = object()


@pytest.fixture
def session(tmp_path):
    """Of a tiny bundle, beside which nothing is chosen yet."""
    folder = str(write_tiny_bundle(tmp_path / "mine"))
    with (
        on_pty(make_board(slot_rate_hz=800.0)) as server,
        LiveSession(BoardAt(server.url), bundle=folder) as session,
    ):
        wait_until(lambda: session.picture() is not None)
        yield session


def next_picture(session, wanted):
    """Wait for a newer picture that is as wanted."""
    before = session.picture().window
    wait_until(lambda: session.picture().window > before and wanted(session.picture()))
    return session.picture()


def test_both_rebuild_the_same_window_and_only_while_somebody_looks(session):
    session.compare("network-free")
    unwatched = next_picture(session, lambda picture: picture.beside_setup != 0)
    assert unwatched.beside is None
    assert session.state().comparison.reconstruct_ms is None

    leave = session.subscribe(lambda: None)
    session.want(VIEWER, 4, beside=True)
    picture = next_picture(session, lambda picture: picture.beside is not None)
    np.testing.assert_array_equal(picture.beside, picture.initial)
    assert not np.array_equal(picture.beside, picture.final)
    comparison = session.state().comparison
    assert comparison.reconstructed_by == "network-free"
    assert comparison.setup == picture.beside_setup != picture.setup
    assert comparison.reconstruct_ms > 0
    wait_until(lambda: (scores := session.state().scores) and scores.beside == "network-free")
    scores = session.state().scores
    assert scores.psnr_beside_db == scores.psnr_initial_db != scores.psnr_final_db
    assert scores.ssim_beside == scores.ssim_initial

    session.want(VIEWER, None)
    leave()
    next_picture(session, lambda picture: picture.beside is None)

    session.compare(None)
    next_picture(session, lambda picture: picture.beside_setup == 0)
    assert session.state().comparison is None


def test_the_same_network_gives_the_same_picture_under_the_same_number(session):
    name = session.state().bundle
    session.compare(name)
    session.subscribe(lambda: None)
    session.want(VIEWER, 4, beside=True)
    picture = next_picture(session, lambda picture: picture.beside is not None)
    np.testing.assert_array_equal(picture.beside, picture.final)
    assert picture.beside_setup == picture.setup


def test_under_a_map_that_does_not_suit_it_another_one_rebuilds_as_in_the_session(session):
    session.compare("edge-learned-2of16-int8")
    session.select("network-free")
    session.upload(RatioMap.from_tile(NAMED_TILES["tile-1of16"], SHAPE))
    session.want(VIEWER, 4, beside=True)
    by = "edge-universal-int8"
    wait_until(lambda: session.state().comparison.reconstructed_by == by)
    suited = {each.name for each in session.bundles() if each.suits}
    assert {by, "network-free"} <= suited
    assert "edge-learned-2of16-int8" not in suited


def test_a_bundle_that_is_not_offered_is_refused_and_changes_nothing(session):
    session.compare("network-free")
    with pytest.raises(BundleError, match="there is no bundle 'nowhere' here: choose one of"):
        session.compare("nowhere")
    assert session.state().comparison.bundle == "network-free"
