"""An emulated board: the whole wire protocol as a state machine over bytes."""
