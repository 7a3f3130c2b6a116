"""The live session over a served board: pictures, uploads, a board that vanishes and comes back."""

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import asdict

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from focalloop.firmware_sim.default_calibration import corrected as noise_left
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import FixedPattern, FixedPatternError
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.errors import PortError
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.scores import Unscored, score
from focalloop.host.live.session import LiveSession
from focalloop.host.live.state import Phase
from focalloop.host.live.viewers import KEPT_S, UNWATCHED_PERIOD_S
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.reconstruct import NetworkFree
from focalloop.host.recording.store import RecordingStore
from focalloop.host.recording.timeline import timeline_of
from focalloop.models import zoo
from tests.support.served import SHAPE, Scene, expected_codes, make_board, make_map, on_pty
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle
from tests.support.waiting import wait_until

SLOT_RATE_HZ = 800.0


@pytest.fixture
def url():
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        yield server.url


def as_bytes(video):
    return np.clip(np.rint(np.float32(255) * video), 0, 255).astype(np.uint8)


def reads_of(picture, ratio_map):
    codes = expected_codes(ratio_map, picture.window)
    signal = (codes.astype(np.float32) - 4096) / np.float32(49152)
    return ReadPlan.of(ratio_map).planes(signal)


def blas_threads():
    return {blas["num_threads"] for blas in threadpool_info() if blas["user_api"] == "blas"}


def was_seen_at(picture):
    """Whether the truth is that of the window's exposure, or of one skipped before it."""
    exposures = range(picture.window, picture.window + 500)
    return any(
        np.array_equal(picture.truth, Scene().window(index)[:: picture.slots.step])
        for index in exposures
    )


def by_tiny_network(picture, ratio_map):
    """Output of the network of `tiny_bundle` in each slot: sum of the reads plus level."""
    plane = reads_of(picture, ratio_map).sum(axis=0) + ratio_map.levels
    return np.broadcast_to(as_bytes(plane), picture.final.shape)


def newer_than(session, window):
    """Wait for a picture of a later window."""
    wait_until(lambda: session.picture() is not None and session.picture().window > window)
    return session.picture()


def test_a_picture_has_the_window_its_scene_and_its_reconstruction(url):
    ratio_map = make_map()
    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=ratio_map) as session:
        picture = newer_than(session, -1)
        assert session.state().phase is Phase.STREAMING
    assert picture.map_hash == ratio_map.hash()
    assert picture.slots == range(0, 16, 4)
    codes = expected_codes(ratio_map, picture.window)
    np.testing.assert_array_equal(picture.readout, codes)
    assert was_seen_at(picture)
    initial = NetworkFree()(reads_of(picture, ratio_map), ratio_map)
    np.testing.assert_array_equal(picture.initial, as_bytes(initial[::4]))
    measured = ratio_map.levels > 0
    np.testing.assert_array_equal(picture.final[:, measured], picture.initial[:, measured])


def test_a_network_is_told_the_noise_of_the_board_and_what_it_is_not_for_is_said(url, tmp_path):
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)
    noise = NoiseProfile(name="mine", shot="gaussian", s_ss=0.25, s_r=0.125, pixel_offset=0.5)
    known = {"s_ss": [0.1, 0.5], "s_r": [0.05, 0.1]}
    network = tiny_network(noise=True)
    folder = str(write_tiny_bundle(tmp_path / "told", network=network, noise_range=known))
    even = FixedPattern(np.zeros(SHAPE), np.ones(SHAPE), np.zeros(SHAPE, int))
    corrected = BoardCorrection(Correction(even), "a test", "Corrected.", noise)
    with LiveSession(BoardAt(url), bundle=folder, correct=lambda _: corrected) as session:
        picture = newer_than(session, -1)
        state = session.state()
    # Without its fixed pattern, but for what a correction leaves of it.
    assert state.signal_electrons == 16
    assert "of mine, s_r 0.13 is above that, and 0.1 is taken instead" in state.noise_note
    shot, read = noise_left(noise).shot_and_read()
    plane = as_bytes((shot + read) * (reads_of(picture, ratio_map).sum(axis=0) + ratio_map.levels))
    np.testing.assert_allclose(picture.final, np.broadcast_to(plane, picture.final.shape), atol=1)


