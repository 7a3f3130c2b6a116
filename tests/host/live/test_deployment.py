"""Changing bundles in a live session: map and network change together, for each window."""

import threading
from itertools import pairwise

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.errors import BoardLostError
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.deployment import MapChangedError
from focalloop.host.live.session import LiveSession
from focalloop.host.live.state import Phase
from focalloop.host.reconstruction.bundle import BundleError
from focalloop.models import zoo
from focalloop.models.zoo import APERTURE_BUNDLE, TOLD_BUNDLE, UNIVERSAL_BUNDLE
from tests.support.bad_line import Proxy
from tests.support.served import SHAPE, expected_codes, make_board, make_map, on_pty, on_tcp
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle
from tests.support.waiting import wait_until

SLOT_RATE_HZ = 800.0

DENSE = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (16, 16))
CODED = RatioMap.from_tile([[2, 0], [0, 1]], (20, 24)).with_aperture_tile(APERTURE_TILE)
MAPS = {"dense": DENSE, "coded": CODED}
"""Maps of the bundles, none of the board's size."""


@pytest.fixture(autouse=True)
def offered(tmp_path, monkeypatch):
    """Listed bundles: one without and one with a coded aperture, and two that do not fit."""
    folder = tmp_path / "zoo"
    scores = [{"set": "test_set.npz", "psnr": 29.5}]
    write_tiny_bundle(folder / "dense", DENSE, name="dense", scores=scores)
    write_tiny_bundle(folder / "coded", CODED, name="coded", network=tiny_network(aperture=True))
    short = RatioMap.uniform(2, (8, 8), slots=8)
    write_tiny_bundle(folder / "short", short, name="short", network=tiny_network(slots=8))
    write_tiny_bundle(folder / "stray", RatioMap.random((20, 20)), name="stray")
    monkeypatch.setattr(zoo, "FOLDER", folder)
    monkeypatch.setattr(zoo, "BUNDLES", dict.fromkeys(["dense", "coded", "short", "stray"], ""))
    return folder


@pytest.fixture
def url():
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        yield server.url


def by_network(picture, ratio_map):
    """Output of the bundle's network for the codes expected of the window under the map."""
    codes = expected_codes(ratio_map, picture.window)
    reads = ReadPlan.of(ratio_map).planes((codes.astype(np.float32) - 4096) / np.float32(49152))
    video = np.broadcast_to(reads.sum(axis=0) + ratio_map.levels, (16, *SHAPE))
    if ratio_map.aperture is not None:
        video = video * ratio_map.aperture
    return np.clip(np.rint(255 * video), 0, 255)[:: picture.slots.step]


def assert_by_its_network(picture):
    """Check that a picture was made by the network of its own map; return the map's name."""
    fitted = {name: ratio_map.tiled_to(*SHAPE) for name, ratio_map in MAPS.items()}
    (name,) = (name for name, each in fitted.items() if each.hash() == picture.map_hash)
    np.testing.assert_allclose(picture.final, by_network(picture, fitted[name]), atol=1)
    return name


def next_picture(session):
    before = session.picture()
    wait_until(lambda: session.picture() is not before)
    return session.picture()


def picture_of_the_map(session):
    """Wait for a picture of the map that the board runs now."""
    wait_until(lambda: session.picture().map_hash == session.ratio_map.hash())
    return session.picture()


def test_every_window_is_reconstructed_by_the_network_of_its_own_map(url):
    pictures = []
    with LiveSession(BoardAt(url), bundle="dense") as session:
        next_picture(session)
        session.subscribe(lambda: pictures.append(session.picture()))
        session.want(pictures, 4)
        for name in ("coded", "dense", "coded"):
            session.select(name)
            state = session.state()
            assert state.bundle == state.reconstructed_by == name
            assert state.phase is Phase.STREAMING
            assert state.map.hash == MAPS[name].tiled_to(*SHAPE).hash_hex
            assert state.map.aperture == (name == "coded")
            picture_of_the_map(session)
        next_picture(session)
    seen = [assert_by_its_network(picture) for picture in pictures]
    assert {"dense", "coded"} == set(seen)
    assert not any(message.level == "error" for message in session.state().messages)


