"""A line that damages, delays and drops what it carries: the same faults for the same seed.

:class:`Faults` says what goes wrong and reads the text of ``focalloop emulate --faults``;
:class:`FaultyLine` does it to the bytes between a host and a board.
"""

from focalloop.firmware_sim.faults.line import Event, FaultyLine, Pipe
from focalloop.firmware_sim.faults.settings import Direction, Faults, FaultsError, Times

__all__ = ["Direction", "Event", "Faults", "FaultsError", "FaultyLine", "Pipe", "Times"]
