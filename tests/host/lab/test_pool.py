"""The pool that rebuilds the windows of all boards, and the networks of a worker in it."""

import os
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.lab.pool import Turns, run_pool
from focalloop.host.lab.pooled_networks import PooledNetworks
from focalloop.host.live.networks import NetworksAwayError, OwnNetworks
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.reconstruct import ReconstructError
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle
from tests.support.waiting import wait_until

PLAIN = RatioMap.from_tile(NAMED_TILES["tile-1of16"], (32, 48))
SHUT = PLAIN.with_random_aperture(seed=1)
READS = np.random.default_rng(0).random((8, 32, 48), np.float32)


@contextmanager
def pool(path, count=1):
    """Run a pool in a thread while the context lasts."""
    end, parent = os.pipe()[::-1]
    thread = threading.Thread(target=run_pool, args=(path, count, parent))
    thread.start()
    try:
        wait_until(path.exists)
        yield
    finally:
        os.close(end)
        thread.join(30)
        os.close(parent)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pool.socket"


def rebuilt(networks, network, ratio_map, reads=READS, *more):
    with networks.turn():
        return network(reads, ratio_map, *more)


@pytest.mark.parametrize(
    "kind", [{}, {"aperture": True}, {"noise": True}, {"memory": True}], ids=str
)
def test_the_pool_rebuilds_as_the_session_itself_would(kind, path, tmp_path):
    ratio_map = SHUT if "aperture" in kind else PLAIN
    write_tiny_bundle(tmp_path / "mine", ratio_map, network=tiny_network(**kind))
    name = str(tmp_path / "mine")
    bundle, own = Bundle.load(name), OwnNetworks(threads=1)
    with pool(path):
        pooled = PooledNetworks(path, watched=True)
        ways = [(own, own.load(name, bundle)), (pooled, pooled.load(name, bundle))]
        memories = LastFrame(), LastFrame()
        for number, reads in enumerate((READS, 1 - READS, READS)):
            expected, found = (
                rebuilt(where, partial(memory.rebuild, way), ratio_map, reads, Place(0, number))
                for (where, way), memory in zip(ways, memories, strict=True)
            )
            np.testing.assert_array_equal(found, expected)
        noise = (0.25, 0.125)
        expected, found = (rebuilt(where, way.told(noise), ratio_map) for where, way in ways)
        np.testing.assert_array_equal(found, expected)


def test_one_turn_has_many_networks_maps_and_sizes(path):
    own = OwnNetworks()
    with pool(path):
        pooled = PooledNetworks(path, watched=True)
        with pooled.turn():
            for seed in range(6):
                ratio_map = RatioMap.random((16 + 8 * seed, 16), seed=seed)
                reads = np.full((8, *ratio_map.shape), seed, np.float32)
                np.testing.assert_array_equal(
                    pooled.network_free(reads, ratio_map), own.network_free(reads, ratio_map)
                )


def test_what_cannot_be_rebuilt_is_said_and_ends_nothing(path, tmp_path):
    write_tiny_bundle(tmp_path / "mine", PLAIN)
    name = str(tmp_path / "mine")
    bundle = Bundle.load(name)
    with pool(path):
        pooled = PooledNetworks(path, watched=True)
        network = pooled.load(name, bundle)
        with pooled.turn():
            with pytest.raises(ReconstructError, match="the ratio map has one"):
                network(READS, SHUT)
            with pytest.raises(ReconstructError, match="do not match a 32x48 ratio map"):
                network(READS[:, :16], PLAIN)
            assert np.isfinite(network(READS, PLAIN)).all()


def test_a_bundle_that_was_replaced_is_not_taken_for_the_chosen_one(path, tmp_path):
    write_tiny_bundle(tmp_path / "mine", PLAIN)
    write_tiny_bundle(tmp_path / "other", PLAIN, network=tiny_network(factor=2.0))
    chosen = Bundle.load(tmp_path / "mine")
    with pool(path), pytest.raises(ReconstructError, match="is not the one that was chosen"):
        PooledNetworks(path, watched=True).load(str(tmp_path / "other"), chosen)


def test_a_pool_that_crashed_is_used_again_when_it_is_back(path, tmp_path):
    write_tiny_bundle(tmp_path / "mine", PLAIN)
    name = str(tmp_path / "mine")
    networks = PooledNetworks(path, watched=True)
    network = networks.load(name, Bundle.load(name))  # while there is no pool yet
    with pytest.raises(NetworksAwayError, match="the pool that rebuilds windows does not answer"):
        rebuilt(networks, network, PLAIN)
    with pool(path):
        assert np.isfinite(rebuilt(networks, network, PLAIN)).all()


def test_a_session_that_ends_does_not_wait_for_its_turn(path):
    holder, waiter = (PooledNetworks(path, watched=True) for _ in range(2))
    failed = []

    def wait():
        try:
            with waiter.turn():
                pass
        except NetworksAwayError as error:
            failed.append(error)

    with pool(path), holder.turn():
        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: waiter._sock is not None)
        waiter.close()
        thread.join(30)
        assert len(failed) == 1
        with pytest.raises(NetworksAwayError), waiter.turn():
            pass


def test_a_recording_waits_for_its_turn_but_not_for_good(monkeypatch):
    monkeypatch.setattr("focalloop.host.lab.pool._BEHIND_S", 0.0)  # it has waited for so long
    turns, got = Turns(1), threading.Event()
    turns.take(watched=True)

    def rebuild():
        turns.take(watched=False)
        got.set()

    threading.Thread(target=rebuild).start()
    wait_until(lambda: turns._waiting)
    again = threading.Thread(target=turns.take, args=(True,))
    again.start()
    wait_until(lambda: len(turns._waiting) == 2)
    turns.give_back()
    assert got.wait(30)
    turns.give_back()
    again.join(30)


def test_watched_boards_are_first_then_who_has_waited_longest():
    turns, served = Turns(1), []
    turns.take(watched=True)
    threads = []

    def rebuild(name, watched):
        turns.take(watched)
        served.append(name)
        turns.give_back()

    wishes = [("r1", False), ("w1", True), ("r2", False), ("w2", True)]
    for count, (name, watched) in enumerate(wishes, 1):
        threads.append(threading.Thread(target=rebuild, args=(name, watched)))
        threads[-1].start()
        wait_until(lambda count=count: len(turns._waiting) == count)
    turns.give_back()
    for thread in threads:
        thread.join(30)
    assert served == ["w1", "w2", "r1", "r2"]


def test_so_many_at_a_time():
    turns = Turns(2)
    turns.take(watched=False)
    turns.take(watched=True)
    third = threading.Thread(target=turns.take, args=(True,))
    third.start()
    wait_until(lambda: turns._waiting)
    assert third.is_alive()
    turns.give_back()
    third.join(30)
    assert not third.is_alive()
