"""`calibrate`: from readings to a calibration."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri

from focalloop.calibration.fitting.analysis import Analysis, Each, analyse
from focalloop.calibration.fitting.correction import correction_of
from focalloop.calibration.fitting.estimates import estimates_of, profile_of, signal_covariance
from focalloop.calibration.fitting.transfer_points import ROUNDING_DN2, TransferPoint
from focalloop.calibration.fitting.warnings import warnings_of
from focalloop.calibration.readings import Readings
from focalloop.calibration.result import Calibration, Curve, LevelSummary, MeasuredResponse
from focalloop.calibration.settings import Settings

_QUANTILE_COUNT = 201
"""Points of the quantile plot."""


def calibrate(
    readings: Readings, settings: Settings | None = None, *, each: Each = map
) -> Calibration:
    """Estimate a sensor's noise from repeated reads of even light.

    Parameters
    ----------
    readings : Readings
        Dark and lit levels of two reads or more each. Saturated levels are recognised and left
        out.
    settings : Settings, optional
        Protocol and name of the profile; the protocol "weighted" by default.
    each : callable, optional
        What stands in for `map` over the levels, such as `focalloop.host.cluster.Cluster.map`.

    Returns
    -------
    Calibration
        With a 95 % interval for every estimate, and warnings about what the model misses.

    Raises
    ------
    CalibrationError
        If the readings contradict their declaration, or hold no information about the noise.
    """
    settings = settings or Settings()
    analysis = analyse(readings, settings, each)
    estimates = estimates_of(analysis)
    offset, gain = analysis.pattern.offset, analysis.pattern.gain
    linearity = analysis.linearity
    return Calibration(
        profile=profile_of(analysis, settings.name, estimates),
        estimates=estimates,
        covariance=signal_covariance(analysis),
        fit=analysis.line.fit,
        warnings=warnings_of(analysis),
        levels=_summaries(analysis),
        offset=None if offset is None else offset[0],
        gain=None if gain is None else gain[0],
        read_noise_quantiles=_quantiles(analysis.used),
        linearity=() if linearity is None else linearity.points,
        response=_response(analysis),
        snr=_signal_to_noise(analysis),
        protocol=settings.protocol,
        origin=readings.origin,
        pattern=correction_of(analysis),
    )


def _summaries(analysis: Analysis) -> tuple[LevelSummary, ...]:
    summaries = [_summary(analysis, point) for point in analysis.points]
    return tuple(sorted(summaries, key=lambda level: (not level.dark, level.signal)))


def _summary(analysis: Analysis, point: TransferPoint) -> LevelSummary:
    moments, level = point.moments, point.moments.level
    above = point.mean - analysis.black.level_dn
    excluded = 0.0 if analysis.protocol == "emva" else point.quantisation
    model = float(analysis.variance_at(above)) + point.quantisation - excluded
    return LevelSummary(
        name=level.name,
        dark=level.dark,
        exposure=level.exposure,
        light=level.light,
        reads=moments.reads,
        pixels=moments.count,
        mean_dn=moments.mean,
        signal=above / analysis.full_scale_dn,
        variance_dn2=max(point.variance - excluded, 0.0),
        variance_error_dn2=point.variance * math.sqrt(2 / point.dof),
        dof=point.dof,
        model_variance_dn2=model,
        row_noise_dn2=point.row.variance,
        zero_fraction=moments.fraction_at(0),
        saturated_fraction=moments.fraction_at(analysis.top),
        used=not point.why_not,
        why_not=point.why_not,
    )


def _quantiles(used: list[TransferPoint]) -> Curve | None:
    """Return the darkest level's noise quantiles, in standard deviations, by normal quantiles."""
    by_moments = [point for point in used if point.quantisation > 0]
    if not by_moments:
        return None
    moments = min(by_moments, key=lambda point: point.mean).moments
    read = moments.level.reads[0] - moments.pixel_means
    read = read - (read.sum(1, where=moments.pixels) / moments.pixels.sum(1).clip(1))[:, None]
    # Each read contributes 1/R to the mean of the R reads, which lowers its deviation from it.
    deviation = math.sqrt(moments.variance * (1 - 1 / moments.reads))
    normal = np.linspace(-1, 1, _QUANTILE_COUNT) * abs(float(ndtri(0.5 / moments.count)))
    noise = np.quantile(read[moments.pixels] / deviation, ndtr(normal))
    return Curve(normal, noise)


def _response(analysis: Analysis) -> MeasuredResponse | None:
    fit = analysis.curve
    if fit is None:
        return None
    names = [point.moments.level.name for point in analysis.used]
    signals = np.linspace(0.0, max(1.0, float(fit.signals.max())), 101)
    deviation, half = fit.deviation(signals)
    return MeasuredResponse(
        names=tuple(name for name, tells in zip(names, fit.tells, strict=True) if tells),
        signals=fit.signals[fit.tells],
        reads=fit.reads[fit.tells],
        errors=fit.errors[fit.tells],
        curve=Curve(signals, deviation),
        half=half,
        bent=fit.significant,
    )


def _signal_to_noise(analysis: Analysis) -> Curve:
    full_scale, response = analysis.full_scale_dn, analysis.response
    reach = float(analysis.linear(analysis.saturation_dn - analysis.black.level_dn)) / full_scale
    signal = np.geomspace(1e-3 * reach, reach, 100)
    extra = ROUNDING_DN2
    if analysis.protocol == "weighted":
        extra += max(analysis.row.variance, 0.0)
    noise = np.sqrt(analysis.variance_at(full_scale * response.respond(signal)) + extra)
    return Curve(signal, full_scale * signal * response.slope(signal) / noise)
