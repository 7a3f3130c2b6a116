"""Estimates with their intervals, and the noise profile, from an analysis."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.fitting.analysis import EMVA_MIN_DARK_DN2, Analysis, distinct_slots
from focalloop.calibration.fitting.intervals import VarianceComponent, normal, scaled
from focalloop.calibration.fitting.nonuniformity import Parts
from focalloop.calibration.fitting.response_curve import ResponseFit
from focalloop.calibration.fitting.transfer_points import ROUNDING_DN2, TransferPoint
from focalloop.calibration.result import NORMAL_95, Estimate, Pattern
from focalloop.firmware_sim.noise import NoiseProfile


def estimates_of(analysis: Analysis) -> dict[str, Estimate]:
    """Return everything that the levels determine, by the names in the noise profile file."""
    found = {
        **_noise(analysis),
        **_black(analysis),
        **_pattern(analysis),
        **_offsets(analysis),
        **_range(analysis),
    }
    linearity = analysis.linearity
    if linearity is not None:
        half = NORMAL_95 * linearity.bend_error
        error = linearity.error
        found["linearity_error"] = Estimate(error, (max(error - half, 0.0), error + half), "")
        found["response_bend"] = normal(linearity.bend, linearity.bend_error, "")
    if analysis.curve is not None:
        found.update(_response(analysis.curve))
    if linearity is not None:
        found.update(_quantum_efficiency(analysis, found["gain_dn_per_electron"]))
    return found


def read_noise_variance(analysis: Analysis) -> tuple[float, tuple[float, float]]:
    """Return the variance of the read noise without row noise, DN^2, and its 95 % limits."""
    line = analysis.line
    low, high = line.offset_ci95
    if analysis.protocol == "weighted":
        return line.offset, (low, high)
    # The variance of EMVA 1288 includes row noise.
    rows = max(analysis.row.variance, 0.0)
    half = NORMAL_95 * analysis.row.error
    value = max(line.offset - rows, 0.0)
    down = math.hypot(line.offset - low, half)
    return value, (max(value - down, 0.0), value + math.hypot(high - line.offset, half))


def signal_covariance(analysis: Analysis) -> NDArray[np.float64]:
    """Return the covariance (2, 2) of (s_ss, s_r) by the delta method; 0 for one that is 0."""
    full_scale = analysis.full_scale_dn
    variance, _ = read_noise_variance(analysis)
    gain = analysis.line.gain
    s_ss, s_r = math.sqrt(gain / full_scale), math.sqrt(variance) / full_scale
    slopes = np.zeros((2, 2))
    if gain > 0:
        slopes[0, 1] = s_ss / (2 * gain)
    if variance > 0:
        slopes[1, 0] = s_r / (2 * variance)
    covariance = analysis.line.covariance.copy()
    if analysis.protocol == "emva":
        covariance[0, 0] += analysis.row.error**2
    scale = np.array([s_ss / 2, s_r]) * analysis.readings.full_scale_relative_error
    return np.asarray(slopes @ covariance @ slopes.T + np.outer(scale, scale))


def _noise(analysis: Analysis) -> dict[str, Estimate]:
    line, full_scale = analysis.line, analysis.full_scale_dn
    relative = analysis.readings.full_scale_relative_error
    gain = Estimate(line.gain, line.gain_ci95, "DN/e-")
    variance, limits = read_noise_variance(analysis)
    return {
        "s_ss": scaled(_square_root(line.gain, line.gain_ci95), full_scale**-0.5, relative / 2, ""),
        "s_r": scaled(_square_root(variance, limits), 1 / full_scale, relative, ""),
        "gain_dn_per_electron": gain,
        "dark_noise_dn": _dark_noise(analysis),
    }


def _square_root(value: float, limits: tuple[float, float]) -> Estimate:
    return Estimate(math.sqrt(value), (math.sqrt(limits[0]), math.sqrt(limits[1])), "DN")


def _dark_noise(analysis: Analysis) -> Estimate:
    """Temporal noise of the darkest level, row noise and quantisation included."""
    darkest = analysis.dark[0] if analysis.dark else None
    if darkest and not darkest.clipped and darkest.moments.total_variance >= EMVA_MIN_DARK_DN2:
        variance, dof = darkest.moments.total_variance, darkest.moments.total_dof
        if analysis.protocol == "emva":
            variance, dof = darkest.variance, darkest.dof
        # The pixels of a row share its noise, so there are only as many degrees of freedom as rows.
        error = math.hypot(variance * math.sqrt(2 / dof), darkest.row.error)
        return VarianceComponent(variance, error).root("DN")
    variance, limits = read_noise_variance(analysis)
    error = math.hypot((limits[1] - limits[0]) / (2 * NORMAL_95), analysis.row.error)
    return VarianceComponent(variance + max(analysis.row.variance, 0.0) + ROUNDING_DN2, error).root(
        "DN"
    )


def _black(analysis: Analysis) -> dict[str, Estimate]:
    black, readings = analysis.black, analysis.readings
    low, high = black.level_dn - black.level_half, black.level_dn + black.level_half
    found = {"black_level_dn": Estimate(black.level_dn, (low, high), "DN")}
    if black.dark_rate is not None:
        low, high = black.dark_rate - black.dark_rate_half, black.dark_rate + black.dark_rate_half
        rate = Estimate(black.dark_rate, (low, high), "DN/s")
        if readings.slots is not None:
            factor = readings.slots / analysis.full_scale_dn
            rate = scaled(rate, factor, readings.full_scale_relative_error, "")
        found["dark_signal"] = rate
    return found


def _pattern(analysis: Analysis) -> dict[str, Estimate]:
    found = {}
    for name, unit, measured in (
        ("dsnu{}_dn", "DN", analysis.pattern.offset),
        ("prnu{}", "", analysis.pattern.gain),
    ):
        if measured is None:
            continue
        parts = measured[1]
        found[name.format("")] = parts.total.root(unit)
        found[name.format("_pixel")] = parts.pixel.root(unit)
        found[name.format("_row")] = parts.row.root(unit)
        found[name.format("_column")] = parts.column.root(unit)
    by_codes = [point for point in analysis.dark if point.pattern_variance is not None]
    if by_codes:
        found.update(_pattern_of_codes(by_codes[0], analysis.pattern.offset))
    return found


def _pattern_of_codes(
    point: TransferPoint, offset: tuple[Pattern, Parts] | None
) -> dict[str, Estimate]:
    """Return the DSNU of a level with clipped or coarse codes, whose mean codes are biased."""
    # Each of the N offsets is known up to the read noise of R reads.
    noise = point.variance / point.moments.reads
    square = (point.pattern_variance or 0.0) + noise
    error = square * math.sqrt(2 / point.moments.count)
    found = {"dsnu_dn": VarianceComponent(square, error, noise).root("DN")}
    if offset is not None:
        lines = max(offset[1].row.variance, 0.0) + max(offset[1].column.variance, 0.0)
        found["dsnu_pixel_dn"] = VarianceComponent(square, error, noise + lines).root("DN")
    return found


def _offsets(analysis: Analysis) -> dict[str, Estimate]:
    """Return the temporal offsets of rows and frames, and the flicker of the light."""
    found = {"row_noise_dn": analysis.row.root("DN")}
    frame = None
    if analysis.dark:
        frame = _frame_offset(analysis.dark, max(analysis.row.variance, 0.0))
        found["frame_offset_dn"] = frame.root("DN")
    lit = [point for point in analysis.used if not point.moments.level.dark]
    means = np.array([point.mean - analysis.black.level_dn for point in lit])
    dofs = np.array([point.moments.reads - 1 for point in lit])
    variances = np.array([point.moments.frame_variance for point in lit])
    weights = dofs * means**2 / float(dofs @ means**4)
    square, error = float(weights @ variances), weights * variances * np.sqrt(2 / dofs)
    noise = 0.0 if frame is None else max(frame.variance, 0.0) * float(weights.sum())
    flicker = VarianceComponent(square, float(np.linalg.norm(error)), noise)
    found["light_flicker"] = flicker.root("")
    return found


def _frame_offset(dark: list[TransferPoint], row_variance: float) -> VarianceComponent:
    """Return the variance of the frame offset in the dark, DN^2."""
    dark = distinct_slots(dark)
    dofs = np.array([point.moments.reads - 1 for point in dark])
    variances = np.array([point.moments.frame_variance for point in dark])
    pooled = float(variances @ dofs / dofs.sum())
    pixels = np.array([point.moments.total_variance / point.moments.count for point in dark])
    lines = np.count_nonzero(dark[0].moments.pixels.any(1))
    noise = float(pixels.mean()) + row_variance / lines
    return VarianceComponent(pooled, pooled * math.sqrt(2 / dofs.sum()), noise)


def _range(analysis: Analysis) -> dict[str, Estimate]:
    """Return saturation, full well and dynamic range: EMVA 1288 Release 4 sections 2.4 and 6.6."""
    found = {}
    black, gain = analysis.black.level_dn, analysis.line.gain
    relative = analysis.readings.full_scale_relative_error
    saturation = analysis.saturation
    if saturation is not None:
        level = Estimate(saturation.level_dn, (saturation.level_dn, saturation.next_dn), "DN")
        found["saturation_dn"] = level
    if saturation is not None and saturation.analog:
        well = float(analysis.linear(saturation.plateau_dn - black))
        lower = max(float(analysis.linear(saturation.level_dn - black)), 0.0)
        reach = Estimate(well, (lower, max(well, lower)), "DN")
        found["full_well"] = scaled(reach, 1 / analysis.full_scale_dn, relative, "")
    if gain > 0:
        electrons = float(analysis.linear(analysis.saturation_dn - black)) / gain
        if saturation is not None:
            low, high = analysis.line.gain_ci95
            limits = (electrons * gain / high, electrons * gain / low if low > 0 else math.inf)
            found["saturation_capacity"] = Estimate(electrons, limits, "e-")
        noise = _dark_noise(analysis)
        least = [
            math.sqrt((dn / gain) ** 2 + 0.25) + 0.5 for dn in (noise.value, *reversed(noise.ci95))
        ]
        ratios = [
            20 * math.log10(electrons / signal) if math.isfinite(signal) else -math.inf
            for signal in least
        ]
        found["dynamic_range_db"] = Estimate(ratios[0], (ratios[1], ratios[2]), "dB")
    return found


def _response(curve: ResponseFit) -> dict[str, Estimate]:
    """Return the response as measured; `response_bend` is its deviation at full scale."""

    def estimate(value: float, variance: float) -> Estimate:
        half = curve.quantile * math.sqrt(variance)
        return Estimate(value, (value - half, value + half), "")

    response, covariance = curve.response, curve.covariance
    return {
        "response_bend": estimate(response.bend + response.bend_cubic, float(covariance.sum())),
        "bend": estimate(response.bend, float(covariance[0, 0])),
        "bend_cubic": estimate(response.bend_cubic, float(covariance[1, 1])),
    }


def _quantum_efficiency(analysis: Analysis, gain: Estimate) -> dict[str, Estimate]:
    """Return electrons per photon if the light is in photons: EMVA 1288 Release 4 section 6.6."""
    linearity = analysis.linearity
    lights = [point.moments.level.light for point in analysis.used if not point.moments.level.dark]
    if analysis.readings.exposure_unit != "s" or None in lights or linearity is None:
        return {}
    if gain.value == 0:
        return {}
    curve = analysis.curve
    # Gain is that in the dark, and so is the slope that goes with it.
    one_light = curve is not None and curve.bent and len(curve.slopes_dn) == 1
    slope = curve.slopes_dn[0] if curve is not None and one_light else linearity.responsivity
    value = float(slope) / gain.value
    gain_error = (gain.ci95[1] - gain.ci95[0]) / (2 * NORMAL_95 * gain.value)
    error = math.hypot(linearity.responsivity_error / linearity.responsivity, gain_error)
    return {"quantum_efficiency": normal(value, value * error, "")}


def profile_of(analysis: Analysis, name: str, found: dict[str, Estimate]) -> NoiseProfile:
    """Return the profile for the emulator; a term whose interval reaches 0 is switched off."""

    def signal(key: str) -> float:
        """Return a standard deviation in signal units, 0 where its interval reaches 0."""
        estimate = found.get(key)
        if estimate is None or estimate.ci95[0] <= 0:
            return 0.0
        return estimate.value / analysis.full_scale_dn

    s_ss = found["s_ss"].value
    profile = NoiseProfile(
        name=name,
        bits=analysis.readings.bits,
        black_level_dn=max(found["black_level_dn"].value, 0.0),
        full_scale_dn=analysis.full_scale_dn,
        shot="gaussian" if s_ss > 0 else "off",
        s_ss=s_ss,
        s_r=found["s_r"].value,
        bend=analysis.response.bend,
        bend_cubic=analysis.response.bend_cubic,
        row_noise=signal("row_noise_dn"),
        frame_offset=signal("frame_offset_dn"),
        pixel_offset=signal("dsnu_pixel_dn" if "dsnu_pixel_dn" in found else "dsnu_dn"),
        column_offset=signal("dsnu_column_dn"),
    )
    prnu, dark, well = (found.get(key) for key in ("prnu", "dark_signal", "full_well"))
    if prnu is not None and prnu.ci95[0] > 0:
        profile = replace(profile, prnu=prnu.value)
    if dark is not None and dark.unit == "" and dark.ci95[0] > 0:
        profile = replace(profile, dark_signal=dark.value)
    if well is not None:
        profile = replace(profile, full_well=well.value)
    return profile
