"""Work on a Ray cluster of two machines: what comes back is what this process would compute."""

from __future__ import annotations

import json
import operator
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from importlib import metadata

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host import cluster as cluster_module
from focalloop.host.cli import processors
from focalloop.host.cluster import ClusterError, ClusterLostError, joined
from tests.support.command_line import complaint, run
from tests.support.tiny_bundle import write_tiny_bundle

pytest.importorskip("ray", reason="the extra scale is not installed")
pytestmark = pytest.mark.timeout(300)  # Ray starts ten processes

MACHINE = {
    "num_cpus": 1,
    "object_store_memory": 100 << 20,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,  # of an autoscaler
}
HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""As docs/scaling.md recommends."""


@pytest.fixture(scope="module")
def machines():
    """Two machines of one processor each, which nobody else can reach; the second may be killed."""
    os.environ.update(cluster_module.QUIET | cluster_module.LOOPBACK)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=MACHINE | {"_system_config": HEALTH})
    made.add_node(**MACHINE)
    yield made
    made.shutdown()


def test_another_version_is_refused_before_work_is_sent(machines, monkeypatch):
    true_version = metadata.version
    own = true_version("focalloop")

    def version(name):
        return "0.1.9" if name == "focalloop" else true_version(name)

    monkeypatch.setattr(metadata, "version", version)
    with (
        pytest.raises(ClusterError, match=f"has focalloop {own}, and this one 0.1.9: install"),
        joined(machines.address),
    ):
        pass


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:1", "no head node of a Ray cluster answers at 127.0.0.1:1"),
        ("somewhere", "no head node of a Ray cluster answers at somewhere"),
        ("ray://127.0.0.1:10001", "give HOST:PORT"),
    ],
)
def test_what_is_no_cluster_is_refused(address, problem):
    with pytest.raises(ClusterError, match=problem), joined(address):
        pass


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr(cluster_module, "find_spec", lambda name: None)
    with pytest.raises(ClusterError, match=r"pip install 'focalloop\[scale\]'"), joined():
        pass


def test_ray_is_not_loaded_before_it_is_asked_for():
    modules = "focalloop.host.cluster, focalloop.host.cli.processors"
    code = f"import sys, {modules}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.fixture(scope="module")
def cluster(machines):
    with joined(machines.address) as cluster:
        yield cluster


def test_results_are_those_of_map_in_its_order(cluster):
    assert cluster.processors == 2
    triple = partial(operator.mul, 3)
    for together in (1, 4):
        results = cluster.map(triple, range(9), together=together)
        assert list(results) == list(map(triple, range(9)))
    assert list(cluster.map(triple, [])) == []


def test_items_are_taken_when_there_is_room(cluster):
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    results = cluster.map(operator.neg, items())
    assert next(results) == 0
    assert len(taken) < 10
    results.close()
    assert list(cluster.map(operator.neg, range(3))) == [0, -1, -2]


def test_an_expected_error_is_the_same_error(cluster):
    with pytest.raises(RatioMapError, match="no ratio map 'nosuch'"):
        list(cluster.map(RatioMap.load, ["nosuch"]))


def test_a_task_for_which_no_machine_is_large_enough_is_refused(cluster):
    with pytest.raises(ClusterError, match="needs 2 processors"):
        list(cluster.map(operator.neg, [1], processors=2))


def test_scores_are_the_same_to_the_last_bit(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(processors, "joined", lambda address, packages: nullcontext(cluster))
    rng = np.random.default_rng(5)
    np.savez(tmp_path / "clips.npz", clips=rng.integers(0, 256, (5, 16, 32, 32)).astype(np.uint8))
    tiny = write_tiny_bundle(tmp_path / "tiny")
    words = ["evaluate", tmp_path / "clips.npz", "--json", "--threads", 1, "--map", "tile-2of16"]
    words += ["--bundle", tiny, "--baseline"]
    here, there = run(*words), run(*words, "--ray", "--address", "somewhere")
    assert there.exit_code == 0, there.output
    assert json.loads(there.stdout) == json.loads(here.stdout)
    assert "Ray with 2 processors" in there.stderr
    assert "goes with --ray" in complaint(run(*words, "--address", "somewhere"))


def test_a_machine_killed_in_mid_run_loses_and_doubles_nothing(cluster, machines):
    results = cluster.map(slow_square, range(12))
    first = [next(results) for _ in range(3)]
    (second,) = machines.worker_nodes
    machines.remove_node(second, allow_graceful=False)
    assert [*first, *results] == [number * number for number in range(12)]


def test_the_loss_of_the_head_node_is_an_error_and_no_end_in_silence(cluster, machines):
    results = cluster.map(slow_square, range(100))
    assert next(results) == 0
    machines.head_node.kill_gcs_server()
    with pytest.raises(ClusterLostError, match="no head node of a Ray cluster answers"):
        list(results)


def slow_square(number):
    """What takes a moment, so that it is under way when its machine ends."""
    time.sleep(0.3)
    return number * number
