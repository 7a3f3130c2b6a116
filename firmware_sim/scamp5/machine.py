"""A simulated SCAMP-5 that runs programs, and counts their cycles and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.scamp5.compiled import CompiledArray, compile_program
from focalloop.firmware_sim.scamp5.instructions import (
    NEIGHBOURS,
    SOURCES_ONLY,
    Areg,
    Dreg,
    Instruction,
    Op,
    Scamp5Error,
)
from focalloop.firmware_sim.scamp5.program import Program
from focalloop.firmware_sim.scamp5.readout import Timing
from focalloop.firmware_sim.scamp5.reference import (
    MAX_LSB,
    MIN_LSB,
    Mode,
    ReferenceArray,
    TransferNoise,
)

SHAPE = (256, 256)
"""Rows and columns of the chip."""


class Machine:
    """An array of SCAMP-5 processing elements with its controller.

    Pictures are (H, W) with the first row at the top and the first column on the left, whatever
    the chip's own order. All elements start with FLAG 1, PIX reset and zeros elsewhere.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    mode : Mode
        How analog values are represented.
    timing : Timing, optional
        Clock and readout times.
    noise : TransferNoise, optional
        Errors of transfers and storage, in `Mode.NOISY`.
    seed : int
        0..2**64 - 1; identifies the device and its noise, in `Mode.NOISY`.
    threads : int
        Threads that share the elements, in `Mode.INTEGER`.

    Attributes
    ----------
    cycles : int
        Instruction words executed so far.
    """

    def __init__(
        self,
        shape: tuple[int, int] = SHAPE,
        mode: Mode = Mode.INTEGER,
        *,
        timing: Timing | None = None,
        noise: TransferNoise | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        if min(shape) < 1:
            raise Scamp5Error(f"an array has at least 1 row and 1 column, not {shape}")
        if threads < 1:
            raise Scamp5Error(f"a SCAMP-5 machine needs at least 1 thread, not {threads}")
        self.shape = shape
        self.mode = mode
        self.timing = timing or Timing()
        self.cycles = 0
        self._slots = 0
        self._last: tuple[Program, bool, list[NDArray[np.int64]]] | None = None
        self._array: CompiledArray | ReferenceArray
        if mode is Mode.INTEGER:
            self._array = CompiledArray(shape, threads)
        else:
            self._array = ReferenceArray(shape, mode, noise or TransferNoise(), seed)

    @property
    def time_s(self) -> float:
        """Time of the programs run so far: their instructions, and the slots they waited for."""
        return self.cycles / self.timing.clock_hz + self._slots * self.timing.slot_s

    def analog(self, areg: Areg) -> NDArray[Any]:
        """Copy an analog register (H, W): int8 LSB in integer mode, else float32 LSB."""
        if areg in NEIGHBOURS:
            raise Scamp5Error(f"{areg.name} is a neighbour's register: read NEWS instead")
        copied: NDArray[Any] = self._array.analog[areg.value].copy()
        return copied

    def digital(self, dreg: Dreg) -> NDArray[np.bool_]:
        """Copy a digital register (H, W)."""
        copied: NDArray[np.bool_] = self._array.digital[dreg.value].astype(np.bool_)
        return copied

    def load(self, register: Areg | Dreg, plane: ArrayLike) -> None:
        """Set a register to a picture (H, W), as the controller does between programs.

        Raises
        ------
        Scamp5Error
            The plane's shape is not the array's, or the register cannot hold its values.
        """
        values = np.asarray(plane)
        if values.shape != self.shape:
            raise Scamp5Error(
                f"a register of this array has the shape {self.shape}, not {values.shape}"
            )
        if isinstance(register, Dreg):
            self._array.load(register, values != 0)
            return
        if register in (*SOURCES_ONLY, *NEIGHBOURS):
            raise Scamp5Error(f"{register.name} is a source and cannot be loaded")
        whole = self.mode is not Mode.INTEGER or not (values % 1).any()
        bounded = self.mode is Mode.IDEAL or (values.min() >= MIN_LSB and values.max() <= MAX_LSB)
        if not (whole and bounded):
            raise Scamp5Error(
                f"{register.name} holds {MIN_LSB} to {MAX_LSB}, and whole numbers in integer mode; "
                f"the plane has {values.min():g} to {values.max():g}"
            )
        self._array.analog[register.value] = values

    def run(
        self,
        program: Program,
        scene: NDArray[Any] | None = None,
        gain: float = 1.0,
    ) -> NDArray[Any]:
        """Run a program once, or once per window of a scene.

        Parameters
        ----------
        program : Program
            From `assemble`.
        scene : ndarray of uint8 or float32, shape (T, H, W) or (N, T, H, W), optional
            Light in every slot that the program exposes; uint8 in integer mode.
        gain : float
            LSB by which one unit of the scene increases PIX, above 0.

        Returns
        -------
        ndarray of uint8 or float32, shape (S, H, W) or (N, S, H, W)
            Result of each ``scan``, value + 128; float32 in ideal mode.

        Raises
        ------
        Scamp5Error
            The scene does not fit the array, the mode or the program.
        """
        words = program.instructions
        exposed = [word.value for word in words if word.op is Op.EXPOSE]
        numbers = [word.value for word in words if word.op is Op.SCAN]
        if sorted(numbers) != list(range(len(numbers))):
            raise Scamp5Error(f"the scans of a program must be numbered from 0 on, not {numbers}")
        light = self._light(np.zeros((0, *self.shape), np.uint8) if scene is None else scene)
        if exposed and not 0 <= min(exposed) <= max(exposed) < light.shape[1]:
            raise Scamp5Error(
                f"the program exposes slots {min(exposed)} to {max(exposed)}, but the scene has "
                f"{light.shape[1]} slots"
            )
        if not gain > 0:
            raise Scamp5Error(f"the gain of PIX must be above 0, not {gain}")
        dtype = np.float32 if self.mode is Mode.IDEAL else np.uint8
        scans = np.empty((len(light), len(numbers), *self.shape), dtype)
        if isinstance(self._array, CompiledArray):
            self._array.run(self._compiled(program), light, gain, scans)
        else:
            self._interpret(words, light, gain, scans)
        self.cycles += program.cycles * len(light)
        self._slots += len(exposed) * len(light)
        return scans if scene is not None and scene.ndim == 4 else scans[0]

    def scan(self, areg: Areg) -> NDArray[Any]:
        """Read an analog register of all elements (H, W): value + 128; see `run`."""
        read: NDArray[Any] = self.run(Program((), (Instruction(Op.SCAN, (), (areg,)),)))[0]
        return read

    def _light(self, scene: NDArray[Any]) -> NDArray[Any]:
        kinds = (np.uint8,) if self.mode is Mode.INTEGER else (np.uint8, np.float32)
        if scene.dtype not in kinds:
            raise Scamp5Error(
                f"a scene for {self.mode.value} mode is "
                f"{' or '.join(kind.__name__ for kind in kinds)}, not {scene.dtype}"
            )
        if scene.ndim not in (3, 4) or scene.shape[-2:] != self.shape:
            raise Scamp5Error(
                f"a scene for this array has the shape (slots, {self.shape[0]}, {self.shape[1]}), "
                f"or is a batch of such scenes, not {scene.shape}"
            )
        batch = scene if scene.ndim == 4 else scene[None]
        return np.ascontiguousarray(batch)

    def _compiled(self, program: Program) -> list[NDArray[np.int64]]:
        """Compile a program for the present FLAG; the last compiled program is kept."""
        words = program.instructions
        flag_known = bool(self.digital(Dreg.FLAG).all()) and _ends_with_all(words)
        if self._last is None or self._last[0] is not program or self._last[1] != flag_known:
            self._last = (program, flag_known, compile_program(words, flag_known))
        return self._last[2]

    def _interpret(
        self,
        words: Sequence[Instruction],
        light: NDArray[Any],
        gain: float,
        scans: NDArray[Any],
    ) -> None:
        assert isinstance(self._array, ReferenceArray)
        for window, read in zip(light, scans, strict=True):
            for word in words:
                if word.op is Op.SCAN:
                    read[word.value] = self._array.scan(Areg(word.sources[0].value))
                else:
                    self._array.execute(word, window, gain)
                if word.op is Op.EXPOSE:
                    self._array.elapse(self.timing.slot_s)


def _ends_with_all(words: Sequence[Instruction]) -> bool:
    """Whether FLAG is 1 everywhere after the program, if it was before."""
    gates = [word.op for word in words if word.op in (Op.WHERE, Op.WHERE_DIGITAL, Op.ALL)]
    return not gates or gates[-1] is Op.ALL