def test_reads_are_corrected_before_anything_is_reconstructed(url, tmp_path):
    ratio_map, asked = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE), []
    defects = np.zeros(SHAPE, int)
    defects[::16, ::16] = 2
    gain = np.full(SHAPE, 2.0)
    correction = Correction(FixedPattern(np.full(SHAPE, 0.125), gain, defects))

    def correct(board):
        asked.append(board.serial)
        return BoardCorrection(correction, "a test", "The reads are corrected by a test.")

    folder = str(write_tiny_bundle(tmp_path / "tiny"))
    with LiveSession(BoardAt(url), bundle=folder, correct=correct) as session:
        picture = newer_than(session, -1)
        state = session.state()
    assert asked == ["virtual"]
    assert (state.corrected_by, state.reconstructed_by) == ("a test", folder)
    assert any(message.text.endswith("by a test.") for message in state.messages)
    assert state.map.hash == ratio_map.hash_hex
    reads, corrected_map = correction(reads_of(picture, ratio_map), ratio_map)
    initial = NetworkFree()(reads, corrected_map)
    np.testing.assert_array_equal(picture.initial, as_bytes(initial[::4]))
    plane = as_bytes(reads.sum(axis=0) + corrected_map.levels)
    np.testing.assert_allclose(picture.final, np.broadcast_to(plane, picture.final.shape), atol=1)
    assert (picture.final[:, 0, 0] == 0).all()


def test_a_board_is_asked_what_corrects_it_each_time_that_it_is_opened(url):
    asked, lent = [], []

    def correct(board):
        asked.append(board.serial)
        return BoardCorrection()

    with LiveSession(BoardAt(url), bundle="network-free", correct=correct) as session:
        picture = newer_than(session, -1)
        session.lend(lent.append).result(30)
        newer_than(session, picture.window)
    assert (asked, lent) == (["virtual"] * 2, [url])


def test_a_correction_of_another_board_ends_the_session(url):
    def correct(board):
        raise FixedPatternError("the fixed pattern is of another board")

    with LiveSession(BoardAt(url), bundle="network-free", correct=correct) as session:
        wait_until(lambda: session.state().phase is Phase.STOPPED)
    assert "another board" in str(session.failure)


def test_a_bundle_brings_its_map_and_its_network(url, tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    with LiveSession(BoardAt(url), bundle=str(folder)) as session:
        picture = newer_than(session, -1)
        state = session.state()
        names = [bundle.name for bundle in session.bundles()]
    wanted = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)
    assert state.map.hash == wanted.hash_hex
    assert state.bundle == state.reconstructed_by == str(folder)
    assert {str(folder), "network-free"} <= set(names)
    np.testing.assert_allclose(picture.final, by_tiny_network(picture, wanted), atol=1)


def test_a_viewer_gets_the_slots_that_it_wants(url):
    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()) as session:
        newer_than(session, -1)
        viewer = object()
        session.want(viewer, 1)
        wait_until(lambda: session.picture().slots == range(16))
        picture = session.picture()
        assert was_seen_at(picture)
        session.want(viewer, None)
        wait_until(lambda: session.picture().slots == range(0, 16, 4))


def test_while_nobody_looks_most_windows_are_only_received(url):
    def counts():
        speed = session.state().speed
        handled = speed.windows_reconstructed + speed.windows_dropped_by_host
        return speed.windows_received, handled

    def share_handled():
        received, handled = counts()
        begun_s = time.monotonic()
        wait_until(lambda: counts()[0] >= received + 40)
        now_received, now_handled = counts()
        lasted_s = time.monotonic() - begun_s
        return now_handled - handled, now_received - received, lasted_s

    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()) as session:
        newer_than(session, -1)
        handled, received, lasted_s = share_handled()
        assert 1 <= handled <= lasted_s / UNWATCHED_PERIOD_S + 2
        assert received >= 40
        session.want(url, 4)
        handled, received, _ = share_handled()
        # Each one is reconstructed, or replaced by a newer one; some are still on their way.
        assert handled >= received - 5
        session.want(url, None)
        time.sleep(KEPT_S)  # it may ask again
        handled, received, lasted_s = share_handled()
        assert handled <= lasted_s / UNWATCHED_PERIOD_S + 2


