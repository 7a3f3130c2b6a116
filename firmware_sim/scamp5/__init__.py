"""A SCAMP-5 vision chip, simulated at the level of its instructions; see ``docs/scamp5.md``.

- `program`: `assemble` turns `statements` of the developer kit into `instructions`.
- `machine`: `Machine` runs programs, in NumPy (`reference`) or compiled (`compiled`, `kernels`).
- `exposure`: a ratio map as a program; `kit_source` exports it for the developer kit.
- `readout`: scans, sums and events, with the times they take.
"""

from focalloop.firmware_sim.scamp5.instructions import (
    Areg,
    Direction,
    Dreg,
    Instruction,
    Op,
    Scamp5Error,
)
from focalloop.firmware_sim.scamp5.machine import Machine
from focalloop.firmware_sim.scamp5.program import Call, Program, assemble
from focalloop.firmware_sim.scamp5.readout import Grid, Timing
from focalloop.firmware_sim.scamp5.reference import Mode, TransferNoise

__all__ = [
    "Areg",
    "Call",
    "Direction",
    "Dreg",
    "Grid",
    "Instruction",
    "Machine",
    "Mode",
    "Op",
    "Program",
    "Scamp5Error",
    "Timing",
    "TransferNoise",
    "assemble",
]
