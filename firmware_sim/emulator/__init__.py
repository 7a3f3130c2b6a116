"""The emulator: scenes in, readouts of a programmable focal plane out."""
