"""What axe-core finds of barriers, in every view, both themes and both sizes."""

import pytest

from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState, fit_state
from focalloop.host.live.recording_desk import RecordingDesk
from focalloop.host.live.state import Phase
from focalloop.host.recording.store import RecordingStore
from tests.support import ROOT
from tests.support.fake_session import (
    FOLLOWING,
    FakeCalibrator,
    FakeRadio,
    FakeSession,
    make_picture,
)
from tests.support.made_calibration import make_calibration
from tests.support.made_windows import write_recording
from tests.support.preview_page import go, served_page

AXE = ROOT / "node_modules/axe-core/axe.min.js"
SIZES = ((1440, 900), (390, 844))
VIEWS = ("live", "map", "calibrate", "recordings", "boards")

pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci")


CALIBRATIONS = {
    "dark": CalibrationState(
        CalibrationPhase.DONE, can_apply=True, fit=fit_state(make_calibration(), 14)
    ),
    "light": CalibrationState(
        CalibrationPhase.HALTED,
        error="The disk is full.",
        steps=FakeCalibrator().planned.steps,
        step=2,
    ),
}


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_there_is_no_serious_barrier(open_page, theme, tmp_path):
    session = FakeSession()
    session.put(make_picture(1, session.ratio_map))
    session.adaptive, session.radio = FOLLOWING, FakeRadio()
    session.calibrator.now = CALIBRATIONS[theme]
    store = RecordingStore(tmp_path, quota_bytes=10**9)
    session.recordings = RecordingDesk(store, lambda text, level: None)
    write_recording(store.new(), 3)
    with served_page(session) as url:
        page = open_page(url)
        page.emulate_media(color_scheme=theme)
        page.evaluate(AXE.read_text())
        found = []
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for view in VIEWS:
                go(page, view)
                found += barriers(page, f"{view}, {width}")
        session.phase = Phase.LOST
        go(page, "live")
        page.wait_for_selector(".phase.lost")
        found += barriers(page, "a lost board")
        assert not found, "\n".join(found)


def barriers(page, place):
    """What is serious on the page as it is now."""
    violations = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{place}: {each['id']}: {[node['html'] for node in each['nodes']]}"
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
