"""The Recordings view in a real headless Chromium: record, look at, rebuild, export, delete."""

from __future__ import annotations

import os

import numpy as np
import pytest

from focalloop.firmware_sim.files import WriteError
from focalloop.host.live.recording_desk import RecordingDesk
from focalloop.host.reconstruction.reconstruct import NetworkFree
from focalloop.host.recording.mcap_file import UNFINISHED
from focalloop.host.recording.recorder import RecorderState
from focalloop.host.recording.store import RecordingStore
from tests.support.fake_session import make_picture
from tests.support.made_windows import make_window, write_recording
from tests.support.preview_page import canvas, go
from tests.support.running import Running
from tests.support.served import make_map
from tests.support.waiting import wait_until

NOTE = "lens 2 <b>not bold</b>"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    with Running(
        "live", "--http-port", "0", "--no-open", "--size", "64x64", "--recordings", str(folder)
    ) as running:
        yield running


@pytest.fixture
def kept(session, tmp_path):
    """Ids of two finished recordings of a fake session, the newest first."""
    store = RecordingStore(tmp_path / "recordings")
    session.recordings = RecordingDesk(store, lambda text, level: None)
    session.put(make_picture(1, session.ratio_map))
    paths = [store.new(), store.new()]
    for path, count in zip(paths, (3, 40), strict=True):
        write_recording(path, count)
    yield sorted((path.stem for path in paths), reverse=True)
    session.recordings.close()


def records(open_page, url):
    page = open_page(url)
    go(page, "recordings")
    return page


def shown(page):
    """Place of the window on the screen."""
    return int(page.get_attribute("#rec-track", "aria-valuenow"))


def test_a_board_is_recorded_looked_at_and_exported(open_page, live):
    page = records(open_page, live.url)
    page.wait_for_selector("#rec-empty:has-text('Nothing is recorded yet')")
    page.fill("#rec-note", NOTE)
    page.click("#rec-go")
    page.wait_for_selector("#rec-progress:has-text('windows')")
    go(page, "boards")
    page.click("#recording")  # on every view, and leads back
    page.fill("#rec-note", "darker")
    page.click("#rec-go:has-text('Add note')")
    wait_until(lambda: live.state()["recording"]["windows"] > 5)
    page.click("#rec-stop")
    page.wait_for_selector("#rec-list li")
    assert live.state()["recording"]["recording"] is False
    assert page.input_value("#rec-about") == NOTE
    assert NOTE in page.inner_text("#rec-list")  # text, never markup
    assert "simulated" in page.inner_text("#rec-facts")
    page.wait_for_selector("#rec-marks .note:has-text('darker')")

    wait_until(lambda: canvas(page, "rec-final").std() > 10)
    assert canvas(page, "rec-final").shape == (64, 64)
    page.wait_for_function("() => document.getElementById('rec-bundle').options.length > 2")
    page.select_option("#rec-beside", "network-free")
    wait_until(lambda: canvas(page, "rec-other").std() > 10)
    np.testing.assert_array_equal(canvas(page, "rec-other"), canvas(page, "rec-initial"))
    assert not np.array_equal(canvas(page, "rec-final"), canvas(page, "rec-initial"))

    page.focus("#rec-track")
    page.keyboard.press("End")
    last = shown(page)
    assert last == live.state()["recording"]["windows"] - 1
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    wait_until(lambda: shown(page) > 2)  # it plays
    page.keyboard.press("Space")

    page.click("#rec-export summary")
    with page.expect_download() as download:
        page.click("#rec-export button[data-kind=mcap]")
    assert download.value.path().read_bytes().startswith(b"\x89MCAP")


