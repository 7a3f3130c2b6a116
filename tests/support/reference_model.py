"""The forward model in plain NumPy, transcribed from the equations of docs/concepts.md.

Deliberately slow and independent of the kernels: the emulator must agree with it bit for bit. Every
float32 operation is one NumPy operation, so nothing can be fused or reordered.
"""

import math

import numpy as np

f32 = np.float32
READ, SHOT, ROW, FRAME, GAIN, PIXEL, COLUMN = range(7)


def readout(ratio_map, profile, seed, window, scene):
    """Read one window (T, H, W) of a uint8 or float32 scene, in read-plan order."""
    T, H, W = scene.shape
    levels = ratio_map.levels.astype(int)
    gain, offset = fixed_pattern(profile, seed, H, W)
    samples, taken = [], 0
    for slot in range(T):
        span = np.where(levels > 0, T // np.maximum(levels, 1), 0)
        due = (levels > 0) & ((slot + 1) % np.maximum(span, 1) == 0)
        light = integrate(scene, ratio_map.aperture, slot, span)[due]
        counter = np.arange(taken, taken + light.size)  # the position of each read in the plan
        taken += light.size
        if not profile.adc:
            samples.append(light if scene.dtype == np.uint8 else light * f32(1 / T))
            continue
        e = light.astype(f32) * f32(1 / (255 * T) if scene.dtype == np.uint8 else 1 / T)
        if profile.prnu > 0:
            e = e * gain[due]
        if profile.dark_signal > 0:
            e = e + f32(profile.dark_signal) / levels[due].astype(f32)
        e = electronics(e, profile, seed, window, counter)
        if profile.row_noise > 0 or profile.frame_offset > 0:
            of_frame = f32(profile.frame_offset) * normals(seed, FRAME, window, np.array([slot]))
            rows = normals(seed, ROW, window, slot * H + np.arange(H))
            e = e + (f32(profile.row_noise) * rows + of_frame)[np.nonzero(due)[0]]
        if profile.pixel_offset > 0 or profile.column_offset > 0:
            e = e + offset[due]
        dn = np.rint(f32(profile.black_level_dn) + e * f32(profile.full_scale_dn))
        samples.append(np.clip(dn, 0, 2**profile.bits - 1).astype(profile.code_dtype))
    return np.concatenate(samples)


def integrate(scene, aperture, slot, span):
    """Sum the `span` slots that end with `slot`: in integers, or in float32 from first to last."""
    light = np.zeros(scene.shape[1:], np.uint16 if scene.dtype == np.uint8 else f32)
    for t in range(slot + 1):
        shining = scene[t].astype(light.dtype)
        if aperture is not None:
            shining = shining * aperture[t].astype(light.dtype)
        light = np.where(t > slot - span, light + shining, light)
    return light


def electronics(e, profile, seed, window, counter):
    """Apply shot noise, full well, response and read noise."""
    lit = np.maximum(e, f32(0))
    s_ss = f32(0 if profile.shot == "off" else profile.s_ss)
    s_ss_squared = f32(0 if profile.shot == "off" else profile.s_ss**2)
    bent = profile.bend != 0 or profile.bend_cubic != 0
    if profile.full_well is None and not bent and profile.shot != "poisson":
        deviation = np.sqrt(lit * s_ss_squared + f32(profile.s_r**2))
        return e + deviation * normals(seed, READ, window, counter)
    if profile.shot == "poisson":
        electrons = [
            poisson(float(mean), seed, window, int(k))
            for mean, k in zip(lit.astype(float) / float(s_ss_squared), counter, strict=True)
        ]
        e = np.array(electrons, f32) * s_ss_squared
    elif profile.shot == "gaussian":
        e = e + np.sqrt(lit) * s_ss * normals(seed, SHOT, window, counter)
    e = np.minimum(e, f32(math.inf if profile.full_well is None else profile.full_well))
    if bent:
        lit = np.minimum(np.maximum(e, f32(0)), f32(1.25))
        e = e + lit * lit * (lit * f32(profile.bend_cubic) + f32(profile.bend))
    return e + f32(profile.s_r) * normals(seed, READ, window, counter)


def fixed_pattern(profile, seed, H, W):
    """Return gain and offset (H, W) of this seed's sensor."""
    pixels = np.arange(H * W)
    gain = f32(1) + f32(profile.prnu) * normals(seed, GAIN, 0, pixels)
    offset = f32(profile.pixel_offset) * normals(seed, PIXEL, 0, pixels).reshape(H, W)
    offset = offset + f32(profile.column_offset) * normals(seed, COLUMN, 0, np.arange(W))
    return gain.reshape(H, W), offset


def key(seed, purpose, window):
    """Return the three 32-bit words of a key, computed in Python's integers."""
    gamma, mask = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(x):
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    h = mix((mix(seed) + gamma * (purpose + 1)) & mask)
    h = mix((h + gamma * (window + 1)) & mask)
    return h & 0xFFFFFFFF, h >> 32, mix((h + gamma) & mask) & 0xFFFFFFFF


def words(counter, key0, key1, key2):
    """Return two 32-bit words per counter, as int64 arrays."""
    mask = 0xFFFFFFFF

    def mix(x):
        x = ((x ^ (x >> 16)) * 0x21F0AAAD) & mask
        x = ((x ^ (x >> 15)) * 0x735A2D97) & mask
        return x ^ (x >> 15)

    first = mix((mix((np.asarray(counter, np.int64) + key0) & mask) + key1) & mask)
    return first, mix((first + key2) & mask)


def normals(seed, purpose, window, counter):
    """Box-Muller, with the radius from a float's exponent and mantissa, and a polynomial sine."""
    first, second = words(counter, *key(seed, purpose, window))
    u = (first >> 1).astype(f32) + f32(0.5)
    mantissa, exponent = np.frexp(u)  # u = mantissa * 2**exponent with mantissa in [1/2, 1)
    x = mantissa * f32(2) - f32(1)
    ln = horner(x, -0.018338908, 0.08557005, -0.19376107, 0.31764913, -0.4978751, 0.99990165) * x
    squared = f32(-2) * ((exponent - 32).astype(f32) * f32(0.6931472) + ln)
    signed = np.where(second >= 2**31, second - 2**32, second)
    y = signed.astype(f32) * f32(2.0**-31)
    sine = y * horner(y * y, -0.004333095, 0.07943434, -0.64589286, 1.570791)
    return np.sqrt(np.maximum(squared, f32(0))) * sine


def horner(x, *coefficients):
    """Evaluate a polynomial in float32, highest power first."""
    value = np.full_like(x, f32(coefficients[0]))
    for coefficient in coefficients[1:]:
        value = x * value + f32(coefficient)
    return value


def poisson(mean, seed, window, counter):
    """Hoermann's PTRS (1993) from a mean of 10, inversion below, in Python's floats."""
    key0, key1, key2 = key(seed, SHOT, window)
    attempt = 0
    while True:
        again = (key1 + attempt * 0x9E3779B9) & 0xFFFFFFFF
        first, second = (int(word) for word in words(counter, key0, again, key2))
        u, v = (first + 0.5) / 2**32, (second + 0.5) / 2**32
        if mean < 10:
            count, probability = 0, math.exp(-mean)
            cumulated = probability
            while u > cumulated:
                count += 1
                probability *= mean / count
                cumulated += probability
            return count
        b = 0.931 + 2.53 * math.sqrt(mean)
        a = -0.059 + 0.02483 * b
        us = 0.5 - abs(u - 0.5)
        k = math.floor((2 * a / us + b) * (u - 0.5) + mean + 0.43)
        if us >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2):
            return k
        if k >= 0 and (us >= 0.013 or v <= us):
            log_hat = math.log(v) + math.log(1.1239 + 1.1328 / (b - 3.4))
            log_hat -= math.log(a / (us * us) + b)
            if log_hat <= k * math.log(mean) - mean - math.lgamma(k + 1):
                return k
        attempt += 1
