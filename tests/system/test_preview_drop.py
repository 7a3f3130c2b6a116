"""Files dragged onto the page: the hint ends with the drag, the outcome some time later."""

import pytest

from focalloop.firmware_sim.maps import map_files
from tests.support.fake_session import make_picture
from tests.support.preview_page import go

INVITATION = "Drop a map here (.npz or .png), or choose a file"

EVENTS = """([types, name, bytes]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
  for (const type of types) {
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true }));
  }
}"""


@pytest.fixture
def page(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.clock.install()
    page.reload()
    go(page, "map")
    page.wait_for_selector(".phase.streaming")
    return page


def send(page, *types, name="map.npz", body=b""):
    page.evaluate(EVENTS, [list(types), name, list(body)])


def hinted(page):
    return page.evaluate("() => document.body.classList.contains('dragging')")


def test_the_hint_ends_with_the_drag(page):
    endings = {
        "it leaves the page": lambda: send(page, "dragleave"),
        "it is dropped": lambda: send(page, "drop"),
        "it is cancelled": lambda: page.keyboard.press("Escape"),
        "no event tells": lambda: page.clock.run_for(1100),
    }
    for name, end in endings.items():
        send(page, "dragenter", "dragover")
        assert hinted(page)
        end()
        assert not hinted(page), name
    for _ in range(6):
        send(page, "dragover")
        page.clock.run_for(500)  # browsers repeat the event at least this often
    assert hinted(page)


def test_a_drag_of_text_is_no_map(page):
    page.evaluate(
        """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.setData("text/plain", "words");
          document.body.dispatchEvent(new DragEvent("dragover", { dataTransfer, bubbles: true }));
        }"""
    )
    assert not hinted(page)


@pytest.mark.parametrize(
    ("name", "mood", "says"),
    [("map.npz", "done", "The board runs map.npz"), ("notes.txt", "error", "is not a ratio map")],
)
def test_an_outcome_stays_for_a_while_or_until_the_next_drag(page, session, name, mood, says):
    body = map_files.encode(session.ratio_map, ".npz")
    for ends in (lambda: page.clock.run_for(12_100), lambda: send(page, "dragover")):
        send(page, "dragover", "drop", name=name, body=body)
        page.wait_for_selector(f"#drop.{mood}:has-text('{says}')")
        page.clock.run_for(3000)
        assert says in page.inner_text("#drop-text")
        ends()
        page.wait_for_function(
            "(text) => document.getElementById('drop-text').textContent === text", arg=INVITATION
        )
        assert page.get_attribute("#drop", "class").split() == ["drop"]
