"""What to write instead of the statements of the SCAMP-5 kit that are not simulated."""

from __future__ import annotations

from fnmatch import fnmatchcase

_SCANNED = "write scan(a, k) and pass what Machine.run returns to "
_LOADED = "set the register with Machine.load before the program"
_REFUSED = {
    "sq": "the kit does not say what the squarer computes; use abs, or square after the scan",
    "icw": "it is a raw instruction word; write the statement that it stands for",
    "scamp5_launch_kernel": "write the statements of the kernel here",
    "scamp5_kernel_printable": "write the statements of the kernel here",
    "scamp5_get_image": "its gain is not published; use get_image(y) or get_image(y, h)",
    "scamp5_load_dac": "the levels of the DAC are not published; use scamp5_in(y, value)",
    "scamp5_flood": "use MOV(R12, target); MOV(R0, mask); SET(R1, R2, R3, R4); PROP0();",
    "scamp5_load_rect": _LOADED,
    "scamp5_draw_*": _LOADED,
    "scamp5_select_*": "use scamp5_select_pattern(r, c, rx, cx)",
    "scamp5_scan_areg": f"{_SCANNED}readout.scan_analog",
    "scamp5_scan_areg_mean_8x8": f"{_SCANNED}readout.block_means",
    "scamp5_scan_dreg": "pass Machine.digital to readout.scan_digital",
    "scamp5_scan_events": "pass Machine.digital to readout.scan_events",
    "scamp5_scan_*": "read the register with Machine.analog or Machine.digital",
    "scamp5_global_sum_16": f"{_SCANNED}readout.global_sum",
    "scamp5_global_sum_64": f"{_SCANNED}readout.global_sum",
    "scamp5_global_*": "read the register with Machine.analog or Machine.digital and reduce it",
    "scamp5_read_areg": f"{_SCANNED}readout.scan_analog",
    "scamp5_output_*": "read the register with Machine.analog or Machine.digital",
    "scamp5_display_*": "read the register with Machine.analog or Machine.digital",
    "vs_*": "it runs on the controller's processor, not on the array; leave it out",
}
"""By name; ``*`` is any ending, and the first that fits counts."""


def what_instead(name: str) -> str | None:
    """Return why the simulator does not have a statement and what to write; None if unknown."""
    found = (reason for known, reason in _REFUSED.items() if fnmatchcase(name, known))
    return next(found, None)
