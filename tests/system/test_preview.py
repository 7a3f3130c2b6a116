"""The preview page in a real headless Chromium, over a real `focalloop live`.

``FOCALLOOP_SCREENSHOT=docs/images/preview.png pytest tests/system/test_preview.py`` also writes
the picture of the README.
"""

import os
import re

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models.zoo import DEFAULT_BUNDLE, UNIVERSAL_BUNDLE
from tests.support.preview_page import (
    DEFAULT_MAP,
    await_map,
    canvas,
    choose,
    drawn_window,
    go,
    pause,
    saved_by,
    upload,
)
from tests.support.running import Running
from tests.support.waiting import wait_until

VIEWS = ("live", "map", "calibrate", "recordings", "boards")


@pytest.fixture(scope="module")
def live():
    with Running("live", "--http-port", "0", "--no-open", "--slot-rate", "80") as running:
        yield running


def test_pictures_play_side_by_side_with_the_truth(page, live):
    first = drawn_window(page)
    wait_until(lambda: drawn_window(page) > first + 3)
    pause(page)
    truth, initial, final = (canvas(page, name) for name in ("truth", "initial", "final"))
    assert truth.shape == initial.shape == final.shape == (256, 256)
    assert truth.std() > 10  # a clip, not an empty plane
    error = final.astype(float) - truth
    assert np.sqrt((error**2).mean()) < truth.std()  # of the same moment
    assert np.abs(final.astype(float) - truth).mean() < np.abs(initial.astype(float) - truth).mean()
    assert page.inner_text("#badge") == "SIMULATED"
    assert page.get_attribute("#scene-note", "title").startswith(
        "box.mp4: 256 × 256, filmed at 30 "
    )
    assert page.inner_text(".of-final .scale").split() == ["0", "1"]
    assert page.inner_text(".of-error .scale").split() == ["0", "⅛"]
    assert page.inner_text("#saved") == saved_by(DEFAULT_MAP)
    assert page.inner_text("#identity").startswith(live.state()["board"]["name"])


def test_the_figures_are_those_of_the_service(page, live):
    page.wait_for_function("() => /\\d/.test(document.getElementById('psnr-final').textContent)")
    page.wait_for_function("() => /\\d/.test(document.getElementById('latency').textContent)")
    wait_until(lambda: live.state()["scores"])
    assert float(page.inner_text("#psnr-final")) == pytest.approx(
        live.state()["scores"]["psnr_final_db"], abs=8
    )
    assert live.state()["speed"]["latency_p50_ms"] > 0
    page.wait_for_function("() => parseFloat(document.getElementById('windows').textContent) > 0")
    assert page.inner_text("#link-note").startswith("nothing lost")


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
    wait_until(lambda: labels.add(page.inner_text("#slot-label")) or len(labels) > 8, 90)


def test_measurements_are_shown_and_unmeasured_pixels_are_hatched(page):
    pause(page)
    page.wait_for_function("() => /\\d/.test(document.getElementById('reads-note').textContent)")
    levels = DEFAULT_MAP.levels
    highest = int(levels.max())
    for read in (1, highest):
        page.click(f"#strip button:nth-child({read})")
        measured = 100 * (levels >= read).mean()
        assert page.inner_text("#reads-note") == f"{measured:.1f} % of the pixels"
    reads = canvas(page, "reads")
    hatch = {20, 46}
    assert set(np.unique(reads[levels < highest])) <= hatch
    assert len(np.unique(reads[levels == highest])) > 20


def test_the_probe_shows_a_pixel_in_dn_and_signal(page):
    pause(page)
    page.wait_for_function("() => /\\d/.test(document.getElementById('reads-note').textContent)")
    box = page.locator("#final").bounding_box()
    at = {"x": box["width"] * 100.5 / 256, "y": box["height"] * 60.5 / 256}
    page.locator("#final").click(position=at)
    values = page.inner_text("#pixel-values")
    x, y = map(int, re.search(r"x (\d+), y (\d+)", values).groups())
    assert abs(x - 100) <= 1  # a pointer is on whole pixels of the screen
    assert abs(y - 60) <= 1
    level = DEFAULT_MAP.levels[y, x]
    codes = re.search(r"Reads, DN\s+([\d –]+)", values).group(1).replace("–", "").split()
    signals = re.search(r"Reads, signal\s+([-\d. –]+)", values).group(1).replace("–", "").split()
    assert len(codes) == len(signals) == level
    for code, signal in zip(codes, signals, strict=True):
        assert float(signal) == pytest.approx((int(code) - 4096) / 49152, abs=1e-4)
    truth = float(re.search(r"Truth\s+([\d.]+)", values).group(1))
    assert truth == pytest.approx(canvas(page, "truth")[y, x] / 255, abs=1e-3)


