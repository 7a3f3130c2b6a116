"""The commands of this package: an entry point of the group ``focalloop.commands``.

The table holds names and lines of help by panel of the help, as in `focalloop.host.cli.commands`.
Commands that need the ``train`` extra import it when they run, so that help works without it.
"""

from __future__ import annotations

from typing import Any

_DATA = {
    "build": ("Make training windows from pictures and videos.", f"{__name__}.data_build:build"),
    "nfs": ("Make training windows from the Need for Speed data set.", f"{__name__}.data_nfs:nfs"),
    "test-set": (
        "Rebuild the test set from the packages that contain its videos.",
        f"{__name__}.data_test_set:rebuild",
    ),
    "demo-clip": (
        "Cut the clip that `focalloop live` shows.",
        f"{__name__}.data_demo_clip:demo_clip",
    ),
}

_RADIO_TRAIN = {
    "codec": (
        "Train the codec: transforms and entropy models, one network for all rates.",
        f"{__name__}.radio_train_codec:codec",
    ),
    "semcom": (
        "Train encoder, decoder and rate allocation of semantic communication.",
        f"{__name__}.radio_train:semcom",
    ),
    "ran": (
        "Train the rate allocation alone, for ends that stay as they are.",
        f"{__name__}.radio_train:ran",
    ),
    "jscc": (
        "Train the baseline whose loss is the error of the sensor data, not of the video.",
        f"{__name__}.radio_train:jscc",
    ),
    "joint": (
        "Train the tile of the map, the reconstruction and the link together.",
        f"{__name__}.radio_train_joint:joint",
    ),
}

_RADIO = {
    "train": ("Train the networks of a radio link.", _RADIO_TRAIN),
    "bundle": ("Turn a trained radio network into a bundle.", f"{__name__}.radio_train:bundle"),
}

COMMANDS: dict[str, dict[str, tuple[str, Any]]] = {
    "Training": {
        "train": (
            "Train a network for a ratio map, or learn the map first.",
            f"{__name__}.train:train",
        ),
        "export": ("Turn a trained network into a bundle.", f"{__name__}.export:export"),
        "data": ("Make the test set, the demo clip and training data.", _DATA),
    },
    "Adaptive maps": {
        "adaptive": (
            "Train what lets a map follow the scene.",
            {
                "train": (
                    "Train the controller of an adaptive map.",
                    f"{__name__}.adaptive_train:train",
                ),
            },
        ),
    },
    "Radio": {"radio": ("Send windows over a noisy radio channel.", _RADIO)},
}
