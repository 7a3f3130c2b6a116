"""What axe-core finds of barriers, in every view, both themes and both sizes."""

import pytest

from tests.support import ROOT
from tests.support.fake_session import FakeSession, make_picture
from tests.support.preview_page import go, served_page

AXE = ROOT / "node_modules/axe-core/axe.min.js"
SIZES = ((1440, 900), (390, 844))
VIEWS = ("live", "map", "calibrate", "recordings", "boards")

pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_there_is_no_serious_barrier(open_page, theme):
    session = FakeSession()
    session.put(make_picture(1, session.ratio_map))
    with served_page(session) as url:
        page = open_page(url)
        page.emulate_media(color_scheme=theme)
        page.evaluate(AXE.read_text())
        found = []
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for view in VIEWS:
                go(page, view)
                violations = page.evaluate("async () => (await axe.run()).violations")
                found += [
                    f"{view}, {width}: {each['id']}: {[node['html'] for node in each['nodes']]}"
                    for each in violations
                    if each["impact"] in ("serious", "critical")
                ]
        assert not found, "\n".join(found)
