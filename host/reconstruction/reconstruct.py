"""Reconstructors: from the measurements of a window to its video, without and with a network.

All take ``reads (8, H, W)`` in signal units, where 1.0 is a full-window exposure of white, and
return ``video (T, H, W) float32``, where 1.0 is white and nothing is clipped. "CRL" is the paper
cited in ``docs/concepts.md``.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset

if TYPE_CHECKING:
    import onnxruntime
    from scipy.sparse import csr_array

Float32 = NDArray[np.float32]

NETWORK_FREE = "network-free"
"""Name of `NetworkFree` where a bundle is chosen by name."""


NOTHING = -1.0
"""A pixel of which a network with memory is told nothing."""


class ReconstructError(FocalloopError):
    """The network or the measurements do not fit; the text says what was expected."""


class Reconstructor(Protocol):
    """Turns the measurements of one window into its video."""

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> Float32:
        """Reconstruct ``reads (8, H, W)``, taken under `ratio_map`, to ``(T, H, W)``."""
        ...


def initial_reconstruction(
    reads: Float32,
    levels: NDArray[np.uint8],
    slots: int,
    aperture: NDArray[np.bool_] | None = None,
) -> Float32:
    """Spread each measurement evenly over its slots: least norm, CRL Eq. 3 and Eq. 5.

    A pixel of level ``n`` gets ``n * I_i`` in the ``L = T/n`` slots of its measurement ``i``; a
    pixel of level 0 gets 0. With a coded aperture, a measurement of ``k > 0`` open slots gives
    ``T/k * I_i`` in those and 0 in the closed ones.

    Parameters
    ----------
    reads : ndarray of float32, shape (..., R, H, W)
        Measurements in signal units, a pixel's first to last, padded with zeros; R is at least
        the largest level present.
    levels : ndarray of uint8, shape (H, W)
        Level of each pixel, 0 or a divisor of `slots`.
    slots : int
        Frame slots T per window.
    aperture : ndarray of bool, shape (T, H, W), or None, optional
        Coded aperture B, if one was used.

    Returns
    -------
    ndarray of float32, shape (..., T, H, W)
        Video, not clipped.

    Raises
    ------
    ReconstructError
        If the shapes do not match.
    """
    reads = np.asarray(reads, np.float32)
    present = [int(level) for level in np.unique(levels) if level]
    check_reads(reads, levels.shape, max(present, default=0))
    # Every span ends at a multiple of `step` slots, so at most T/step frames differ.
    step = gcd(slots, *(slots // level for level in present)) if present else slots
    frames = np.zeros((*reads.shape[:-3], slots // step, *levels.shape), np.float32)
    shares = {level: (levels == level).astype(np.float32) * np.float32(level) for level in present}
    scratch = np.empty((*reads.shape[:-3], *levels.shape), np.float32)
    for level, share in shares.items():
        steps_per_span = slots // level // step
        for i in range(level):
            np.multiply(reads[..., i, :, :], share, out=scratch)
            for k in range(i * steps_per_span, (i + 1) * steps_per_span):
                frames[..., k, :, :] += scratch
    video = np.repeat(frames, step, axis=-3) if step > 1 else frames
    if aperture is not None:
        video *= _aperture_gain(levels, present, slots, aperture)
    return video


def _aperture_gain(
    levels: NDArray[np.uint8], present: list[int], slots: int, aperture: NDArray[np.bool_]
) -> Float32:
    """Return the factor (T, H, W) of CRL Eq. 5: ``L/k`` in open slots and 0 in closed ones."""
    gain = np.zeros(aperture.shape, np.float32)
    for level in present:
        span = slots // level
        here = levels == level
        blocks = aperture.reshape(level, span, *levels.shape)[:, :, here]
        open_slots = np.maximum(blocks.sum(axis=1, keepdims=True), 1)
        gain[:, here] = (blocks * (span / open_slots)).reshape(slots, -1)
    return gain


class NetworkFree:
    """Initial reconstruction in which unmeasured pixels are filled in from their neighbours.

    In every slot, an unmeasured pixel (`RatioMap.measured`) gets the mean of the nearest measured
    pixels, weighted by the inverse square of their distance; those at 1.5 times the distance of the
    nearest, or more, do not count. Measured pixels stay exactly as in CRL Eq. 3. A map that
    measures nothing gives zeros. The neighbours are found once per map.
    """

    def __init__(self) -> None:
        # Replaced as a whole, so that threads that share this object never see half of it.
        self._filling: tuple[NDArray[np.bool_], _Filling | None] | None = None

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> Float32:
        """Reconstruct ``reads (..., R, H, W)`` to float32 ``(..., T, H, W)``, not clipped."""
        levels = ratio_map.levels
        video = initial_reconstruction(reads, levels, ratio_map.slots, ratio_map.aperture)
        known = self._filling
        if known is None or known[0] is not ratio_map.measured:
            known = self._filling = (ratio_map.measured, _Filling.of(ratio_map.measured))
        filling = known[1]
        if filling is not None:
            frames = video.reshape(-1, levels.size)  # a view
            frames[:, filling.holes] = (filling.weights @ frames.T).T
        return video


@dataclass(frozen=True, eq=False)
class _Filling:
    """Sparse ``weights (holes, H * W)`` that give the unmeasured pixels from the others."""

    holes: NDArray[np.intp]
    weights: csr_array

    _NEIGHBOURS: ClassVar = 8

    @classmethod
    def of(cls, where: NDArray[np.bool_]) -> _Filling | None:
        """Find the neighbours of every hole; None if there are no holes, or only holes."""
        from scipy.sparse import csr_array
        from scipy.spatial import KDTree

        holes, measured = np.flatnonzero(~where), np.flatnonzero(where)
        count = min(cls._NEIGHBOURS, measured.size)
        if not count or not holes.size:
            return None
        places = np.stack(np.unravel_index(measured, where.shape), axis=1)
        centres = np.stack(np.unravel_index(holes, where.shape), axis=1)
        distance, index = KDTree(places).query(centres, k=list(range(1, count + 1)))
        weight = np.where(distance < 1.5 * distance[:, :1], distance**-2.0, 0)
        weight /= weight.sum(axis=1, keepdims=True)
        row_ends = np.arange(holes.size + 1) * count
        entries = (weight.astype(np.float32).reshape(-1), measured[index].reshape(-1), row_ends)
        weights = csr_array(entries, shape=(holes.size, where.size))
        weights.eliminate_zeros()
        return cls(holes, weights)


def load_network(model: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """Load a graph into ONNX Runtime, on the CPU.

    Raises
    ------
    ReconstructError
        If it is damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the cores from everything else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # failures come as exceptions, which callers reword
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of ONNX Runtime have no other public base
        raise ReconstructError(
            f"the network cannot be loaded ({first_line(error)}): "
            "fetch the bundle again, or export it anew"
        ) from None


