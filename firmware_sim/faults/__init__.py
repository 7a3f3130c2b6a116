"""A line that damages, delays and drops bytes: the same faults for the same seed.

`Faults` says what goes wrong, and parses the text of ``focalloop emulate --faults``;
`FaultyLine` applies it to the bytes between a host and a board.
"""

from focalloop.firmware_sim.faults.line import Event, FaultyLine, Pipe
from focalloop.firmware_sim.faults.settings import Direction, Faults, FaultsError, Times

__all__ = ["Direction", "Event", "Faults", "FaultsError", "FaultyLine", "Pipe", "Times"]