def test_listed_bundles_state_ratio_aperture_and_score(url):
    with LiveSession(BoardAt(url), bundle="dense") as session:
        next_picture(session)
        offered = {bundle.name: bundle for bundle in session.bundles()}
    assert set(offered) == {"dense", "coded", "short", "stray", "network-free"}
    assert (offered["dense"].ratio, offered["dense"].psnr_db) == (0.125, 29.5)
    assert (offered["coded"].ratio, offered["coded"].psnr_db) == (0.75 / 16, None)
    assert [name for name, bundle in offered.items() if bundle.aperture] == ["coded"]


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("short", RatioMapError, "windows of 8 slots, but this board"),
        ("stray", RatioMapError, "20x20"),
        ("nowhere", BundleError, "choose one of"),
    ],
)
def test_a_bundle_that_cannot_run_here_changes_nothing(url, name, error, says):
    with LiveSession(BoardAt(url), bundle="coded") as session:
        next_picture(session)
        with pytest.raises(error, match=says):
            session.select(name)
        state = session.state()
        assert (state.bundle, state.phase) == ("coded", Phase.STREAMING)
        assert any(f"{name} was not selected" in message.text for message in state.messages)
        assert assert_by_its_network(next_picture(session)) == "coded"


def test_another_map_is_reconstructed_without_a_network_until_the_bundle_is_selected_again(url):
    with LiveSession(BoardAt(url), bundle="dense") as session:
        next_picture(session)
        session.select("coded")
        picture_of_the_map(session)
        # An uploaded map, though it equals that of the bundle before.
        session.upload(DENSE)
        picture = picture_of_the_map(session)
        np.testing.assert_array_equal(picture.final, picture.initial)  # all pixels are measured
        assert (session.state().bundle, session.state().reconstructed_by) == (
            "coded",
            "network-free",
        )
        session.select("coded")
        assert session.state().reconstructed_by == "coded"
        assert assert_by_its_network(picture_of_the_map(session)) == "coded"


def test_another_map_without_wide_gaps_is_reconstructed_by_the_universal_network(url, offered):
    write_tiny_bundle(offered / UNIVERSAL_BUNDLE, DENSE, name=UNIVERSAL_BUNDLE, reach=2)
    zoo.BUNDLES[UNIVERSAL_BUNDLE] = ""
    with LiveSession(BoardAt(url), bundle="coded") as session:
        next_picture(session)
        for ratio_map in (RatioMap.uniform(2, SHAPE), make_map(3)):
            session.upload(ratio_map)
            picture = picture_of_the_map(session)
            np.testing.assert_allclose(picture.final, by_network(picture, ratio_map), atol=1)
            state = session.state()
            assert (state.bundle, state.reconstructed_by) == ("coded", UNIVERSAL_BUNDLE)
        half = np.zeros(SHAPE, np.uint8)
        half[:, ::2][:, :4] = 4
        session.upload(RatioMap(half))
        picture_of_the_map(session)
        assert session.state().reconstructed_by == "network-free"
        session.upload(ratio_map)
        picture_of_the_map(session)
        session.select("network-free")  # even if another network suits
        picture = next_picture(session)
        wait_until(lambda: session.state().reconstructed_by == "network-free")
        session.select(UNIVERSAL_BUNDLE)
        state = session.state()
        assert state.bundle == state.reconstructed_by == UNIVERSAL_BUNDLE
        assert [bundle.name for bundle in session.bundles() if bundle.any_map] == [state.bundle]
        assert state.map.hash == DENSE.tiled_to(*SHAPE).hash_hex