def test_the_newest_is_shown_and_an_address_names_another(open_page, session_url, kept):
    page = records(open_page, session_url)
    page.wait_for_selector("#rec-window:has-text('window 1 of')")
    assert page.locator("#rec-list a[aria-current]").get_attribute("href").endswith(kept[0])
    page.click(f"#rec-list a[href$='{kept[1]}']")
    page.wait_for_selector(f"#rec-list a[aria-current][href$='{kept[1]}']")
    page.reload()
    page.wait_for_selector(f"#rec-list a[aria-current][href$='{kept[1]}']")
    page.wait_for_selector("#rec-bundle option", state="attached")
    for width in (1180, 1000, 800):  # between a phone and a desk
        page.set_viewport_size({"width": width, "height": 760})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_window_is_found_by_pointer_and_keys(open_page, session_url, session, kept):
    longest = max(kept, key=lambda id_: len(session.recordings.store.open(id_)))
    page = records(open_page, session_url)
    page.click(f"#rec-list a[href$='{longest}']")
    page.wait_for_selector("#rec-window:has-text('window 1 of 40')")
    page.focus("#rec-track")
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#rec-window:has-text('window 15 of 40')")
    window = make_window(14, make_map())
    expected = np.rint(np.clip(NetworkFree()(window.reads, make_map())[5], 0, 1) * 255)
    page.evaluate(
        """() => {
          const slider = document.getElementById("rec-slot");
          slider.value = "5";
          slider.dispatchEvent(new Event("input"));
        }"""
    )
    wait_until(lambda: np.array_equal(canvas(page, "rec-initial"), expected))
    assert page.inner_text("#rec-slot-label") == "6 / 16"
    box = page.locator("#rec-track").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 30)
    page.mouse.up()
    page.wait_for_selector("#rec-window:has-text('window 40 of 40')")


def test_a_note_is_changed_and_kept(open_page, session_url, session, kept):
    page = records(open_page, session_url)
    page.wait_for_selector("#rec-window:has-text('window 1 of')")
    assert page.input_value("#rec-about") == "made by hand"
    page.fill("#rec-about", NOTE)
    page.keyboard.press("Enter")
    page.wait_for_selector("#rec-list a[aria-current] b:has-text('not bold')")
    assert NOTE in page.inner_text("#rec-list")
    (newest, _) = session.recordings.store.recordings()
    assert newest.note == NOTE
    assert newest.summary.notes == ("made by hand",)  # the file is as it was
    page.fill("#rec-about", "a slip")
    page.keyboard.press("Escape")
    assert page.input_value("#rec-about") == NOTE
    page.reload()
    page.wait_for_selector("#rec-list a[aria-current] b:has-text('not bold')")


def test_a_deletion_is_undone_at_once_or_later(open_page, session_url, session, kept):
    store = session.recordings.store
    page = records(open_page, session_url)
    page.wait_for_selector(f"#rec-list a[aria-current][href$='{kept[0]}']")
    page.click("#rec-delete")
    page.wait_for_selector("#rec-undo:has-text('is deleted. (')")
    page.wait_for_selector(f"#rec-list a[aria-current][href$='{kept[1]}']")
    page.keyboard.press("Enter")  # the focus is on Undo
    page.wait_for_selector("#rec-undo", state="hidden")
    wait_until(lambda: store.path(kept[0]).exists())

    page.wait_for_selector(f"#rec-list a[aria-current][href$='{kept[0]}']")
    page.click("#rec-delete")
    page.wait_for_selector("#rec-deleted-title:has-text('1 deleted')")
    page.click("#rec-deleted-title")
    page.click("#rec-deleted-list button:has-text('Restore')")
    page.wait_for_selector(f"#rec-list a[href$='{kept[0]}']")
    assert store.path(kept[0]).exists()


def test_a_recording_is_pinned_where_there_is_a_quota(open_page, session_url, session, kept):
    store = session.recordings.store
    page = records(open_page, session_url)
    page.wait_for_selector(f"#rec-list a[href$='{kept[0]}']")
    assert page.is_hidden("#rec-pin")
    store.quota_bytes = 2_000_000_000
    page.click(f"#rec-list a[href$='{kept[1]}']")
    go(page, "live")
    go(page, "recordings")
    page.click(f"#rec-list a[href$='{kept[1]}']")
    page.click("#rec-pin:text('Pin')")
    page.wait_for_selector(f"#rec-list a[href$='{kept[1]}'] .facts:has-text('pinned')")
    assert [each.pinned for each in store.recordings()] == [False, True]
    assert page.inner_text("#rec-total").endswith("of 2.0 GB")
    page.click("#rec-pin:text('Unpin')")
    page.wait_for_selector("#rec-pin[aria-pressed=false]:text('Pin')")
    assert not any(each.pinned for each in store.recordings())


