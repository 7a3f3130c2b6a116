"""Emulate a sensor on a scene of your own and see how well a bundle reconstructs it.

Usage: python emulate_and_reconstruct.py VIDEO
"""

import sys

import numpy as np

from focalloop import Bundle, Emulator

(output,) = sys.argv[1:]

# A bright disc on a dim ramp, one pixel further in each of the 16 slots of a window.
y, x = np.mgrid[:128, :128]
scene = np.stack(
    [np.where((x - 40 - t) ** 2 + (y - 64) ** 2 < 500, 0.9, 0.2 + x / 640) for t in range(16)]
)

bundle = Bundle.load("edge-learned-2of16")
for profile in ("ideal", "paper", "scamp5"):
    sensor = Emulator(bundle.ratio_map.tiled_to(128, 128), profile)
    video = bundle.reconstruct(sensor.capture(scene))
    print(f"{profile:8} PSNR {video.psnr(scene):.2f} dB, SSIM {video.ssim(scene):.4f}")
video.save(output)