def test_under_noise_that_costs_it_the_universal_network_gives_way_to_the_told_one(url, offered):
    noises = {"s_ss": [0.1, 0.5], "s_r": [0.05, 0.2]}
    cost = noises | {"against": TOLD_BUNDLE, "loss_db": [[-1.0, -1.0], [1.0, 1.0]]}
    told = {"network": tiny_network(noise=True), "noise_range": noises}
    for name, more in ((UNIVERSAL_BUNDLE, {"noise_cost": cost}), (TOLD_BUNDLE, told)):
        write_tiny_bundle(offered / name, DENSE, name=name, reach=2, **more)
        zoo.BUNDLES[name] = ""
    for s_ss, by in ((0.1, UNIVERSAL_BUNDLE), (0.5, TOLD_BUNDLE)):
        noise = NoiseProfile(name="mine", shot="gaussian", s_ss=s_ss, s_r=0.1)
        known = BoardCorrection(None, "a test", "Known.", noise)
        with LiveSession(BoardAt(url), bundle="coded", correct=lambda _, k=known: k) as session:
            next_picture(session)
            session.upload(RatioMap.uniform(2, SHAPE))
            picture_of_the_map(session)
            state = session.state()
        assert (state.bundle, state.reconstructed_by) == ("coded", by)
        assert f"that of mine would cost {UNIVERSAL_BUNDLE} about 1.0 dB" in state.noise_note or (
            by == UNIVERSAL_BUNDLE
        )


def test_a_network_with_memory_is_told_the_last_frame_of_the_window_before(
    url, offered, monkeypatch
):
    monkeypatch.setattr("focalloop.host.reconstruction.memory.SAME_SCENE", -1)  # random light
    network = tiny_network(memory=True, factor=0.1)
    folder = str(write_tiny_bundle(offered / "remembers", DENSE, network=network))
    pictures = []
    with LiveSession(BoardAt(url), bundle=folder) as session:
        session.want(pictures, 1)
        session.subscribe(lambda: pictures.append(session.picture()))
        wait_until(lambda: len(pictures) > 20)
    levels, told = DENSE.tiled_to(*SHAPE), 0
    for before, picture in pairwise(pictures):
        codes = expected_codes(levels, picture.window)
        planes = ReadPlan.of(levels).planes((codes.astype(np.float32) - 4096) / np.float32(49152))
        own = 255 * 0.1 * (planes.sum(axis=0) + levels.levels)
        remembered = picture.window == before.window + 1 and np.allclose(
            picture.final[-1], np.clip(own + before.final[-1] / 4, 0, 255), atol=1.5
        )
        told += remembered
        if not remembered:  # the board skipped an exposure, or a window was dropped
            np.testing.assert_allclose(picture.final[-1], np.clip(own - 255 / 4, 0, 255), atol=1.5)
    assert told


def test_any_coded_aperture_is_seen_by_the_network_for_apertures(url, offered):
    network = tiny_network(aperture=True)
    folder = offered / APERTURE_BUNDLE
    write_tiny_bundle(folder, name=APERTURE_BUNDLE, network=network, reach=2, any_aperture=True)
    zoo.BUNDLES[APERTURE_BUNDLE] = ""
    with LiveSession(BoardAt(url), bundle="coded") as session:
        next_picture(session)
        for seed in (1, 2):
            session.upload(RatioMap.uniform(2, SHAPE).with_random_aperture(seed))
            picture_of_the_map(session)
            assert session.state().reconstructed_by == APERTURE_BUNDLE


def test_the_map_before_an_upload_comes_back_and_no_other_map_is_overwritten(url):
    with LiveSession(BoardAt(url), bundle="dense") as session:
        next_picture(session)
        before, other = session.ratio_map, RatioMap.uniform(2, SHAPE)
        with pytest.raises(MapChangedError, match="nothing is overwritten"):
            session.upload(other, based_on=other.hash_hex)
        with pytest.raises(MapChangedError, match="no map to go back to"):
            session.back()
        session.upload(other, based_on=before.hash_hex)
        assert session.state().can_go_back
        session.back()
        assert session.ratio_map == before
        assert session.state().reconstructed_by == "dense"
        session.upload(other)
        session.keep()
        assert not session.state().can_go_back
        session.upload(before)
        session.select("coded")  # whose map Back would undo
        assert not session.state().can_go_back


