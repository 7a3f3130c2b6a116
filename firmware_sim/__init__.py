"""The sensor side: what runs on, or beside, a programmable focal plane.

- `maps`: ratio maps, their files, and the reads that they cause.
- `noise`: noise profiles, the calibrated parameters of the forward model.
- `window`: one window as a user gets it, with its map and signal.
- `emulator`: the forward model, compiled: scenes in, readouts out.
- `scenes`: what an emulated sensor looks at: footage, cameras, test scenes.
- `wire`: the messages between host and board.
- `virtual_board`: an emulated board that speaks the wire protocol.
- `serving`: puts it on a pseudo-terminal or a TCP port; `faults` makes that line bad.
- `scamp5`: a simulated SCAMP-5 chip, and ratio maps as programs for it.
- `reference_firmware`: the same board in C, to be ported to real hardware.

`errors`, `files` and `pictures` serve every package: the base exception, writing of files, PNGs for
notebooks.

This package imports nothing of the other three; all of them may import it.
"""
