"""Requests and answers of the Open Inference Protocol, as bytes."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from focalloop.host.inference.tensors import (
    TensorError,
    TensorSpec,
    answer,
    parse_request,
)

READS = TensorSpec("reads", "FP32", (-1, 2))
LEVELS = TensorSpec("levels", "UINT8", (-1,))
VIDEO = TensorSpec("video", "FP32", (-1, 2))
INPUTS = (READS, LEVELS)

IN_JSON = {
    "id": "7",
    "inputs": [
        {"name": "levels", "datatype": "UINT8", "shape": [2], "data": [1, 255]},
        {"name": "reads", "datatype": "FP32", "shape": [2, 2], "data": [[0.5, 1], [2, -3]]},
    ],
}
"""Data may be nested or flat, and inputs come in any order."""


def parsed(document, rest=b"", length=None):
    body = json.dumps(document).encode()
    if rest:
        length = str(len(body)) if length is None else length
    return parse_request(body + rest, length, INPUTS, VIDEO)


def in_binary(**changes):
    document = {
        "inputs": [
            {
                "name": "reads",
                "datatype": "FP32",
                "shape": [1, 2],
                "parameters": {"binary_data_size": 8},
            },
            {
                "name": "levels",
                "datatype": "UINT8",
                "shape": [1],
                "parameters": {"binary_data_size": 1},
            },
        ]
    }
    return document | changes


def test_numbers_of_a_document_become_tensors():
    request = parsed(IN_JSON)
    assert request.id == "7"
    assert not request.binary
    np.testing.assert_array_equal(request.tensors["reads"], [[0.5, 1], [2, -3]])
    assert request.tensors["reads"].dtype == np.float32
    np.testing.assert_array_equal(request.tensors["levels"], np.array([1, 255], np.uint8))


def test_bytes_behind_the_document_become_tensors_in_their_order():
    request = parsed(in_binary(), struct.pack("<ffB", 0.25, -1.5, 4))
    np.testing.assert_array_equal(request.tensors["reads"], [[0.25, -1.5]])
    np.testing.assert_array_equal(request.tensors["levels"], [4])


def test_a_number_beyond_the_range_is_infinite_without_a_warning():
    huge = changed("reads", data=[1e39, 0, 0, -1e39])
    np.testing.assert_array_equal(parsed(huge).tensors["reads"], [[np.inf, 0], [0, -np.inf]])


@pytest.mark.parametrize(
    "more",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "video", "parameters": {"binary_data": True}}]},
    ],
)
def test_the_output_is_binary_where_the_client_asks(more):
    assert parsed(IN_JSON | more).binary


@settings(deadline=None)
@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 3), st.just(2)), elements=st.floats(-1, 1, width=32)
    ),
    st.booleans(),
)
def test_an_answer_holds_the_very_values(values, binary):
    headers, parts = answer({"model_name": "m"}, VIDEO, values, binary=binary)
    body = b"".join(parts)
    length = int(headers.get("inference-header-content-length", len(body)))
    document = json.loads(body[:length])
    assert document["model_name"] == "m"
    (output,) = document["outputs"]
    assert (output["name"], output["datatype"]) == ("video", "FP32")
    rest = body[length:]
    assert len(rest) == output.get("parameters", {}).get("binary_data_size", 0)
    given = np.frombuffer(rest, "<f4") if binary else np.array(output["data"], np.float32)
    np.testing.assert_array_equal(given.reshape(output["shape"]), values)


def changed(name, **changes):
    inputs = [each | changes if each["name"] == name else each for each in IN_JSON["inputs"]]
    return {"inputs": inputs}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "must be a JSON object"),
        ({}, "lacks 'inputs'"),
        ({"inputs": {}}, "needs a list as 'inputs'"),
        ({"inputs": [7]}, "an input must be a JSON object"),
        ({"inputs": IN_JSON["inputs"][:1]}, "lacks the input 'reads'"),
        ({"inputs": [*IN_JSON["inputs"], {"name": "x"}]}, "no input 'x'"),
        ({"inputs": IN_JSON["inputs"] * 2}, "names an input twice"),
        (IN_JSON | {"outputs": [{"name": "x"}]}, "no output 'x'"),
        (IN_JSON | {"id": 7}, "needs a str as 'id'"),
        (changed("levels", datatype="INT64"), "of datatype UINT8, not INT64"),
        (changed("levels", data=[1, 256]), "integers from 0 to 255"),
        (changed("levels", data=[1, -1]), "integers from 0 to 255"),
        (changed("levels", data=[1, 1.5]), "integers alone"),
        (changed("levels", data=[True, True]), "integers alone"),
        (changed("levels", data=[1]), "needs 2 numbers"),
        (changed("reads", data=["a", "b", "c", "d"]), "numbers alone"),
        (changed("reads", data=[[1, 2], [3]]), "needs 4 numbers"),
        (changed("reads", shape=[2, 3]), "of shape [-1, 2], not [2, 3]"),
        (changed("reads", shape=[0, 2]), "of shape [-1, 2], not [0, 2]"),
        (changed("reads", shape=[2, 2.0]), "of shape [-1, 2], not [2, 2.0]"),
        (changed("reads", parameters={"binary_data_size": 4}), "has 16 bytes, not 4"),
        (changed("reads", parameters={"binary_data_size": 16}), "the body ends after 0"),
        (changed("reads", parameters=[]), "needs a dict as 'parameters'"),
        (changed("reads", data=[[1, 2], [3, float("nan")]]), "numbers alone"),
    ],
)
def test_what_is_no_request_for_the_model_is_refused_in_a_sentence(document, problem):
    with pytest.raises(TensorError) as caught:
        parsed(document)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "length", "problem"),
    [
        (b"\0" * 10, None, "1 bytes follow"),
        (b"\0" * 8, None, "the body ends after 0"),
        (b"\0" * 9, "many", "must be a number of bytes"),
        (b"\0" * 9, "9999", "but the body has"),
        (b"\0" * 9, "0", "not JSON"),
        (b"\0" * 9, "-3", "must be a number of bytes"),
    ],
)
def test_bytes_that_do_not_fit_the_document_are_refused(rest, length, problem):
    with pytest.raises(TensorError, match=problem):
        parsed(in_binary(), rest, length)


@settings(deadline=None)
@given(st.binary(max_size=200), st.none() | st.integers(0, 250).map(str))
def test_no_bytes_do_anything_but_raise_the_error(body, length):
    with pytest.raises(TensorError):
        parse_request(body, length, INPUTS, VIDEO)
