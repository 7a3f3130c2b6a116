"""Bundles as models of the Open Inference Protocol, and the processors that they share.

A request may hold several windows. Each is rebuilt alone, on one thread, by whichever processor is
free next: so its result does not depend on the others, a long request does not keep a short one
waiting for all of itself, and memory does not grow with the windows of a request.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.inference.tensors import TensorError, TensorSpec
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor

MAX_WAITING_WINDOWS = 128
"""Windows that may wait for a processor; a request that would add to more is refused."""

_KNOWN_MAPS = 8
"""Maps, per model, that need not be checked again."""

_PLANES = 8

Window = Mapping[str, NDArray[Any]]
"""Inputs of one window by name."""

Each = Callable[[Callable[[Window], NDArray[np.float32]], Sequence[Window]], Iterable[Any]]
"""What stands in for `map` over the windows of a request."""


class UnknownModelError(FocalloopError):
    """No bundle of this name is served."""


class OverloadedError(FocalloopError):
    """Too many windows wait; the same request may be accepted later."""


class Model:
    """The network of one bundle.

    Parameters
    ----------
    bundle : Bundle
        Any one.

    Attributes
    ----------
    name : str
        Of the bundle.
    output : TensorSpec
        ``video``, (N, T, H, W).
    """

    def __init__(self, bundle: Bundle) -> None:
        self.name = bundle.name
        self._bundle = bundle
        self.output = TensorSpec("video", "FP32", (-1, bundle.ratio_map.slots, -1, -1))
        self._checked_map = lru_cache(_KNOWN_MAPS)(self._map_of)

    def __reduce__(self) -> tuple[type[Model], tuple[Bundle]]:
        """Go to another process as the bundle, whose network is loaded there."""
        return Model, (self._bundle,)

    @cached_property
    def _network(self) -> OnnxReconstructor:
        """Loaded when it is first needed: a server offers more models than its clients use."""
        return self._bundle.reconstructor(threads=1)

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Those of its ONNX graph, so that another server of the protocol can stand in for this."""
        inputs = [
            TensorSpec("reads", "FP32", (-1, _PLANES, -1, -1)),
            TensorSpec("levels", "UINT8", (-1, -1, -1)),
        ]
        if self._network.uses_aperture:
            slots = self._bundle.ratio_map.slots
            inputs.append(TensorSpec("aperture", "UINT8", (-1, slots, -1, -1)))
        if self._network.uses_noise:
            inputs.append(TensorSpec("noise", "FP32", (-1, 2)))
        if self._network.uses_last:
            inputs.append(TensorSpec("last", "FP32", (-1, -1, -1)))
        return tuple(inputs)

    def windows(self, tensors: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
        """Return the inputs of each window of a request.

        Raises
        ------
        TensorError
            If the tensors are not of equally many windows, or not of equally many pixels.
        """
        count, _, *pixels = tensors["reads"].shape
        for name, values in tensors.items():
            if len(values) != count:
                raise TensorError(f"{name!r} is of {len(values)} windows, and 'reads' of {count}")
            if name != "noise" and list(values.shape[-2:]) != pixels:
                raise TensorError(
                    f"{name!r} has {values.shape[-2]}x{values.shape[-1]} pixels, and 'reads' "
                    f"{pixels[0]}x{pixels[1]}"
                )
        return [{name: values[k] for name, values in tensors.items()} for k in range(count)]

    def rebuilt(
        self, window: Mapping[str, NDArray[Any]], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Rebuild one window to its video (T, H, W), in `out` if it is given.

        Raises
        ------
        TensorError
            If the network is not for these levels or this aperture, or an input is not finite.
        ReconstructError
            If what comes out is not finite.
        """
        for name in ("reads", "noise", "last"):
            if name in window and not np.isfinite(window[name]).all():
                raise TensorError(f"{name!r} has values that are not finite numbers")
        levels, aperture = window["levels"], window.get("aperture")
        ratio_map = self._checked_map(
            levels.shape, levels.tobytes(), None if aperture is None else aperture.tobytes()
        )
        network = self._network
        if "noise" in window:
            s_ss, s_r = (float(value) for value in window["noise"])
            if min(s_ss, s_r) < 0:
                raise TensorError(f"'noise' is s_ss and s_r, 0 or more, not {s_ss:g} and {s_r:g}")
            network = network.told((s_ss, s_r))
        return network(window["reads"], ratio_map, window.get("last"), out=out)

    def _map_of(self, shape: tuple[int, int], levels: bytes, aperture: bytes | None) -> RatioMap:
        own = self._bundle.ratio_map
        try:
            ratio_map = RatioMap(
                np.frombuffer(levels, np.uint8).reshape(shape),
                own.slots,
                own.level_set,
                None
                if aperture is None
                else np.frombuffer(aperture, np.uint8).reshape(own.slots, *shape) > 0,
            )
        except RatioMapError as error:
            raise TensorError(f"'levels' are not those of a ratio map: {error}") from None
        if not self._bundle.suits(ratio_map):
            raise TensorError(
                f"the network of {self.name} is not for this ratio map ({ratio_map.summary}): "
                "send what was read under its own map, or use a bundle for any map"
            )
        return ratio_map


class ModelServer:
    """Models by name, which share the processors of this machine or of a cluster.

    Parameters
    ----------
    bundles : iterable of Bundle
        What is served.
    processors : int or None, optional
        Windows that are rebuilt at a time; as many as the machine has by default.
    each : callable, optional
        Rebuilds the windows of a request elsewhere, such as `focalloop.host.cluster.Cluster.map`.
    """

    def __init__(
        self, bundles: Iterable[Bundle], processors: int | None = None, each: Each | None = None
    ) -> None:
        self.models = {bundle.name: Model(bundle) for bundle in bundles}
        self._pool = ThreadPoolExecutor(processors or os.cpu_count())
        self._each = each
        self._lock = threading.Lock()
        self._waiting = 0

    def model(self, name: str) -> Model:
        """Return a model.

        Raises
        ------
        UnknownModelError
            If there is none of this name.
        """
        if name not in self.models:
            raise UnknownModelError(
                f"there is no model {name!r} here: choose one of {', '.join(self.models)}"
            )
        return self.models[name]

    def infer(self, model: Model, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Rebuild all windows of a request, (N, T, H, W), in their order.

        Raises
        ------
        OverloadedError
            If too many windows wait already; nothing was begun.
        TensorError, ReconstructError
            As `Model.windows` and `Model.rebuilt`.
        """
        windows = model.windows(tensors)
        count, _, *pixels = tensors["reads"].shape
        with self._counted(len(windows)):
            video = np.empty((count, model.output.shape[1], *pixels), np.float32)
            if self._each is None:  # each network writes into its part: nothing is copied
                deque(self._pool.map(model.rebuilt, windows, video), maxlen=0)
            else:
                for place, rebuilt in zip(video, self._each(model.rebuilt, windows), strict=True):
                    place[:] = rebuilt
            return video

    @contextmanager
    def _counted(self, windows: int) -> Iterator[None]:
        """Count the windows of a request among the waiting ones until it is answered."""
        with self._lock:
            if self._waiting and self._waiting + windows > MAX_WAITING_WINDOWS:
                raise OverloadedError(
                    f"{self._waiting} windows wait already, of {MAX_WAITING_WINDOWS} at most: "
                    "send these again in a moment"
                )
            self._waiting += windows
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= windows

    def close(self) -> None:
        """Let go of the processors once the present windows are rebuilt."""
        self._pool.shutdown(cancel_futures=True)
