"""Defaults: slots, level set, array size, rates and the named tiles.

This module does without NumPy, because the help texts of the command line show these values.
"""

from __future__ import annotations

DEFAULT_SLOTS = 16
"""Slots per window (T), CRL section II."""

DEFAULT_LEVEL_SET = (0, 1, 2, 4, 8)
"""Measurements per window that a pixel may have."""

DEFAULT_SHAPE = (256, 256)
"""Array size (H, W), the SCAMP-5's."""

DEFAULT_SLOT_RATE_HZ = 240.0
"""Slots per second: the frame rate of CRL's videos."""

DEFAULT_JOULES_PER_CONVERSION = 2e-10
"""Energy of one read: Park et al., "A 51-pJ/Pixel 33.7-dB PSNR 4x Compressive CMOS Image Sensor",
IEEE JSSC 56(8), 2021. Its whole VGA sensor takes 0.7 mW at 45 frames/s and converts once per four
pixels: 0.7 mW / (640 * 480 / 4 * 45 Hz) = 0.2 nJ per conversion, pixels and output included."""

NAMED_TILES: dict[str, tuple[tuple[int, ...], ...]] = {
    "fixed-1of16": ((1,),),
    "fixed-2of16": ((2,),),
    "fixed-4of16": ((4,),),
    "fixed-8of16": ((8,),),
    # Measures a quarter of the pixels; every other pixel is a neighbour of a measured one.
    "tile-1of16": ((4, 0, 4, 0), (0, 0, 0, 0), (0, 4, 0, 4), (0, 0, 0, 0)),
    "tile-2of16": ((4, 1, 4, 1), (1, 2, 1, 2), (4, 1, 4, 1), (1, 2, 1, 2)),
    # Long reads beside short ones, and long ones nearly everywhere, for slower scenes.
    "mixed-1of16": ((0, 4, 0, 2), (1, 0, 1, 0), (0, 2, 0, 4), (1, 0, 1, 0)),
    "calm-1of16": ((2, 1), (1, 0)),
}
"""Hand-made tiles by name, ``<kind>-<average measurements per pixel>of16``, for the default T."""
