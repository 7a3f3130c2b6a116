"""The shipped bundles and weights: names, and what each is for. Nothing heavy is imported."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where they are: a folder per bundle, a ``.safetensors`` file per set of weights."""

BUNDLES: dict[str, str] = {
    "aperture-universal": "any map that leaves no wide gaps, through any coded aperture: slow",
    "edge-adaptive-int8": "adaptive maps under any noise: its network remembers the last frame",
    "edge-fixed-1of16": "baseline: one exposure of the whole window per pixel",
    "edge-fixed-1of16-aperture": "baseline: one coded exposure per pixel",
    "edge-fixed-2of16": "baseline: two measurements per pixel, everywhere",
    "edge-fixed-4of16": "baseline: four measurements per pixel, everywhere",
    "edge-learned-1of16": "learned map, an average of one measurement per pixel",
    "edge-learned-1of16-aperture": "learned map under the coded aperture, an average of one",
    "edge-learned-2of16": "learned map, an average of two, weights in float32",
    "edge-learned-2of16-int8": "the same with weights in 8 bits: the default",
    "edge-learned-2.5of16": "learned map, an average of two and a half measurements per pixel",
    "edge-learned-2.5of16-int8": "the same with weights in 8 bits: for a live radio link",
    "edge-learned-4of16": "learned map, an average of four measurements per pixel",
    "edge-tile-1of16": "hand-made tile, an average of one measurement per pixel",
    "edge-tile-2of16": "hand-made tile, an average of two measurements per pixel",
    "edge-universal-int8": "any map without a coded aperture that leaves no wide gaps",
    "edge-universal-told-int8": "the same for any noise, which its network is told",
    "paper-learned-1of16": "network of the paper's size on the learned map of one: large and slow",
}
"""What `Bundle.load` takes by name: ``<network>-<map>-<average measurements per pixel>of16``."""

DEFAULT_BUNDLE = "edge-learned-2of16-int8"
"""Bundle that is used if none is named."""

UNIVERSAL_BUNDLE = "edge-universal-int8"
"""Bundle whose network reconstructs under any map that has no network of its own."""

TOLD_BUNDLE = "edge-universal-told-int8"
"""The same where the noise of the reads is not the usual one: its network is told it."""

ADAPTIVE_BUNDLE = "edge-adaptive-int8"
"""The same for the windows of an adaptive map: its network remembers the last frame."""

APERTURE_BUNDLE = "aperture-universal"
"""The same for maps with a coded aperture, whichever it is."""

WEIGHTS: dict[str, str] = {
    "aperture-universal": "where training of the network for any coded aperture starts",
    "edge-adaptive": "where training of the network with memory starts",
    "edge-universal": "where training of the edge network starts",
    "edge-universal-aperture": "the same, under a coded aperture",
    "edge-universal-told": "the same, for the noise of a sensor",
}
"""What `focalloop train --start` takes by name."""

CONTROLLERS: dict[str, str] = {"adaptive-1of16": "palette of 11 tiles for blocks of 16x16 pixels"}
"""Controllers of adaptive maps that `load_controller` takes by name."""

DEFAULT_CONTROLLER = "adaptive-1of16"
"""The one that is used if none is named."""