def test_a_map_file_is_uploaded_and_the_picture_changes(page, live, tmp_path):
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-1of16"], (256, 256))
    ratio_map.save(tmp_path / "sparse.png")
    upload(page, tmp_path / "sparse.png")
    page.wait_for_selector("#drop.done")
    assert live.state()["map"]["hash"] == ratio_map.hash_hex
    await_map(page, ratio_map)
    page.wait_for_function(
        "(name) => document.body.innerText.includes(`map: windows are reconstructed by ${name}`)",
        arg=Bundle.load(UNIVERSAL_BUNDLE).told_instead(preset("paper")) or UNIVERSAL_BUNDLE,
    )
    # Pixels that are not measured are filled in from their neighbours.
    wait_until(lambda: canvas(page, "initial")[ratio_map.levels == 0].any())
    shown = page.evaluate("() => document.getElementById('small-map-legend').innerText")
    assert "75.0 %" in shown

    small = RatioMap.from_tile([[8, 4], [4, 8]], (4, 4))
    small.save(tmp_path / "small.npz")
    upload(page, tmp_path / "small.npz")
    await_map(page, small)

    page.click("#notice-action")  # that of the selected bundle
    await_map(page, DEFAULT_MAP)
    page.wait_for_selector("#notice", state="hidden")
    assert live.state()["map"]["hash"] == DEFAULT_MAP.hash_hex


def test_a_file_that_is_not_a_map_is_refused_and_changes_nothing(page, live, tmp_path):
    before = live.state()["map"]["hash"]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    RatioMap.random((32, 32)).save(tmp_path / "small.npz")
    RatioMap.uniform(0, (256, 256)).save(tmp_path / "dark.png")
    (tmp_path / "notes.txt").write_text("a map?")
    with (tmp_path / "huge.npz").open("wb") as file:
        file.truncate(1 << 30)
    for name, says in {
        "broken.png": "truncated or damaged",
        "small.npz": "32x32",
        "dark.png": "measures nothing",
        "notes.txt": "is not a ratio map",
        "huge.npz": "at most 4 MiB",
    }.items():
        upload(page, tmp_path / name)
        page.wait_for_function(
            "(says) => document.getElementById('drop-text').textContent.includes(says)", arg=says
        )
        assert "error" in page.get_attribute("#drop", "class")
    assert live.state()["map"]["hash"] == before


def test_a_file_dropped_in_any_view_is_uploaded(page, live):
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
    page.wait_for_selector(".view.map #drop.done")
    assert live.state()["map"]["height"] * live.state()["map"]["width"] == levels


def test_no_network_can_be_selected(page, live):
    choose(page, "network-free")
    wait_until(lambda: live.state()["bundle"] == "network-free")
    assert live.state()["map"]["hash"] == DEFAULT_MAP.hash_hex
    choose(page, DEFAULT_BUNDLE)
    wait_until(lambda: live.state()["bundle"] == DEFAULT_BUNDLE)


def test_every_view_fits_its_window(page):
    for view in VIEWS:
        go(page, view)
        for width in (1600, 1440, 1280, 800, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, view


def test_a_view_has_an_address_and_survives_a_reload(page):
    go(page, "boards")
    assert page.url.endswith("#/boards")
    page.reload()
    page.wait_for_selector(".view.boards #board-values:has-text('256 × 256')")
    assert page.title().startswith("Boards")
    page.go_back()
    page.wait_for_selector(".view.live")
    drawn = drawn_window(page)
    wait_until(lambda: drawn_window(page) > drawn)


def test_a_view_that_is_not_shown_does_nothing(page):
    go(page, "boards")
    page.evaluate(
        """() => {
          window.changes = 0;
          const look = (changes) => { window.changes += changes.length; };
          new MutationObserver(look).observe(document.querySelector(".view.live"), {
            childList: true, characterData: true, attributes: true, subtree: true,
          });
          const draw = CanvasRenderingContext2D.prototype.putImageData;
          CanvasRenderingContext2D.prototype.putImageData = function put(...given) {
            window.changes += 1;
            draw.apply(this, given);
          };
        }"""
    )
    received = page.inner_text("#link-values")
    wait_until(lambda: page.inner_text("#link-values") != received)  # a second or more later
    assert page.evaluate("() => window.changes") == 0
    go(page, "live")
    wait_until(lambda: page.evaluate("() => window.changes") > 0)


def test_the_theme_is_that_of_the_system_until_one_is_chosen(page):
    theme = "() => document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.emulate_media(color_scheme="light")
    wait_until(lambda: page.evaluate(theme) == "light")
    page.click("#theme")
    assert page.evaluate(theme) == "dark"
    page.reload()
    page.wait_for_selector(".view.live")
    assert page.evaluate(theme) == "dark"


def test_every_control_has_a_name(page):
    for view in VIEWS:
        go(page, view)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas")].filter((e) =>
          !(e.hidden || e.ariaHidden === "true" || e.labels?.length
            || e.getAttribute("aria-label") || e.textContent.trim()
            || e.closest("[aria-label]"))).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_the_picture_of_the_readme(page, live):
    wait_until(lambda: live.state()["scores"] is not None)
    wait_until(lambda: live.state()["speed"]["latency_p95_ms"] is not None)
    path = os.environ.get("FOCALLOOP_SCREENSHOT")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.wait_for_timeout(15_000 if path else 500)  # rates and quantiles settle
    pixels = page.screenshot(path=path)
    assert pixels.startswith(b"\x89PNG")
