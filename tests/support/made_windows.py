"""Windows and a board's answer made by hand, for tests of captures."""

from dataclasses import replace

from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.recording.writer import RecordingWriter
from tests.support.served import SHAPE, expected_codes, make_map

BLACK_DN, FULL_SCALE_DN = 20, 220

BOARD = HelloAnswer(
    boot_id=1, max_payload=1024, height=SHAPE[0], width=SHAPE[1], slots=16, bits=8,
    black_level_dn=BLACK_DN, full_scale_dn=FULL_SCALE_DN, level_set=(0, 1, 2, 4, 8),
    max_in_flight=8, held_windows=8, max_object=10**6,
    features=Feature.EMULATOR | Feature.CALIBRATION, slot_rate_hz=240.0,
    name="b", firmware="f", serial="s",
)  # fmt: skip
"""An emulated board that takes dark and flat captures by itself."""


def make_window(number, ratio_map, bits=8, **changes):
    """A window of `BOARD` with codes that tell windows, maps and places apart."""
    made = Window(
        number=number,
        ratio_map=ratio_map,
        plan=ReadPlan.of(ratio_map),
        codes=expected_codes(ratio_map, number, bits),
        black_level_dn=float(BLACK_DN),
        full_scale_dn=float(FULL_SCALE_DN),
        bits=bits,
        time_s=number / 15,
    )
    return replace(made, **changes)


def write_recording(path, count=3):
    """A finished recording of `BOARD`, of `count` windows and a note; return the windows."""
    windows = [make_window(number, make_map()) for number in range(count)]
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add_note("made by hand")
        for each in windows:
            writer.add(each)
    return windows
