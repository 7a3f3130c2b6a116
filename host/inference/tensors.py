"""Tensors of the Open Inference Protocol V2, in JSON or, by its extension, in binary.

A request is a JSON document, and the bytes of its binary tensors may follow in their order; a
header then says how long the document is. Answers have the same form. Sources: the specification of
the protocol, https://github.com/kserve/open-inference-protocol, and its extension for binary tensor
data in https://github.com/triton-inference-server/server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.json_text import parse_json

LENGTH_HEADER = "inference-header-content-length"
"""Header of a request or answer with the length of its JSON document, where bytes follow it."""

DTYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
"""Datatypes of the protocol that the networks of bundles take and give."""

_BINARY_SIZE = "binary_data_size"


class TensorError(FocalloopError):
    """A request is not one of the protocol, or does not fit the model; the text says how."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, datatype and shape of an input or output of a model; -1 is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """Return it as the metadata of a model have it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """What a client asks for.

    Attributes
    ----------
    id : str
        Given by the client, and returned to it; may be empty.
    tensors : dict of str to ndarray
        Inputs by name.
    binary : bool
        Whether the output is wanted as bytes.
    """

    id: str
    tensors: dict[str, NDArray[Any]]
    binary: bool


def parse_request(
    body: bytes, header_length: str | None, inputs: Sequence[TensorSpec], output: TensorSpec
) -> InferenceRequest:
    """Read a request for a model.

    Parameters
    ----------
    body : bytes
        The whole body; binary tensors are views of it.
    header_length : str or None
        Value of `LENGTH_HEADER`; None if the body is JSON alone.
    inputs : sequence of TensorSpec
        What the model takes, all of it.
    output : TensorSpec
        What it gives.

    Raises
    ------
    TensorError
        If it is not a request for this model.
    """
    length = _document_length(header_length, len(body))
    try:
        document = parse_json(body[:length])
    except ValueError as error:
        raise TensorError(f"the request is not JSON: {error}") from None
    given = _named(_member(document, "inputs", list, "the request"), "input")
    wanted = _named(_member(document, "outputs", list, "the request", []), "output")
    known = {spec.name: spec for spec in inputs}
    for name in given.keys() - known.keys():
        raise TensorError(f"the model has no input {name!r}: it takes {', '.join(known)}")
    for name in known.keys() - given.keys():
        raise TensorError(f"the request lacks the input {name!r}: the model takes all its inputs")
    for name in wanted.keys() - {output.name}:
        raise TensorError(f"the model has no output {name!r}: it gives {output.name!r}")
    rest = memoryview(body)[length:]
    tensors = {}
    for name, entry in given.items():  # in the order of the bytes
        tensors[name], rest = _tensor(known[name], entry, rest)
    if len(rest):
        raise TensorError(f"{len(rest)} bytes follow the tensors that the request names")
    choices = [document, *wanted.values()]
    names = ["binary_data_output", *["binary_data"] * len(wanted)]
    flags = [
        _member(_parameters(choice), name, bool, "the request's parameters", False)
        for choice, name in zip(choices, names, strict=True)
    ]
    return InferenceRequest(_member(document, "id", str, "the request", ""), tensors, any(flags))


def answer(
    document: Mapping[str, Any], output: TensorSpec, values: NDArray[Any], *, binary: bool
) -> tuple[dict[str, str], list[bytes | memoryview]]:
    """Return the headers of an answer, and its body in parts; the last may be `values` themselves.

    Parameters
    ----------
    document : mapping of str to any
        What it says besides its output.
    output : TensorSpec
        Name and datatype of the output.
    values : ndarray
        Its values.
    binary : bool
        Append them as bytes instead of writing numbers.
    """
    described = output.document() | {"shape": list(values.shape)}
    values = np.ascontiguousarray(values, DTYPES[output.datatype])
    if not binary:
        described["data"] = values.ravel().tolist()
        body = json.dumps({**document, "outputs": [described]}).encode()
        return {"content-type": "application/json"}, [body]
    described["parameters"] = {_BINARY_SIZE: values.nbytes}
    head = json.dumps({**document, "outputs": [described]}).encode()
    headers = {"content-type": "application/octet-stream", LENGTH_HEADER: str(len(head))}
    return headers, [head, values.data.cast("B")]


