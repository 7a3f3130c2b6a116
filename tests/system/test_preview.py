"""The preview page in a real headless Chromium, over a real `focalloop live`.

``FOCALLOOP_SCREENSHOT=docs/images/preview.png pytest tests/system/test_preview.py`` also writes
the picture of the README.
"""

import os
import re
import shutil

import numpy as np
import pytest
from running import Running, wait_until

from firmware_sim.ratio_map import NAMED_TILES, RatioMap

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 30_000

BROWSERS_OWN_REMARKS = r"status of 4|willReadFrequently"
"""On a refused upload, and on this test's own look at the canvases."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module")
def live():
    with Running("live", "--http-port", "0", "--no-open") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, live):
    """The page, streaming; whatever its console complains of fails the test."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    complaints = []
    page.on("console", lambda line: complaints.append(f"{line.type}: {line.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(live.url)
    page.wait_for_function("() => /\\d/.test(document.getElementById('window-label').textContent)")
    page.complaints = complaints
    yield page
    assert [line for line in complaints if not re.search(BROWSERS_OWN_REMARKS, line)] == []
    page.close()


def canvas(page, name):
    """Brightness of a canvas, (H, W) uint8, as it is on the screen."""
    flat, height, width = page.evaluate(
        """(name) => {
          const canvas = document.getElementById(name);
          const { data, height, width } = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
          return [Array.from(data.filter((_, i) => i % 4 === 0)), height, width];
        }""",
        name,
    )
    return np.array(flat, np.uint8).reshape(height, width)


def drawn_window(page):
    return int(re.sub(r"\D", "", page.inner_text("#window-label")))


def pause(page):
    """Stop at one window, with all its slots and measurements."""
    page.click("#pause")
    page.wait_for_function("() => /held/.test(document.getElementById('window-label').innerText)")


def upload(page, path):
    page.set_input_files("#map-file", path)


def test_pictures_play_side_by_side_with_the_truth(page, live):
    first = drawn_window(page)
    wait_until(lambda: drawn_window(page) > first + 3)
    pause(page)
    truth, initial, final = (canvas(page, name) for name in ("truth", "initial", "final"))
    assert truth.shape == initial.shape == final.shape == (256, 256)
    assert truth.std() > 10  # a clip, not an empty plane
    for picture in (initial, final):
        error = picture.astype(float) - truth
        assert np.sqrt((error**2).mean()) < truth.std()  # the same moment, not another
    assert np.abs(final.astype(float) - truth).mean() < np.abs(initial.astype(float) - truth).mean()
    assert page.inner_text("#badge") == "SIMULATED"
    assert page.inner_text("#saved") == "87.5 %"
    assert page.inner_text("#identity").startswith(live.state()["board"]["name"])


def test_the_figures_are_those_of_the_service(page, live):
    page.wait_for_function("() => /\\d/.test(document.getElementById('psnr-final').textContent)")
    page.wait_for_function("() => /\\d/.test(document.getElementById('latency').textContent)")
    assert float(page.inner_text("#psnr-final")) == pytest.approx(
        live.state()["scores"]["psnr_final_db"], abs=8
    )
    assert live.state()["speed"]["latency_p50_ms"] > 0
    assert float(page.inner_text("#windows")) > 0
    assert "error" in page.inner_text("#link-note") or "lost" in page.inner_text("#link-note")


def test_a_held_window_has_every_slot(page):
    pause(page)
    window = drawn_window(page)
    pictures = []
    for slot in (0, 1, 15):
        page.evaluate(
            """(slot) => {
              const slider = document.getElementById("slot");
              slider.value = String(slot);
              slider.dispatchEvent(new Event("input"));
            }""",
            slot,
        )
        assert page.inner_text("#slot-label") == f"{slot + 1} / 16"
        pictures.append(canvas(page, "truth"))
    assert not np.array_equal(pictures[0], pictures[2])
    assert drawn_window(page) == window
    page.click("#pause")
    wait_until(lambda: drawn_window(page) > window)


def test_slow_motion_draws_every_slot(page):
    page.click("text=1/16")
    page.wait_for_function(
        "() => /every slot/.test(document.getElementById('draws-note').innerText)"
    )
    labels = set()
    wait_until(lambda: labels.add(page.inner_text("#slot-label")) or len(labels) > 8)


def test_measurements_are_shown_and_what_was_not_measured_is_hatched(page):
    pause(page)
    page.wait_for_function("() => /\\d/.test(document.getElementById('reads-note').textContent)")
    assert page.inner_text("#reads-note") == "100.0 % of the pixels"
    page.click("#strip button:nth-child(4)")
    assert page.inner_text("#reads-note") == "25.0 % of the pixels"
    reads = canvas(page, "reads")
    hatch = {20, 46}
    # The tile has level 4 in even rows and columns; all else has no fourth read.
    assert set(np.unique(reads[1::2])) <= hatch
    assert len(np.unique(reads[::2, ::2])) > 20


def test_the_probe_tells_a_pixel_in_dn_and_signal(page):
    pause(page)
    page.wait_for_function("() => /\\d/.test(document.getElementById('reads-note').textContent)")
    box = page.locator("#final").bounding_box()
    at = {"x": box["width"] * 100.5 / 256, "y": box["height"] * 60.5 / 256}
    page.locator("#final").click(position=at)
    values = page.inner_text("#pixel-values")
    x, y = map(int, re.search(r"x (\d+), y (\d+)", values).groups())
    assert abs(x - 100) <= 1  # a pointer is on whole pixels of the screen
    assert abs(y - 60) <= 1
    level = NAMED_TILES["tile-2of16"][y % 4, x % 4]
    codes = re.search(r"Reads, DN\s+([\d ]+)", values).group(1).split()
    signals = re.search(r"Reads, signal\s+([-\d. ]+)", values).group(1).split()
    assert len(codes) == len(signals) == level
    for code, signal in zip(codes, signals, strict=True):
        assert float(signal) == pytest.approx((int(code) - 4096) / 49152, abs=1e-4)
    truth = float(re.search(r"Truth\s+([\d.]+)", values).group(1))
    assert truth == pytest.approx(canvas(page, "truth")[y, x] / 255, abs=1e-3)


def test_a_map_file_goes_onto_the_board_and_the_picture_changes(page, live, tmp_path):
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-1of16"], (256, 256))
    ratio_map.save(tmp_path / "sparse.png")
    upload(page, tmp_path / "sparse.png")
    page.wait_for_selector("#drop.done")
    assert live.state()["map"]["hash"] == ratio_map.hash_hex
    page.wait_for_function("() => document.getElementById('saved').textContent === '93.8 %'")
    page.wait_for_function("() => /trained for another/.test(document.body.innerText)")
    # What is never measured is black, once the windows under way have passed.
    wait_until(lambda: not canvas(page, "initial")[ratio_map.levels == 0].any())
    assert canvas(page, "initial")[ratio_map.levels > 0].any()
    shown = page.evaluate("() => document.getElementById('legend').innerText")
    assert "75.0 %" in shown

    (tmp_path / "back.npz").write_bytes(b"")
    RatioMap.from_tile(NAMED_TILES["tile-2of16"]).save(tmp_path / "back.npz")
    upload(page, tmp_path / "back.npz")
    page.wait_for_function("() => document.getElementById('saved').textContent === '87.5 %'")


def test_a_file_that_is_no_map_is_told_in_a_sentence_and_changes_nothing(page, live, tmp_path):
    before = live.state()["map"]["hash"]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    RatioMap.random((32, 32)).save(tmp_path / "small.npz")
    (tmp_path / "notes.txt").write_text("a map?")
    with (tmp_path / "huge.npz").open("wb") as file:
        file.truncate(1 << 30)
    for name, says in {
        "broken.png": "truncated or damaged",
        "small.npz": "32x32",
        "notes.txt": "is not a ratio map",
        "huge.npz": "at most 4 MiB",
    }.items():
        upload(page, tmp_path / name)
        page.wait_for_function(
            "(says) => document.getElementById('drop-text').textContent.includes(says)", arg=says
        )
        assert "error" in page.get_attribute("#drop", "class")
    assert live.state()["map"]["hash"] == before


def test_a_dropped_file_is_uploaded(page, live):
    ratio_map = RatioMap.uniform(2, (256, 256))
    levels = ratio_map.levels.size
    page.evaluate(
        """async () => {
          const bytes = await (await fetch("api/map.npz")).arrayBuffer();
          const data = new DataTransfer();
          data.items.add(new File([bytes], "again.npz"));
          for (const type of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true }));
          }
        }"""
    )
    page.wait_for_selector("#drop.done")
    assert live.state()["map"]["height"] * live.state()["map"]["width"] == levels


def test_the_network_can_be_left_out(page, live):
    page.wait_for_selector("#bundle option", state="attached")
    options = page.eval_on_selector_all("#bundle option", "all => all.map((o) => o.value)")
    assert "network-free" in options
    page.select_option("#bundle", "network-free")
    wait_until(lambda: live.state()["bundle"] == "network-free")
    page.select_option("#bundle", options[0])
    wait_until(lambda: live.state()["bundle"] == options[0])


@pytest.mark.parametrize("width", [1280, 1440, 1600, 800])
def test_the_page_fits_its_window(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_everything_that_can_be_operated_has_a_name(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas")].filter((e) =>
          !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()
            || e.closest("[aria-label]"))).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_the_picture_of_the_readme(page, live):
    wait_until(lambda: live.state()["scores"] is not None)
    wait_until(lambda: live.state()["speed"]["latency_p95_ms"] is not None)
    path = os.environ.get("FOCALLOOP_SCREENSHOT")
    page.set_viewport_size({"width": 1440, "height": 1084})
    page.wait_for_timeout(15_000 if path else 500)  # rates and quantiles settle
    pixels = page.screenshot(path=path)
    assert pixels.startswith(b"\x89PNG")


def test_a_lost_service_is_said_and_found_again(browser, tmp_path):
    words = ("live", "--bundle", "network-free", "--scene", "synthetic", "--no-open")
    running = Running(*words, "--http-port", "0")
    page = browser.new_page()
    page.goto(running.url)
    page.wait_for_selector(".phase.streaming")
    running.stop()
    page.wait_for_selector(".phase.offline")
    port = running.url.rpartition(":")[2].strip("/")
    with Running(*words, "--http-port", port):
        page.wait_for_selector(".phase.streaming")
    page.close()
