"""The commands of this package, one file each.

A table of names and lines of help, by panel of the help, so that showing the help imports none of
them; the line is the first of the command's docstring.
"""

from __future__ import annotations

from typing import Any

from focalloop.host.cli.commands.lab import COMMANDS as LAB, DEFAULT as LAB_DEFAULT
from focalloop.host.cli.commands.map import COMMANDS as MAP
from focalloop.host.cli.commands.radio import COMMANDS as RADIO
from focalloop.host.cli.commands.recording import COMMANDS as RECORDING

COMMANDS: dict[str, dict[str, tuple[str, Any]]] = {
    "Live preview": {
        "live": (
            "Watch an emulated sensor, reconstructed live in the browser.",
            f"{__name__}.live:live",
        ),
        "serve": (
            "Serve the preview page of one board, here or to a network.",
            f"{__name__}.serve:serve",
        ),
        "lab": ("Serve many boards, and lend each to one at a time.", LAB),
    },
    "Boards": {
        "emulate": (
            "Serve a virtual board on a pseudo-terminal or a TCP port.",
            f"{__name__}.emulate:emulate",
        ),
        "ports": (
            "List the serial ports, and the boards that answer on them.",
            f"{__name__}.ports:ports",
        ),
        "upload": ("Upload a ratio map to a board.", f"{__name__}.upload:upload"),
        "capture": ("Capture windows from a board into a folder.", f"{__name__}.capture:capture"),
        "record": (
            "Record a board into one file, until Ctrl-C or as long as asked.",
            f"{__name__}.record:record",
        ),
        "recording": ("Look into recordings, finish and convert them.", RECORDING),
        "calibrate": (
            "Measure a sensor's noise and write it as a noise profile.",
            f"{__name__}.calibrate:calibrate",
        ),
    },
    "Reconstruction": {
        "bundles": (
            "List the bundles that come with focalloop, and what each is for.",
            f"{__name__}.bundles:bundles",
        ),
        "reconstruct": (
            "Reconstruct a video from a capture, a recording or clips.",
            f"{__name__}.reconstruct:reconstruct",
        ),
        "evaluate": (
            "Score reconstructions of clips by PSNR and SSIM.",
            f"{__name__}.evaluate:evaluate",
        ),
    },
    "Radio": {"radio": ("Send windows over a noisy radio channel.", RADIO)},
    "Ratio maps": {"map": ("Show, make, convert, schedule and export ratio maps.", MAP)},
}

DEFAULTS = {"lab": LAB_DEFAULT}
"""What a group runs where its first word is none of its commands."""