def _document_length(header_length: str | None, body_length: int) -> int:
    if header_length is None:
        return body_length
    if not (header_length.isascii() and header_length.isdecimal() and len(header_length) < 20):
        raise TensorError(f"{LENGTH_HEADER} must be a number of bytes, not {header_length!r}")
    if int(header_length) > body_length:
        raise TensorError(
            f"{LENGTH_HEADER} says {header_length} bytes, but the body has {body_length}"
        )
    return int(header_length)


def _tensor(
    spec: TensorSpec, entry: dict[str, Any], rest: memoryview
) -> tuple[NDArray[Any], memoryview]:
    """Read a tensor, and return it with the bytes that follow those of it."""
    whose = f"the input {spec.name!r}"
    datatype = _member(entry, "datatype", str, whose)
    if datatype != spec.datatype:
        raise TensorError(f"{whose} is of datatype {spec.datatype}, not {datatype}")
    shape = _member(entry, "shape", list, whose)
    fits = len(shape) == len(spec.shape) and all(
        type(length) is int and length > 0 and allowed in (-1, length)
        for length, allowed in zip(shape, spec.shape, strict=True)
    )
    if not fits:
        raise TensorError(f"{whose} is of shape {list(spec.shape)}, not {shape}; -1 is any length")
    dtype, count = DTYPES[spec.datatype], prod(shape)
    size = _parameters(entry).get(_BINARY_SIZE)
    if size is not None:
        if size != count * dtype.itemsize:
            raise TensorError(f"{whose} has {count * dtype.itemsize} bytes, not {size!r}")
        if len(rest) < size:
            raise TensorError(f"{whose} has {size} bytes, but the body ends after {len(rest)}")
        return np.frombuffer(rest[:size], dtype).reshape(shape), rest[size:]
    return _numbers(_member(entry, "data", list, whose), dtype, count, whose).reshape(shape), rest


def _numbers(data: list[Any], dtype: np.dtype[Any], count: int, whose: str) -> NDArray[Any]:
    """Return the numbers of a JSON list, flat or nested."""
    try:
        values = np.asarray(data)
    except ValueError:  # lists of different lengths
        values = np.empty(0)
    if values.size != count:
        raise TensorError(f"{whose} needs {count} numbers as its data, in lists of equal lengths")
    whole = dtype.kind == "u"
    if values.dtype.kind not in ("iu" if whole else "iuf"):
        raise TensorError(f"{whose} must hold {'integers' if whole else 'numbers'} alone")
    if whole and (values.min() < 0 or values.max() > np.iinfo(dtype).max):
        raise TensorError(f"{whose} must hold integers from 0 to {np.iinfo(dtype).max}")
    with np.errstate(over="ignore"):  # beyond the range is infinite, which the model refuses
        return values.astype(dtype)


def _named(entries: list[Any], kind: str) -> dict[str, dict[str, Any]]:
    named = {_member(entry, "name", str, f"an {kind}"): entry for entry in entries}
    if len(named) < len(entries):
        raise TensorError(f"the request names an {kind} twice")
    return named


def _parameters(entry: dict[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = _member(entry, "parameters", dict, "the request", {})
    return parameters


def _member(
    owner: Any,  # noqa: ANN401 - whatever the JSON holds
    key: str,
    kind: type,
    whose: str,
    default: Any = None,  # noqa: ANN401 - of `kind`
) -> Any:  # noqa: ANN401 - of `kind`
    """Return a member of a JSON object; without a default, one that must be there."""
    if not isinstance(owner, dict):
        raise TensorError(f"{whose} must be a JSON object")
    value = owner.get(key, default)
    if not isinstance(value, kind):
        problem = "lacks" if value is None else f"needs a {kind.__name__} as"
        raise TensorError(f"{whose} {problem} {key!r}")
    return value