class _Session:
    """A session of ONNX Runtime that goes to another process as its graph, and is loaded there."""

    def __init__(self, model: bytes, threads: int) -> None:
        self._made_from = model, threads
        self._session = load_network(model, threads)
        self.get_inputs, self.get_outputs = self._session.get_inputs, self._session.get_outputs

    def __reduce__(self) -> tuple[type[_Session], tuple[bytes, int]]:
        return _Session, self._made_from

    def video(self, feed: dict[str, Any], out: Float32 | None) -> Float32:
        """Return the output for these inputs, written into `out` if it is given."""
        if out is None:
            video: Float32 = self._session.run(["video"], feed)[0]
            return video
        video = out if out.ndim == 4 else out[np.newaxis]
        assert video.flags.c_contiguous
        assert video.dtype == np.float32
        binding = self._session.io_binding()
        for name, values in feed.items():
            binding.bind_cpu_input(name, values)
        # ONNX Runtime compares the shapes, so that nothing is written beside it.
        binding.bind_output("video", "cpu", 0, np.float32, video.shape, video.ctypes.data)
        self._session.run_with_iobinding(binding)
        return video


class OnnxReconstructor:
    """A bundle's network in ONNX Runtime, on the CPU.

    Parameters
    ----------
    model : bytes
        Contents of ``reconstruct.onnx``: inputs ``reads (N, 8, H, W) float32``, ``levels
        (N, H, W) uint8``, for a coded aperture ``aperture (N, T, H, W) uint8``, if it is told the
        noise of the reads ``noise (N, 2) float32``: s_ss and s_r in signal units, and if it has
        memory ``last (N, H, W) float32``; output ``video (N, T, H, W) float32``. N, H and W are
        free.
    threads : int, optional
        Threads within one reconstruction. One thread gives the best throughput when several
        windows are reconstructed at the same time; two give the shortest wait for one window on
        two cores.
    noise : tuple of float, optional
        s_ss and s_r of the reads (`NoiseProfile.shot_and_read`), for a network that is told the
        noise; by default those of the profile ``paper``.
    any_aperture : bool, optional
        Whether a network for a coded aperture also serves maps without one: as always open.

    Attributes
    ----------
    uses_aperture, uses_noise, uses_last : bool
        Whether the network takes these inputs.

    Raises
    ------
    ReconstructError
        If the model is damaged or has other inputs or outputs.
    """

    def __init__(
        self,
        model: bytes,
        *,
        threads: int = 1,
        noise: tuple[float, float] | None = None,
        any_aperture: bool = False,
    ) -> None:
        self._any_aperture = any_aperture
        self._session = _Session(model, threads)
        inputs = {node.name: node.type for node in self._session.get_inputs()}
        planes = {node.name: node.shape[1:2] for node in self._session.get_inputs()}.get("reads")
        self._planes = planes[0] if planes and isinstance(planes[0], int) else None
        outputs = {node.name: node.type for node in self._session.get_outputs()}
        self.uses_aperture, self.uses_noise = "aperture" in inputs, "noise" in inputs
        self.uses_last = "last" in inputs
        self._noise = np.array(noise or preset("paper").shot_and_read(), np.float32)
        expected = {"reads": "tensor(float)", "levels": "tensor(uint8)"}
        if self.uses_aperture:
            expected["aperture"] = "tensor(uint8)"
        if self.uses_noise:
            expected["noise"] = "tensor(float)"
        if self.uses_last:
            expected["last"] = "tensor(float)"
        if inputs != expected or outputs.get("video") != "tensor(float)":
            raise ReconstructError(
                f"the network takes {signature(inputs)} and gives {signature(outputs)}, but the "
                f"network of a bundle takes {signature(expected)} and gives video: tensor(float): "
                "export it anew"
            )

    def told(self, noise: tuple[float, float]) -> OnnxReconstructor:
        """Return this network, told that the reads have this s_ss and s_r."""
        other = copy(self)
        other._noise = np.array(noise, np.float32)
        return other

    def __call__(
        self,
        reads: Float32,
        ratio_map: RatioMap,
        last: Float32 | None = None,
        *,
        out: Float32 | None = None,
    ) -> Float32:
        """Reconstruct ``reads (R, H, W)`` or ``(N, R, H, W)`` to ``(T, H, W)`` or ``(N, T, H, W)``.

        R is the highest level of the map's level set, which may be another than the network's.

        Parameters
        ----------
        reads : ndarray of float32
            Measurements in signal units.
        ratio_map : RatioMap
            Under which they were taken.
        last : ndarray of float32 or None, optional
            Last frame ``(H, W)`` or ``(N, H, W)`` of the window before, for a network with memory
            (`focalloop.host.reconstruction.memory`); without it, nothing is remembered.
        out : ndarray of float32 or None, optional
            Where the network writes the video, C-contiguous and of its shape; by default, anew.

        Raises
        ------
        ReconstructError
            If the measurements, map and network do not fit each other.
        """
        check_reads(reads, ratio_map.shape, int(ratio_map.levels.max()))
        batch = reads if reads.ndim == 4 else reads[np.newaxis]
        feed: dict[str, Any] = {
            "reads": np.ascontiguousarray(
                self._in_planes(batch, int(ratio_map.levels.max())), np.float32
            ),
            "levels": _repeated(ratio_map.levels, len(batch)),
        }
        if self.uses_aperture:
            aperture = ratio_map.aperture
            if aperture is None and self._any_aperture:
                aperture = np.ones((ratio_map.slots, *ratio_map.shape), np.bool_)
            if aperture is None:
                raise ReconstructError(
                    "this network needs the coded aperture that it was trained with, but the ratio "
                    "map has none: use the bundle's own map"
                )
            feed["aperture"] = _repeated(aperture.view(np.uint8), len(batch))
        elif ratio_map.aperture is not None:
            raise ReconstructError(
                "this network was trained without a coded aperture, but the ratio map has one: use "
                "a map without"
            )
        if self.uses_noise:
            feed["noise"] = np.tile(self._noise, (len(batch), 1))
        if self.uses_last:
            remembered = np.float32(NOTHING) if last is None else last
            feed["last"] = np.ascontiguousarray(
                np.broadcast_to(remembered, (len(batch), *ratio_map.shape)), np.float32
            )
        try:
            video = self._session.video(feed, out)
        except Exception as error:  # as in `load_network`
            raise ReconstructError(
                f"the network does not take measurements of shape {reads.shape} "
                f"({first_line(error)})"
            ) from None
        if video.shape[1:] != (ratio_map.slots, *ratio_map.shape):
            raise ReconstructError(
                f"the network gives video of shape {video.shape[1:]}, but the ratio map has "
                f"T={ratio_map.slots} and {ratio_map.shape[0]}x{ratio_map.shape[1]} pixels"
            )
        if not np.isfinite(video).all():
            raise ReconstructError(
                "the network gives values that are not finite numbers: its weights are damaged, or "
                "these measurements are out of its range"
            )
        return video if reads.ndim == 4 else video[0]

    def _in_planes(self, batch: Float32, used: int) -> Float32:
        """Return the reads in as many planes as the network takes: those beyond `used` are empty.

        More are left for the network to refuse.
        """
        given = batch.shape[1]
        if self._planes in (None, given) or self._planes < used:
            return batch
        missing = max(self._planes - given, 0)
        return np.pad(batch[:, : self._planes], ((0, 0), (0, missing), (0, 0), (0, 0)))


def check_reads(reads: Float32, shape: tuple[int, ...], largest_level: int) -> None:
    """Raise `ReconstructError` if measurements (..., R, H, W) do not fit a map of this shape."""
    if reads.ndim < 3 or reads.shape[-2:] != shape or reads.shape[-3] < largest_level:
        raise ReconstructError(
            f"measurements of shape {reads.shape} do not match a {shape[0]}x{shape[1]} ratio map "
            f"with up to {largest_level} measurements per pixel"
        )


def _repeated(plane: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.broadcast_to(plane, (count, *plane.shape)))


def signature(nodes: dict[str, str]) -> str:
    """Return the inputs or outputs of a graph, by name and type, for an error."""
    return ", ".join(f"{name}: {kind}" for name, kind in sorted(nodes.items())) or "nothing"


def first_line(error: Exception) -> str:
    """Return what an exception of ONNX Runtime says first."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
