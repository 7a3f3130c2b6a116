"""Networks of the radio in ONNX Runtime, with what goes in and comes out checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.reconstruction.onnx_network import first_line, load_network, signature


class Graph:
    """One network of a radio bundle.

    Parameters
    ----------
    model : bytes
        The graph.
    name : str
        What it is, for errors.
    inputs : mapping of str to str
        Type of every input, as ONNX Runtime writes it: ``tensor(float)``.
    outputs : tuple of str
        The outputs that are used, in the order in which they are returned.
    threads : int, optional
        Threads within one run.

    Raises
    ------
    ReconstructError
        The graph is damaged.
    RadioError
        It has other inputs, or lacks an output.
    """

    def __init__(
        self,
        model: bytes,
        name: str,
        inputs: Mapping[str, str],
        outputs: tuple[str, ...],
        *,
        threads: int = 1,
    ) -> None:
        self._name, self._outputs = name, outputs
        self._session = load_network(model, threads)
        found = {node.name: node.type for node in self._session.get_inputs()}
        given = {node.name: node.type for node in self._session.get_outputs()}
        if found != dict(inputs) or not set(outputs) <= set(given):
            raise RadioError(
                f"the {name} takes {signature(found)} and gives {signature(given)}, but it should "
                f"take {signature(dict(inputs))} and give {', '.join(outputs)}: export it anew"
            )

    def __call__(
        self, *shapes: tuple[int, ...], **inputs: NDArray[Any]
    ) -> tuple[NDArray[Any], ...]:
        """Run the network on arrays by the names of its inputs.

        Parameters
        ----------
        *shapes : tuple of int
            Shapes that its outputs must have, in their order; none are checked if left out.
        **inputs : ndarray
            What it takes.

        Raises
        ------
        RadioError
            It does not take arrays of these shapes, or gives others, or values that are not finite.
        """
        feed = {key: np.ascontiguousarray(value) for key, value in inputs.items()}
        try:
            results: list[NDArray[Any]] = self._session.run(list(self._outputs), feed)
        except Exception as error:  # the exceptions of ONNX Runtime have no other public base
            taken = ", ".join(f"{key} {value.shape}" for key, value in inputs.items())
            raise RadioError(
                f"the {self._name} does not take {taken} ({first_line(error)})"
            ) from None
        for name, result, shape in zip(self._outputs, results, shapes, strict=False):
            if result.shape != shape:
                raise RadioError(
                    f"the {self._name} gives {name} of shape {result.shape}, but its bundle needs "
                    f"{shape}: export it anew"
                )
        if not all(np.isfinite(result).all() for result in results):
            raise RadioError(
                f"the {self._name} gives values that are not finite numbers: its weights are "
                "damaged, or these measurements are out of its range"
            )
        return tuple(results)
