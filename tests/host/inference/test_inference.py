"""Bundles over HTTP by the Open Inference Protocol: the same videos as here, and refusals."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import numpy as np
import pytest
from starlette.testclient import TestClient

from focalloop import Bundle
from focalloop.host.inference import api as inference_api, models as inference_models
from focalloop.host.inference.api import create_inference_app
from focalloop.host.inference.models import Model, ModelServer
from focalloop.host.reconstruction.onnx_network import load_network
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    shapes = {"plain": {}, "told": {"noise": True}, "coded": {"aperture": True}}
    shapes["remembers"] = {"memory": True}
    for name, inputs in shapes.items():
        more = {"reach": 8, "any_aperture": True} if name == "coded" else {}
        network = tiny_network(**inputs)
        write_tiny_bundle(folder / name, network=network, name=name, **more)
    return [Bundle.load(folder / name) for name in shapes]


@pytest.fixture(scope="module")
def client(bundles):
    server = ModelServer(bundles, processors=2)
    with TestClient(create_inference_app(server), base_url="http://127.0.0.1") as client:
        yield client
    server.close()


def inputs_of(bundle, count=3, shape=(16, 32)):
    """Random reads of windows under the bundle's map, with what else its network takes."""
    rng = np.random.default_rng(0)
    levels = bundle.ratio_map.tiled_to(*shape).levels
    tensors = {
        "reads": rng.normal(size=(count, 8, *shape)).astype(np.float32),
        "levels": np.repeat(levels[None], count, 0),
    }
    if bundle.name == "told":
        tensors["noise"] = rng.uniform(0.001, 0.01, (count, 2)).astype(np.float32)
    if bundle.name == "remembers":
        tensors["last"] = rng.random((count, *shape), np.float32)
    if bundle.name == "coded":
        tensors["aperture"] = rng.integers(0, 2, (count, 16, *shape), np.uint8)
    return tensors


def post(client, name, tensors, **more):
    """Send tensors as bytes, and return the answer."""
    types = {"float32": "FP32", "uint8": "UINT8"}
    described = [
        {
            "name": key,
            "datatype": types[str(values.dtype)],
            "shape": list(values.shape),
            "parameters": {"binary_data_size": values.nbytes},
        }
        for key, values in tensors.items()
    ]
    head = json.dumps(
        {"inputs": described, "parameters": {"binary_data_output": True}} | more
    ).encode()
    body = head + b"".join(np.ascontiguousarray(values).tobytes() for values in tensors.values())
    headers = {"inference-header-content-length": str(len(head))}
    return client.post(f"/v2/models/{name}/infer", content=body, headers=headers)


def video_of(answer):
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    return np.frombuffer(answer.content[length:], "<f4").reshape(output["shape"])


@pytest.mark.parametrize("number", range(3))
def test_videos_are_those_of_the_bundle_itself(client, bundles, number):
    bundle = bundles[number]
    tensors = inputs_of(bundle)
    answer = post(client, bundle.name, tensors, id="mine")
    video = video_of(answer)
    head = json.loads(answer.content[: int(answer.headers["inference-header-content-length"])])
    assert (head["id"], head["model_name"], head["model_version"]) == ("mine", bundle.name, "1")
    network = load_network(bundle.network)
    for k, shown in enumerate(video):
        alone = {key: values[k : k + 1] for key, values in tensors.items()}
        np.testing.assert_array_equal(shown, network.run(None, alone)[0][0])


def test_an_answer_of_several_pieces_is_whole(client, bundles):
    tensors = inputs_of(bundles[0], count=1, shape=(128, 256))
    video = video_of(post(client, "plain", tensors))
    assert video.nbytes == 2 << 20
    np.testing.assert_array_equal(video, load_network(bundles[0].network).run(None, tensors)[0])


def test_metadata_are_those_of_the_graph(client, bundles):
    document = client.get("/v2/models/told").json()
    assert document["platform"] == "onnxruntime_onnx"
    assert {"name": "noise", "datatype": "FP32", "shape": [-1, 2]} in document["inputs"]
    assert document["outputs"] == [{"name": "video", "datatype": "FP32", "shape": [-1, 16, -1, -1]}]
    assert client.get("/v2/models/told/versions/1").json() == document
    assert "binary_tensor_data" in client.get("/v2").json()["extensions"]
    assert [m["name"] for m in client.post("/v2/repository/index").json()] == [
        bundle.name for bundle in bundles
    ]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/plain/ready"):
        assert client.get(path).status_code == 200


def test_numbers_may_be_json(client, bundles):
    tensors = inputs_of(bundles[0], count=1, shape=(4, 4))
    inputs = [
        {"name": "reads", "datatype": "FP32", "data": tensors["reads"].ravel().tolist()},
        {"name": "levels", "datatype": "UINT8", "data": tensors["levels"].tolist()},
    ]
    for each in inputs:
        each["shape"] = list(tensors[each["name"]].shape)
    answer = client.post("/v2/models/plain/infer", json={"inputs": inputs})
    (output,) = answer.json()["outputs"]
    values = np.array(output["data"], np.float32).reshape(output["shape"])
    np.testing.assert_array_equal(values, video_of(post(client, "plain", tensors)))


