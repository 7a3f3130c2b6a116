"""The emulator: scenes in, readouts of a programmable focal plane out.

- `emulator`: `Emulator`, which runs one ratio map under one noise profile.
- `kernels`: the compiled forward model, with the noise of every read.
- `random_keys`: which random number belongs to which read.

Importing the package does not load Numba; importing `emulator` or `kernels` does.
"""
