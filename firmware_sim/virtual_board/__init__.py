"""An emulated board: bytes in, bytes out, with the time as an argument.

- `board`: `VirtualBoard`, which puts messages into frames and answers repeated requests.
- `firmware`: one boot of it, with an action for every request.
- `upload_store`: maps and apertures on their way to the board.
- `window_requests`: captures, streams and repairs.
- `sensor`: exposes windows, and holds those that were read out.
- `settings`, `refusal`: what a board is made with, and how it declines a request.
"""
