"""A second bundle beside that of the session, on the page, over a fake session."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.host.live.state import ComparisonState, ScoreState
from focalloop.host.reconstruction.bundle import BundleError
from tests.support.fake_session import make_picture
from tests.support.preview_page import canvas, go, pause_at
from tests.support.waiting import wait_until

WIDTH = 24
SCORES = ScoreState(1, 1, 20.1, 30.2, 0.7, 0.9, beside="network-free", psnr_beside_db=28.7,
                    ssim_beside=0.85)  # fmt: skip


@pytest.fixture
def page(open_page, session_url, session):
    """The page beside whose bundle nothing is chosen yet."""
    session.bundle = "edge"
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.wait_for_selector("#beside-bundle option[value=network-free]", state="attached")
    return page


def put_beside(page, session, window):
    """Choose the second bundle, and hold a window that it rebuilt."""
    page.select_option("#beside-bundle", "network-free")
    wait_until(lambda: session.comparison is not None)
    page.wait_for_selector(".comparing")
    session.wants.clear()
    picture = make_picture(window, session.ratio_map, beside_setup=2)
    pause_at(page, session, picture)
    return picture


def slot(page):
    return int(page.inner_text("#slot-label").split()[0]) - 1


def test_both_pictures_their_error_and_a_wipe_of_both(page, session):
    offered = page.eval_on_selector_all("#beside-bundle option", "all => all.map(e => e.value)")
    assert offered == ["", "network-free"]  # neither the one in use nor one for another map
    picture = put_beside(page, session, 7)
    assert session.beside
    now = slot(page)
    np.testing.assert_array_equal(canvas(page, "beside"), picture.beside[now])
    assert page.inner_text("#beside-note") == "by network-free"
    assert page.inner_text("#final-note") == "by edge"

    page.select_option("#error-from", "beside")
    exact = picture.final[now] == picture.beside[now]
    assert (canvas(page, "error")[exact] == 4).all()  # the scale's darkest colour
    far = np.abs(picture.final[now].astype(int) - picture.beside[now]) > 40
    assert (canvas(page, "error")[far] > 200).all()

    page.keyboard.press("w")
    page.wait_for_selector("#wiped")
    assert page.is_hidden("#beside")
    shown = canvas(page, "wiped")
    half = WIDTH // 2
    np.testing.assert_array_equal(shown[:, : half - 1], picture.final[now][:, : half - 1])
    np.testing.assert_array_equal(shown[:, half + 1 :], picture.beside[now][:, half + 1 :])


def test_what_it_reaches_and_costs_is_said_and_only_of_this_pair(page, session):
    session.scores = SCORES
    put_beside(page, session, 3)
    page.wait_for_selector("#beside-value:has-text('28.7')")
    assert page.inner_text("#beside-cost") == "SSIM 0.850, takes 19 ms"
    session.scores = replace(SCORES, beside="", psnr_beside_db=None, ssim_beside=None)
    session.comparison = replace(session.comparison, reconstruct_ms=None)
    page.wait_for_selector("#beside-cost:has-text('not computed now')")
    assert page.inner_text("#beside-value") == "28.7"  # of the window that is held
    session.comparison = ComparisonState("edge", "edge", 3, None)
    page.wait_for_selector("#beside-value:has-text('–')")


def test_it_survives_a_reload_and_ends_with_one_click(page, session):
    put_beside(page, session, 3)
    session.beside = False
    page.reload()
    page.wait_for_selector(".comparing")
    wait_until(lambda: session.beside)
    session.put(make_picture(5, session.ratio_map, beside_setup=2))
    page.wait_for_selector("#beside-note:has-text('by network-free')")
    assert page.input_value("#beside-bundle") == "network-free"
    go(page, "boards")
    wait_until(lambda: set(session.wants.values()) == {None})  # whoever does not look
    session.beside = False
    go(page, "live")
    wait_until(lambda: session.beside)
    page.click("#beside-off")
    wait_until(lambda: session.comparison is None)
    page.wait_for_selector(".live:not(.comparing)")
    assert page.is_hidden("#beside")
    session.put(make_picture(6, session.ratio_map))
    wait_until(lambda: not session.beside)


def test_without_a_reference_the_error_is_between_both(page, session):
    session.board = replace(session.board, gives_scene=False)
    page.wait_for_selector("#no-reference:has-text('No reference')")
    session.put(make_picture(2, session.ratio_map, truth=False))
    page.wait_for_selector(".unreferenced")
    page.select_option("#beside-bundle", "network-free")
    page.wait_for_selector(".comparing")
    session.put(make_picture(3, session.ratio_map, truth=False, beside_setup=2))
    page.wait_for_selector("#error")
    assert (page.input_value("#error-of"), page.input_value("#error-from")) == ("final", "beside")
    assert page.inner_text("#beside-value") == "19"
    page.click("#beside-off")
    page.wait_for_selector("#error", state="hidden")


def test_a_refusal_is_said_and_changes_nothing(page, session):
    def refuse(name):
        raise BundleError("this bundle is damaged: fetch it again")

    session.compare = refuse
    page.select_option("#beside-bundle", "network-free")
    page.wait_for_selector("#notice.error:has-text('This bundle is damaged')")
    page.wait_for_function("() => document.getElementById('beside-bundle').value === ''")