def test_selecting_no_network_keeps_the_map(url):
    with LiveSession(BoardAt(url), bundle="coded") as session:
        next_picture(session)
        before = session.ratio_map
        session.select("network-free")
        assert session.ratio_map is before
        assert session.state().reconstructed_by == "network-free"
        next_picture(session)
        picture = next_picture(session)
        measured = before.levels > 0
        np.testing.assert_array_equal(picture.final[:, measured], picture.initial[:, measured])


def test_figures_are_those_of_the_present_map_and_network(url):
    """Also while a window of the network before is still under way."""
    held, released = threading.Event(), threading.Event()

    def hold():
        held.set()
        released.wait(10)

    with LiveSession(BoardAt(url), bundle="dense") as session:
        wait_until(lambda: session.state().scores is not None)
        before = session.state()
        assert before.scores.setup == before.setup == session.picture().setup
        unsubscribe = session.subscribe(hold)
        assert held.wait(10)
        session.select("network-free")  # keeps the map
        now = session.state()
        assert now.map == before.map
        assert session.picture().setup == before.setup != now.setup
        assert (now.scores, now.speed.reconstruct_ms) == (None, None)
        unsubscribe()
        released.set()
        wait_until(lambda: session.state().scores is not None)
        after = session.state()
        assert after.scores.setup == after.setup == now.setup == session.picture().setup
        assert after.speed.reconstruct_ms is not None
        session.select("dense")
        assert session.state().setup == before.setup


def test_concurrent_changes_are_made_one_after_the_other(url):
    with LiveSession(BoardAt(url), bundle="dense") as session:
        next_picture(session)
        work = [
            lambda: session.select("coded"),
            lambda: session.upload(make_map()),
            lambda: session.select("dense"),
            lambda: session.select("coded"),
        ]
        threads = [threading.Thread(target=each) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        state = session.state()
        runs = picture_of_the_map(session).map_hash
        suited = runs == MAPS[state.bundle].tiled_to(*SHAPE).hash()
        assert (state.reconstructed_by == state.bundle) == suited
        assert runs == make_map().hash() or suited


def test_a_change_resumes_after_the_line_dropped():
    with (
        on_tcp(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server,
        Proxy(server.address) as proxy,
        LiveSession(BoardAt(proxy.url), bundle="dense") as session,
    ):
        next_picture(session)
        proxy.cut(after_bytes=100)
        session.select("coded")
        assert assert_by_its_network(picture_of_the_map(session)) == "coded"


def test_a_board_that_vanishes_during_a_change_keeps_map_and_network(monkeypatch):
    monkeypatch.setattr("focalloop.host.live.session.RECONNECT_TIMEOUT_S", 0.2)
    with (
        on_tcp(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server,
        Proxy(server.address) as proxy,
        LiveSession(BoardAt(proxy.url), bundle="dense") as session,
    ):
        next_picture(session)
        proxy.down()
        with pytest.raises(BoardLostError):
            session.select("coded")
        wait_until(lambda: session.state().phase is not Phase.STREAMING)
        assert session.state().bundle == "dense"
        # From here on a pause of a busy machine must not look like a lost board.
        monkeypatch.setattr("focalloop.host.live.session.RECONNECT_TIMEOUT_S", 10.0)
        proxy.up()
        wait_until(lambda: session.state().phase is Phase.STREAMING)
        picture = next_picture(session)
        assert assert_by_its_network(picture) == "dense"


def test_without_a_board_no_bundle_is_selected(url):
    with LiveSession(BoardAt(url), bundle="dense") as session:
        next_picture(session)
    with pytest.raises(BoardLostError, match="no board is connected"):
        session.select("coded")
    assert session.state().bundle == "dense"
