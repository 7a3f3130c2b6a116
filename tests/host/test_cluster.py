"""Work on a Ray cluster of two machines: what comes back is what this process would compute."""

from __future__ import annotations

import ipaddress
import json
import operator
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from focalloop import Bundle
from focalloop.calibration.files.emva import EmvaScale, write_emva
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host import cluster as cluster_module
from focalloop.host.cli import processors
from focalloop.host.cluster import ClusterError, ClusterLostError, joined
from focalloop.host.inference.models import ModelServer
from focalloop.host.inference.tensors import TensorError
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from tests.support import ROOT, training_files
from tests.support.command_line import complaint, run
from tests.support.made_readings import make_readings
from tests.support.made_windows import make_window
from tests.support.running import Running, is_running
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle

pytest.importorskip("ray", reason="the extra scale is not installed")
pytestmark = pytest.mark.timeout(300)  # Ray starts ten processes

training_file = training_files.training_file  # a fixture

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
    monkeypatch.setattr("ray.__version__", "2.50.0")
    with pytest.raises(ClusterError, match=r"cannot join .* Ray: 2\.60"), joined(machines.address):
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


@pytest.mark.parametrize("command", ["evaluate clips", "calibrate set", "serve --inference"])
def test_an_address_goes_with_ray(command):
    assert "--address goes with --ray" in complaint(run(*command.split(), "--address", "a:1"))


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


@pytest.fixture
def commands_on(cluster, monkeypatch):
    """Words that let a command work on the cluster that these tests have joined already."""
    monkeypatch.setattr(processors, "joined", lambda address, packages: nullcontext(cluster))
    return "--ray", "--address", "the one of this test"


def test_scores_are_the_same_to_the_last_bit(commands_on, tmp_path):
    rng = np.random.default_rng(5)
    np.savez(tmp_path / "clips.npz", clips=rng.integers(0, 256, (5, 16, 32, 32)).astype(np.uint8))
    tiny = write_tiny_bundle(tmp_path / "tiny")
    words = ["evaluate", tmp_path / "clips.npz", "--json", "--threads", 1, "--map", "tile-2of16"]
    words += ["--bundle", tiny, "--baseline"]
    here, there = run(*words), run(*words, *commands_on)
    assert there.exit_code == 0, there.output
    assert json.loads(there.stdout) == json.loads(here.stdout)
    assert "Ray with 2 processors" in there.stderr


def test_a_calibration_is_the_same_to_the_last_bit(commands_on, tmp_path):
    readings = make_readings(3, prnu=0.02, dsnu_dn=2.0, row_noise_dn=0.5)
    readings = replace(readings, exposure_unit="s")
    write_emva(tmp_path / "set", readings, EmvaScale(slot_s=1e-3, electrons_full_scale=1600.0))
    documents, patterns = [], []
    for words in ([], commands_on):
        kept = tmp_path / "pattern.npz"
        done = run("calibrate", tmp_path / "set", "--json", "--correction", kept, *words)
        assert done.exit_code == 0, done.output
        documents.append(json.loads(done.stdout))
        del documents[-1]["provenance"]["created"]
        patterns.append(FixedPattern.load(kept))
    assert documents[0] == documents[1]
    np.testing.assert_array_equal(patterns[0].offset, patterns[1].offset)
    np.testing.assert_array_equal(patterns[0].gain, patterns[1].gain)


@pytest.mark.parametrize("inputs", [{}, {"noise": True}], ids=["plain", "told the noise"])
def test_videos_are_the_same_to_the_last_bit(cluster, tmp_path, inputs):
    bundle = Bundle.load(write_tiny_bundle(tmp_path / "tiny", network=tiny_network(**inputs)))
    rng = np.random.default_rng(1)
    levels = bundle.ratio_map.tiled_to(16, 32).levels
    tensors = {
        "reads": rng.normal(size=(5, 8, 16, 32)).astype(np.float32),
        "levels": np.repeat(levels[None], 5, 0),
        "noise": rng.random((5, 2), np.float32),
    }
    here, there = ModelServer([bundle]), ModelServer([bundle], each=cluster.map_evenly)
    model = there.model("tiny")
    tensors = {spec.name: tensors[spec.name] for spec in model.inputs}
    np.testing.assert_array_equal(
        there.infer(model, tensors), here.infer(here.model("tiny"), tensors)
    )
    with pytest.raises(TensorError, match="not for this ratio map"):
        there.infer(model, tensors | {"levels": np.ones_like(tensors["levels"])})


def test_a_sweep_learns_the_same_to_the_last_bit(commands_on, training_file, tmp_path):
    (tmp_path / "sweep.toml").write_text("seed = [0, 1]\n")
    words = ["train", "--data", training_file, "--sweep", tmp_path / "sweep.toml", "--steps", 2]
    words += ["--crop", 16, "--batch", 1, "--threads", 1, "--device", "cpu"]
    for name, where in (("here", []), ("there", commands_on)):
        done = run(*words, "-o", tmp_path / name, *where)
        assert done.exit_code == 0, done.output
    for seed in ("seed-0", "seed-1"):
        _, here = load_checkpoint(tmp_path / "here" / seed / CHECKPOINT)
        _, there = load_checkpoint(tmp_path / "there" / seed / CHECKPOINT)
        assert here.keys() == there.keys()
        for name, tensor in here.items():
            assert tensor.equal(there[name]), name


def test_a_service_starts_ray_for_itself_alone_and_ends_with_it(tmp_path):
    ratio_map = RatioMap.load("tile-2of16", shape=(16, 16))
    folder = write_tiny_bundle(tmp_path / "mine", ratio_map, name="mine")
    names = {"window": make_window(0, ratio_map)}
    (client,) = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "docs/scaling.md").read_text())
    with Running("serve", "--ray", "--bundle", str(folder), "--http-port", "0") as served:
        client = client.replace("http://127.0.0.1:8000/", served.url)
        exec(client.replace("edge-universal-int8", "mine"), names)
        started = descendants(served.process.pid)
        assert len(started) > 5
        assert {place for pid in started for place in listening(pid)} == {"127.0.0.1"}
        assert served.stop(signal.SIGTERM) == 0
    np.testing.assert_array_equal(
        names["video"][0], Bundle.load(folder).reconstruct(names["window"])
    )
    assert [pid for pid in started if is_running(pid)] == []


def descendants(pid):
    """Ids of the processes that a process has started, and these in turn."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found


def listening(pid):
    """Addresses at which a process takes connections by TCP."""
    own = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:  # 0A is LISTEN
                address = bytes.fromhex(fields[1].partition(":")[0])[-4:]
                yield str(ipaddress.IPv4Address(address[::-1]))


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
    with pytest.raises(ClusterLostError):
        list(cluster.map(abs, [-1]))


def slow_square(number):
    """What takes a moment, so that it is under way when its machine ends."""
    time.sleep(0.3)
    return number * number