def test_an_upload_changes_the_picture_while_the_stream_runs(url):
    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map(0)) as session:
        before = newer_than(session, -1)
        other = make_map(1)
        session.upload(other)
        assert session.ratio_map.hash() == other.hash()
        wait_until(lambda: session.picture().map_hash == other.hash())
        after = session.picture()
        np.testing.assert_array_equal(after.readout, expected_codes(other, after.window))
        assert after.window > before.window


def test_a_map_that_does_not_fit_leaves_everything_as_it_was(url):
    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()) as session:
        newer_than(session, -1)
        with pytest.raises(RatioMapError):
            session.upload(RatioMap.random((20, 20)))
        assert session.ratio_map.hash() == make_map().hash()
        assert session.state().phase is Phase.STREAMING
        newer_than(session, session.picture().window)


def test_a_network_is_not_used_under_a_map_other_than_its_own(url, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "BUNDLES", {})  # no network for any map either
    folder = write_tiny_bundle(tmp_path / "tiny")
    with LiveSession(BoardAt(url), bundle=str(folder), ratio_map=make_map()) as session:
        picture = newer_than(session, -1)
        measured = make_map().levels > 0
        np.testing.assert_array_equal(picture.final[:, measured], picture.initial[:, measured])
        assert session.state().bundle == str(folder)
        assert session.state().reconstructed_by == "network-free"
        session.upload(RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE))
        wait_until(lambda: session.picture().map_hash == session.ratio_map.hash())
        picture = session.picture()
        assert session.state().reconstructed_by == str(folder)
        np.testing.assert_allclose(
            picture.final, by_tiny_network(picture, session.ratio_map), atol=1
        )


def test_the_network_is_changed_while_windows_arrive(url, tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    with LiveSession(BoardAt(url), bundle=str(folder)) as session:
        picture = newer_than(session, -1)
        own_map = session.ratio_map
        np.testing.assert_allclose(picture.final, by_tiny_network(picture, own_map), atol=1)
        session.select("network-free")
        under_way = newer_than(session, session.picture().window)  # perhaps begun before
        picture = newer_than(session, under_way.window)
        np.testing.assert_array_equal(picture.final, picture.initial)  # all pixels are measured
        assert session.state().bundle == session.state().reconstructed_by == "network-free"
        with pytest.raises(FocalloopError, match="choose one of"):
            session.select("nowhere")
        assert session.state().bundle == "network-free"


def test_a_network_that_fails_is_replaced_by_none(url, tmp_path):
    folder = write_tiny_bundle(tmp_path / "odd", network=tiny_network(slots=8))
    with LiveSession(BoardAt(url), bundle=str(folder)) as session:
        newer_than(session, -1)
        state = session.state()
    assert state.bundle == "network-free"
    assert any("T=16" in message.text for message in state.messages)


def test_a_network_that_gives_nan_is_replaced_by_none_and_every_state_is_json(url, tmp_path):
    bundle = write_tiny_bundle(tmp_path / "nan", network=tiny_network(factor=float("nan")))
    with LiveSession(BoardAt(url), bundle=str(bundle)) as session:
        wait_until(lambda: session.state().scores is not None)
        state = session.state()
        assert any("not finite numbers" in message.text for message in state.messages)
        assert state.reconstructed_by == "network-free"
        json.dumps(asdict(state), allow_nan=False)


def test_scores_compare_with_the_truth(url):
    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()) as session:
        wait_until(lambda: session.state().scores is not None)
        scores = session.state().scores
    assert 0 < scores.psnr_initial_db < 20  # the codes are unrelated to the scene
    assert -1 <= scores.ssim_final < 0.5


