"""What holds where nothing else is said: T, the level set, named tiles, rates. Without NumPy.

The command line shows these in its help, which loads no arrays.
"""

from __future__ import annotations

DEFAULT_SLOTS = 16
"""Frame slots in a window (T), CRL section II."""

DEFAULT_LEVEL_SET = (0, 1, 2, 4, 8)
"""Measurements per window that a pixel may have."""

DEFAULT_SHAPE = (256, 256)
"""Array size (H, W), the SCAMP-5's."""

DEFAULT_SLOT_RATE_HZ = 240.0
"""Slots per second: the frame rate of CRL's videos."""

DEFAULT_JOULES_PER_CONVERSION = 2e-10
"""Energy of one read: Park et al., "A 51-pJ/Pixel 33.7-dB PSNR 4x Compressive CMOS Image Sensor",
IEEE JSSC 56(8), 2021. Its whole VGA sensor takes 0.7 mW at 45 frames/s and converts once for four
pixels: 0.7 mW / (640 * 480 / 4 * 45 Hz) = 0.2 nJ per conversion, pixels and output included."""

NAMED_TILES: dict[str, tuple[tuple[int, ...], ...]] = {
    "fixed-1of16": ((1,),),
    "fixed-2of16": ((2,),),
    "fixed-4of16": ((4,),),
    "fixed-8of16": ((8,),),
    # A quarter of the pixels, no unmeasured pixel further than one step from a measured one.
    "tile-1of16": ((4, 0, 4, 0), (0, 0, 0, 0), (0, 4, 0, 4), (0, 0, 0, 0)),
    "tile-2of16": ((4, 1, 4, 1), (1, 2, 1, 2), (4, 1, 4, 1), (1, 2, 1, 2)),
}
"""Rows of levels by name, ``<kind>-<average measurements per pixel>of16``, for the default T."""