def test_what_is_wrong_with_a_recording_is_said(open_page, session_url, session, kept):
    store = session.recordings.store
    cut = store.path(kept[1])
    os.truncate(cut, cut.stat().st_size - 10)
    cut.rename(cut.with_name(cut.name + UNFINISHED))
    assert [name for name, _ in store.recover()] == [cut.name]
    store.path(kept[0]).write_bytes(b"nothing of it is left")
    page = records(open_page, session_url)
    page.wait_for_selector("#rec-list li:nth-child(1) .warn:has-text('cannot be read')")
    page.wait_for_selector("#rec-list li:nth-child(2) .warn:has-text('recovered')")
    page.wait_for_selector("#rec-say:has-text('is no recording')")
    assert page.is_hidden("#rec-body")
    page.click(f"#rec-list a[href$='{kept[1]}']")
    page.wait_for_selector("#rec-facts:has-text('recovered')")
    page.wait_for_selector("#rec-marks .note:has-text('Recovered')")


def test_a_service_without_a_folder_and_a_full_disk_say_what_to_do(
    open_page, session_url, session, kept, monkeypatch
):
    monkeypatch.setattr(RecordingStore, "free_bytes", 600 << 20)
    page = open_page(session_url)
    page.wait_for_selector("#disk-scarce:has-text('The disk is nearly full')")
    assert page.is_hidden("#notice")  # as nothing is recorded yet
    go(page, "recordings")
    page.wait_for_selector("#rec-disk.error:has-text('nearly full')")

    session.recording = RecorderState("now", True, 60, 0, 16_000_000, 4.0, 0, "")
    page.wait_for_selector("#recording:has-text('0:04 · 16.0 MB')")
    go(page, "boards")
    page.wait_for_selector("#notice.error:has-text('room for 92.3 MB, 23 seconds at the rate')")
    session.recording = None

    desk, session.recordings = session.recordings, None
    page.wait_for_selector("#notice", state="hidden")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    go(page, "recordings")
    page.wait_for_selector("#rec-unable:has-text('--recordings FOLDER')")
    assert not [url for url in asked if "api/recordings" in url]
    go(page, "live")
    page.wait_for_selector("#record:disabled[title*='--recordings FOLDER']")
    session.recordings = desk


def test_a_recording_that_is_gone_is_said_and_costs_no_note(
    open_page, session_url, session, kept, monkeypatch
):
    store = session.recordings.store
    page = records(open_page, session_url)
    page.wait_for_selector("#rec-window:has-text('window 1 of')")
    away = store.path(kept[0]).rename(store.folder / "elsewhere")
    for kind in ("mcap", "npz", "mp4"):
        page.evaluate("() => { document.getElementById('rec-say').textContent = ''; }")
        page.click("#rec-export summary")
        page.click(f"#rec-export button[data-kind={kind}]")
        page.wait_for_selector("#rec-say:has-text('There is no such recording')")
    away.rename(store.folder / f"{kept[0]}.mcap")

    def refuse(id_, text):
        raise WriteError("the disk is full")

    monkeypatch.setattr(store, "note", refuse)
    page.fill("#rec-about", NOTE)
    page.keyboard.press("Enter")
    page.wait_for_selector("#notice:has-text('The disk is full')")
    with page.expect_response("**/api/recordings"):
        go(page, "live")
        go(page, "recordings")
    page.wait_for_selector("#notice", state="hidden")
    assert page.input_value("#rec-about") == NOTE

    page.evaluate("() => { location.hash = '#/recordings/20200101T000000Z-000000'; }")
    page.wait_for_selector("#notice.error:has-text('There is no recording of this address')")
    assert page.evaluate("location.hash") == "#/recordings"


def test_a_recording_of_days_has_a_timeline(open_page, session_url, kept):
    page = open_page(session_url)
    counts = [15] * 300_000
    document = {"start_unix_s": 0, "seconds": 3e5, "windows": counts, "events": [], "marks": []}
    page.route("**/timeline", lambda route: route.fulfill(json=document))
    go(page, "recordings")
    page.wait_for_selector("#rec-track[aria-valuetext*='of 4500000']")
    assert canvas(page, "rec-timeline").std() > 0


def test_the_view_fits_a_phone(open_page, session_url, kept):
    page = open_page(session_url)
    page.set_viewport_size({"width": 390, "height": 844})
    go(page, "recordings")
    page.wait_for_selector("#rec-list li")
    assert page.is_hidden("#rec-detail")
    page.click("#rec-list li:first-child a")
    page.wait_for_selector("#rec-window:has-text('window 1 of')")
    assert page.is_hidden("#rec-list")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.click("text=All recordings")
    page.wait_for_selector("#rec-list li")