def without_reads(tensors):
    return {"levels": tensors["levels"]}


def of_other_count(tensors):
    return tensors | {"levels": tensors["levels"][:1]}


def of_other_size(tensors):
    return tensors | {"levels": tensors["levels"][:, :8]}


def of_no_level(tensors):
    return tensors | {"levels": np.full_like(tensors["levels"], 3)}


def of_other_map(tensors):
    return tensors | {"levels": np.ones_like(tensors["levels"])}


def not_finite(tensors):
    return tensors | {"reads": np.full_like(tensors["reads"], np.nan)}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without_reads, "lacks the input 'reads'"),
        (of_other_count, "is of 1 windows, and 'reads' of 3"),
        (of_other_size, "has 8x32 pixels, and 'reads' 16x32"),
        (of_no_level, "are not those of a ratio map"),
        (of_other_map, "is not for this ratio map"),
        (not_finite, "not finite"),
    ],
)
def test_wrong_tensors_are_refused_in_a_sentence(client, bundles, change, problem):
    answer = post(client, "plain", change(inputs_of(bundles[0])))
    assert answer.status_code == 400
    assert problem in answer.json()["error"]


def test_unknown_models_and_versions_are_refused(client):
    for path in ("/v2/models/x", "/v2/models/plain/versions/2", "/v2/models/..%2Fplain/ready"):
        assert client.get(path).status_code == 404
    assert "plain, told, coded" in client.get("/v2/models/x").json()["error"]
    answer = client.post("/v2/models/plain/infer", content=b"{")
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]


def test_noise_below_zero_is_refused(client, bundles):
    tensors = inputs_of(bundles[1])
    answer = post(client, "told", tensors | {"noise": -tensors["noise"]})
    assert answer.status_code == 400
    assert "0 or more" in answer.json()["error"]


def test_a_request_beyond_the_waiting_ones_is_refused_and_can_be_repeated(bundles, monkeypatch):
    monkeypatch.setattr(inference_models, "MAX_WAITING_WINDOWS", 2)
    going_on, busy = threading.Event(), threading.Event()

    def slow(self, window, out):
        busy.set()
        assert going_on.wait(20)

    monkeypatch.setattr(Model, "rebuilt", slow)
    server = ModelServer(bundles[:1], processors=1)
    with TestClient(create_inference_app(server), base_url="http://127.0.0.1") as client:
        tensors = inputs_of(bundles[0], count=2)
        answers = []
        first = threading.Thread(target=lambda: answers.append(post(client, "plain", tensors)))
        first.start()
        assert busy.wait(20)
        refused = post(client, "plain", tensors)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "again in a moment" in refused.json()["error"]
        assert client.get("/v2/health/live").status_code == 200
        going_on.set()
        first.join(20)
        assert answers[0].status_code == 200
        deadline = time.monotonic() + 20
        while post(client, "plain", tensors).status_code != 200:
            assert time.monotonic() < deadline
    server.close()


def test_those_who_wait_for_windows_keep_nothing_else_waiting(bundles, monkeypatch):
    going_on, begun = threading.Event(), threading.Semaphore(0)

    def slow(self, model, tensors):
        begun.release()
        assert going_on.wait(20)
        return np.zeros((1, 16, 16, 32), np.float32)

    monkeypatch.setattr(ModelServer, "infer", slow)
    server = ModelServer(bundles[:1], processors=1)
    with TestClient(create_inference_app(server), base_url="http://127.0.0.1") as client:
        tensors = inputs_of(bundles[0], count=1)
        waiting = [
            threading.Thread(target=post, args=(client, "plain", tensors))
            for _ in range(45)  # more than the threads of all other routes
        ]
        for each in waiting:
            each.start()
        for _ in waiting:
            assert begun.acquire(timeout=20)
        assert client.get("/v2/models/plain").status_code == 200
        going_on.set()
        for each in waiting:
            each.join(20)
    server.close()


def test_a_client_that_takes_no_answer_is_left_after_a_while(bundles, monkeypatch):
    monkeypatch.setattr(inference_api, "_PIECE_TIMEOUT_S", 0.01)
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)
        if message.get("body"):
            await asyncio.Event().wait()

    tensors = inputs_of(bundles[0], count=1, shape=(2, 2))
    inputs = [
        {"name": name, "datatype": kind, "shape": list(values.shape), "data": values.tolist()}
        for (name, values), kind in zip(tensors.items(), ("FP32", "UINT8"), strict=True)
    ]
    body = json.dumps({"inputs": inputs}).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/models/plain/infer",
        "headers": [(b"host", b"127.0.0.1")],
        "query_string": b"",
    }
    server = ModelServer(bundles[:1], processors=1)
    asyncio.run(create_inference_app(server)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    server.close()


def test_the_token_is_needed_and_foreign_names_are_refused(bundles):
    server = ModelServer(bundles[:1], processors=1)
    app = create_inference_app(server, token="secret", host_names=("127.0.0.1",))
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.get("/v2/health/live").status_code == 401
    bearer = {"authorization": "Bearer secret"}
    assert client.get("/v2/health/live", headers=bearer).status_code == 200
    assert client.get("/v2", headers=bearer | {"host": "evil.example"}).status_code == 421
    server.close()