def test_an_array_too_small_for_ssim_is_not_scored():
    small = np.zeros((16, 10, 64), np.float32)
    assert score(Unscored(0, 1, small, small, Future()), small.astype(np.uint8)) is None


def test_latency_runs_from_the_last_slot_to_the_report_of_a_viewer(url):
    with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()) as session:
        picture = newer_than(session, -1)
        assert session.state().speed.latency_p50_ms is None
        session.drawn(1 << 31)  # a window that was never received
        assert session.state().speed.latency_p50_ms is None
        session.drawn(picture.window)
        assert session.state().speed.latency_p50_ms > 0


class Coming:
    """A source that serves a new board at each start, as that of the emulator does."""

    def __init__(self):
        self.serving, self.starts = None, 0

    activity = "starting"
    open_clip = None
    wait_s = 0.0
    on_wait = print

    def start(self):
        self.starts += 1
        self.serving = on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ))
        return self.serving.__enter__().url

    def stop(self):
        serving, self.serving = self.serving, None
        if serving is not None:
            serving.__exit__(None, None, None)


def test_a_board_that_is_gone_for_good_is_started_again_and_gets_its_map(monkeypatch):
    monkeypatch.setattr("focalloop.host.live.session.RECONNECT_TIMEOUT_S", 0.2)
    source = Coming()
    with LiveSession(source, bundle="network-free", ratio_map=make_map()) as session:
        newer_than(session, -1)
        source.stop()
        wait_until(lambda: session.state().phase is Phase.LOST)
        wait_until(lambda: session.state().phase is Phase.STREAMING)
        before = session.picture()
        wait_until(lambda: session.picture() is not before)
        assert session.picture().map_hash == make_map().hash()
        levels = [message.level for message in session.state().messages]
    assert source.starts == 2
    assert "error" in levels
    assert source.serving is None


def test_a_session_that_cannot_start_ends_with_the_reason():
    with LiveSession(BoardAt("/dev/nowhere"), bundle="network-free") as session:
        wait_until(lambda: session.state().phase is Phase.STOPPED)
    assert isinstance(session.failure, PortError)
    assert "/dev/nowhere" in str(session.failure)


def test_a_missing_bundle_ends_the_session(url):
    with LiveSession(BoardAt(url), bundle="/nowhere") as session:
        wait_until(lambda: session.state().phase is Phase.STOPPED)
    assert "no bundle" in str(session.failure)


def test_leaving_frees_the_board_and_every_thread(url):
    before = threading.active_count()
    for _ in range(2):
        with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()) as session:
            newer_than(session, -1)
    wait_until(lambda: threading.active_count() == before)
    assert session.failure is None


def test_what_is_recorded_is_what_came(url, tmp_path):
    ratio_map, other = make_map(), make_map(1)
    store = RecordingStore(tmp_path)
    with LiveSession(
        BoardAt(url), bundle="network-free", ratio_map=ratio_map, recordings=store
    ) as session:
        newer_than(session, -1)
        name = session.recordings.start("by a test").name
        wait_until(lambda: session.state().recording.windows >= 3)
        session.upload(other)
        wait_until(lambda: session.picture().map_hash == other.hash())
    messages, state = session.state().messages, session.state().recording
    assert (state.recording, state.problem) == (False, "")
    with store.open(name) as recording:
        assert recording.check() == ()
        windows = list(recording.windows())
        assert len(windows) == state.windows
        assert recording.board.name == "focalloop emulator"
        marks = timeline_of(recording).marks
    assert [mark.text for mark in marks if mark.kind == "map"] == [
        next(each.text for each in reversed(messages) if "The board runs" in each.text)
    ]
    for window in windows:
        np.testing.assert_array_equal(window.codes, expected_codes(window.ratio_map, window.number))
    assert {window.ratio_map for window in windows} == {ratio_map, other}


def test_no_thread_of_the_blas_spins_beside_a_session(url):
    with threadpool_limits(2, user_api="blas"):
        with LiveSession(BoardAt(url), bundle="network-free", ratio_map=make_map()):
            assert blas_threads() == {1}
        assert blas_threads() == {2}
