"""The preview page in a real headless Chromium, over a real `focalloop live`.

``FOCALLOOP_SCREENSHOT=docs/images/preview.png pytest tests/system/test_preview.py`` also writes
the picture of the README.
"""

import os
import re

import numpy as np
import pytest
from running import Running, wait_until
from tiny_bundle import tiny_network, write_tiny_bundle

from firmware_sim.ratio_map import NAMED_TILES, RatioMap
from firmware_sim.tiles import APERTURE_TILE
from host.bundle import DEFAULT_BUNDLE, Bundle

DEFAULT_MAP = Bundle.load(DEFAULT_BUNDLE).ratio_map.tiled_to(256, 256)


@pytest.fixture(scope="module")
def live():
    with Running("live", "--http-port", "0", "--no-open") as running:
        yield running


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


def choose(page, bundle):
    page.wait_for_selector("#bundle:enabled option", state="attached")
    page.select_option("#bundle", bundle)


def drawn_window(page):
    return int(re.sub(r"\D", "", page.inner_text("#window-label")))


def pause(page):
    """Stop at one window, with all its slots and measurements."""
    page.click("#pause")
    page.wait_for_function("() => /held/.test(document.getElementById('window-label').innerText)")


def saved_by(ratio_map):
    """What the page says that a map saves."""
    return f"{100 * (1 - ratio_map.ratio):.1f} %"


def await_map(page, ratio_map):
    """Wait until the page shows the figures of a map."""
    page.wait_for_function(
        "(saved) => document.getElementById('saved').textContent === saved",
        arg=saved_by(ratio_map),
    )


def upload(page, path):
    page.set_input_files("#map-file", path)


def test_pictures_play_side_by_side_with_the_truth(page, live):
    first = drawn_window(page)
    wait_until(lambda: drawn_window(page) > first + 3)
    pause(page)
    truth, initial, final = (canvas(page, name) for name in ("truth", "initial", "final"))
    assert truth.shape == initial.shape == final.shape == (256, 256)
    assert truth.std() > 10  # a clip, not an empty plane
    error = final.astype(float) - truth
    assert np.sqrt((error**2).mean()) < truth.std()  # the same moment, not another
    assert np.abs(final.astype(float) - truth).mean() < np.abs(initial.astype(float) - truth).mean()
    assert page.inner_text("#badge") == "SIMULATED"
    assert page.inner_text("#saved") == saved_by(DEFAULT_MAP)
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
    level = DEFAULT_MAP.levels[y, x]
    codes = re.search(r"Reads, DN\s+([\d –]+)", values).group(1).replace("–", "").split()
    signals = re.search(r"Reads, signal\s+([-\d. –]+)", values).group(1).replace("–", "").split()
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
    await_map(page, ratio_map)
    page.wait_for_function("() => /trained for another/.test(document.body.innerText)")
    # What is never measured is black, once the windows under way have passed.
    wait_until(lambda: not canvas(page, "initial")[ratio_map.levels == 0].any())
    assert canvas(page, "initial")[ratio_map.levels > 0].any()
    shown = page.evaluate("() => document.getElementById('legend').innerText")
    assert "75.0 %" in shown

    small = RatioMap.from_tile([[8, 4], [4, 8]], (4, 4))
    small.save(tmp_path / "small.npz")
    upload(page, tmp_path / "small.npz")
    await_map(page, small)

    page.click("#own-map")  # of the bundle, in whose stead the others ran
    await_map(page, DEFAULT_MAP)
    page.wait_for_selector("#notice", state="hidden")
    assert live.state()["map"]["hash"] == DEFAULT_MAP.hash_hex


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
    choose(page, "network-free")
    wait_until(lambda: live.state()["bundle"] == "network-free")
    assert live.state()["map"]["hash"] == DEFAULT_MAP.hash_hex
    choose(page, DEFAULT_BUNDLE)
    wait_until(lambda: live.state()["bundle"] == DEFAULT_BUNDLE)


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


def test_bundles_are_changed_while_it_streams(open_page, tmp_path):
    coded = RatioMap.from_tile([[2, 0], [0, 1]], (32, 32)).with_aperture_tile(APERTURE_TILE)
    own = write_tiny_bundle(tmp_path / "own", coded, network=tiny_network(aperture=True))
    coded = coded.tiled_to(256, 256)
    words = ("live", "--http-port", "0", "--no-open", "--bundle", str(own))
    with Running(*words) as running:
        first, second = open_page(running.url), open_page(running.url)

        await_map(first, coded)
        assert "coded aperture" in first.inner_text("#map-note")
        wait_until(lambda: canvas(first, "final").any())
        # The tiny network gives white where a measured pixel is open, and black elsewhere.
        assert set(np.unique(canvas(first, "final"))) == {0, 255}
        pause(first)
        first.wait_for_function(
            "() => /\\d/.test(document.getElementById('reads-note').textContent)"
        )
        first.click("#pause")

        choose(first, DEFAULT_BUNDLE)
        for page in (first, second):
            await_map(page, DEFAULT_MAP)
            page.wait_for_function(
                "(name) => document.getElementById('bundle').value === name", arg=DEFAULT_BUNDLE
            )
        assert running.state()["map"]["hash"] == DEFAULT_MAP.hash_hex
        wait_until(lambda: len(np.unique(canvas(first, "final"))) > 50)  # a picture of the clip
        option = first.eval_on_selector("#bundle", "(e) => e.selectedOptions[0].text")
        assert option.startswith(f"{DEFAULT_BUNDLE} · r {DEFAULT_MAP.ratio:g}")
        assert option.endswith(" dB")
        window = drawn_window(first)
        wait_until(lambda: drawn_window(first) > window + 3)

        choose(second, str(own))
        await_map(first, coded)
        wait_until(lambda: set(np.unique(canvas(first, "final"))) == {0, 255})

        first.route(
            "**/api/bundle",
            lambda route: route.fulfill(status=422, json={"detail": "The board has no room."}),
        )
        choose(first, DEFAULT_BUNDLE)
        first.wait_for_selector("#notice.error:has-text('The board has no room.')")
        first.wait_for_function(
            "(name) => document.getElementById('bundle').value === name", arg=str(own)
        )
        assert running.state()["trained_for_map"]
        first.close()
        second.close()
    assert "Traceback" not in running.complaints
