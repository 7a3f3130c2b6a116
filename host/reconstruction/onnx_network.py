"""The networks of bundles, in ONNX Runtime on the CPU."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.reconstruct import Float32, ReconstructError, check_reads

if TYPE_CHECKING:
    import onnxruntime

NOTHING = -1.0
"""A pixel of which a network with memory is told nothing."""


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


def _repeated(plane: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.broadcast_to(plane, (count, *plane.shape)))


def signature(nodes: dict[str, str]) -> str:
    """Return the inputs or outputs of a graph, by name and type, for an error."""
    return ", ".join(f"{name}: {kind}" for name, kind in sorted(nodes.items())) or "nothing"


def first_line(error: Exception) -> str:
    """Return what an exception of ONNX Runtime says first."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
