"""``focalloop bundles``: the bundles that come with focalloop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from focalloop.host.cli.output import print_json, print_notice, print_warning, stdout
from focalloop.host.cli.shared_options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from focalloop.host.reconstruction.bundle import Bundle


def bundles(json: JsonOption = False) -> None:
    """List the bundles that come with focalloop, and what each is for.

    A bundle is a ratio map and the network that reconstructs under it. Each name is what --bundle
    takes, and --map for the map alone.

    Example: focalloop bundles
    """
    from focalloop.host.reconstruction.bundle import Bundle, BundleError
    from focalloop.models import zoo

    listed = []
    for name, purpose in zoo.BUNDLES.items():
        try:
            listed.append(_facts(name, purpose, Bundle.load(name)))
        except BundleError as error:
            print_warning(str(error))
    if json:
        print_json({"bundles": listed, "default": zoo.DEFAULT_BUNDLE})
    else:
        stdout.print(_table(listed))
        print_notice(f"used where none is named: {zoo.DEFAULT_BUNDLE}")


def _facts(name: str, purpose: str, bundle: Bundle) -> dict[str, Any]:
    return {
        "name": name,
        "purpose": purpose,
        "mean_level": bundle.ratio_map.mean_level,
        "r_avg": bundle.ratio_map.ratio,
        "slots": bundle.ratio_map.slots,
        "aperture": bundle.ratio_map.aperture is not None,
        "any_map": bundle.reach is not None,
        "noise": _noise(bundle),
        "psnr_db": bundle.psnr_db,
        "network_bytes": len(bundle.network),
    }


def _noise(bundle: Bundle) -> dict[str, Any]:
    """Return s_ss and s_r of the training: numbers, or ranges for a network that is told them."""
    if bundle.noise_range is not None:
        return bundle.noise_range
    return dict(zip(("s_ss", "s_r"), bundle.noise_profile.shot_and_read(), strict=True))


def _table(listed: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(caption="r_avg: share of a full readout; PSNR: mean on the open test set")
    table.add_column("bundle", no_wrap=True)
    table.add_column("r_avg", justify="right")
    table.add_column("PSNR, dB", justify="right")
    table.add_column("what it is for")
    for facts in listed:
        psnr_db = facts["psnr_db"]
        quality = "" if psnr_db is None else f"{psnr_db:.2f}"
        told = ", told the noise" if isinstance(facts["noise"]["s_ss"], tuple) else ""
        row = (facts["name"], f"{facts['r_avg']:.4f}", quality, facts["purpose"] + told)
        table.add_row(*row)
    return table
