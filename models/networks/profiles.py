"""The kinds of networks: settings, in memory and in files, and the networks built from them."""

from __future__ import annotations

from dataclasses import fields

from focalloop.models.errors import TrainError
from focalloop.models.networks.aperture import ApertureNetwork, ApertureSettings
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.networks.paper import PaperNetwork, PaperSettings

NetworkSettings = EdgeSettings | PaperSettings | ApertureSettings
Network = EdgeNetwork | PaperNetwork | ApertureNetwork

PROFILES: dict[str, type[NetworkSettings]] = {
    "edge": EdgeSettings,
    "paper": PaperSettings,
    "aperture": ApertureSettings,
}


MAX_SETTING = 4096
"""Largest number in the settings of a network that a file names."""


def default_settings(profile: str = "edge") -> NetworkSettings:
    """Return the settings of a profile, one of `PROFILES`, at the size that is trained now."""
    return EdgeSettings(coarse=1) if profile == "edge" else PROFILES[profile]()


def build_network(settings: NetworkSettings) -> Network:
    """Build the network that `settings` describe, with random weights."""
    if isinstance(settings, PaperSettings):
        return PaperNetwork(settings)
    if isinstance(settings, ApertureSettings):
        return ApertureNetwork(settings)
    return EdgeNetwork(settings)


def settings_from(values: object) -> NetworkSettings:
    """Rebuild settings from the output of `dataclasses.asdict`, which files hold.

    Raises
    ------
    TrainError
        If this version has no such profile or setting.
    """
    if not isinstance(values, dict):
        raise TrainError(f"{values!r} are not the settings of a network")
    # Files written before there was a second profile do not name one.
    profile = values.get("profile", "edge")
    if not isinstance(profile, str) or profile not in PROFILES:
        raise TrainError(f"there is no network {profile!r}: this version has {', '.join(PROFILES)}")
    try:
        found = PROFILES[profile](**{k: v for k, v in values.items() if k != "profile"})
        for setting in fields(found):
            value = getattr(found, setting.name)
            wrong = type(value) is not type(setting.default)
            # Of parts that older networks lack there may be none.
            if wrong or (type(value) is int and not bool(setting.default) <= value <= MAX_SETTING):
                raise TypeError(f"{setting.name} is {value!r}")
        return found
    except TypeError as error:
        raise TrainError(
            f"the settings of the {profile} network are another version's ({error}): train it anew"
        ) from None


def is_told(settings: NetworkSettings) -> bool:
    """Whether the network is told the noise of the reads."""
    return isinstance(settings, EdgeSettings) and settings.noise


def has_memory(settings: NetworkSettings) -> bool:
    """Whether the network is given the last frame of the window before."""
    return isinstance(settings, EdgeSettings) and settings.memory


def mismatch(theirs: NetworkSettings, ours: NetworkSettings) -> str | None:
    """Say why weights made with the settings `theirs` do not fit a network of `ours`.

    Returns
    -------
    str or None
        The end of a sentence that begins with the name of what has `theirs`, such as "is of the
        edge network, not of the paper network"; None if they fit.
    """
    if theirs == ours:
        return None
    if theirs.profile != ours.profile:
        return f"is of the {theirs.profile} network, not of the {ours.profile} network"
    if theirs.slots != ours.slots:
        return f"is for windows of {theirs.slots} frames, not of {ours.slots}"
    which = {True: "with", False: "without"}
    if theirs.aperture != ours.aperture:
        return (
            f"is for sensors {which[theirs.aperture]} a coded aperture, "
            f"not {which[ours.aperture]} one"
        )
    if is_told(theirs) != is_told(ours):
        return f"is {which[is_told(theirs)]} the input noise, not {which[is_told(ours)]} it"
    if has_memory(theirs) != has_memory(ours):
        return f"is {which[has_memory(theirs)]} memory, not {which[has_memory(ours)]} it"
    return f"has a network of another size ({theirs}, not {ours})"
