"""`focalloop radio send` as a user runs it."""

import json
import typing

import numpy as np
import pytest
from PIL import Image

from focalloop.firmware_sim.radio.channel import CHANNEL_KINDS
from focalloop.host.cli.commands.radio.send import send
from focalloop.host.radio.methods import METHODS
from tests.support.command_line import complaint, run


def run_json(*words):
    result = run("radio", "send", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_clips_are_sent_scored_and_written(clips, networks, tmp_path):
    video, picture = tmp_path / "video.npz", tmp_path / "rates.png"
    words = (clips, *networks, "--snr", 12, "--symbols", 500, "--seed", 3)
    sent = run_json(*words, "-o", video, "--picture", picture)
    assert (sent["method"], sent["channel"], sent["snr"]) == ("semcom", "awgn", 12)
    assert (sent["bits"], sent["block_errors"]) == (None, 0)
    assert [clip["name"] for clip in sent["clips"]] == ["a", "b", "c"]
    for clip in sent["clips"]:
        assert clip["symbols"] == sum(clip["parts"].values())
        assert 480 <= clip["symbols"] <= 500
        assert min(clip["parts"].values()) > 0
    for key in ("psnr", "ssim", "symbols"):
        assert sent[key] == pytest.approx(np.mean([clip[key] for clip in sent["clips"]]))
    with np.load(video) as written:
        assert written["video"].shape == (3, 16, 32, 48)
        assert written["names"].tolist() == ["a", "b", "c"]
    with Image.open(picture) as drawn:
        assert drawn.mode == "RGB"
        assert len(drawn.getcolors(1 << 20)) > 3
    assert run_json(*words) == sent
    assert run_json(*words[:-1], 4) != sent


def test_peaks_are_clipped_for_little(clips, networks, tmp_path):
    words, videos = (clips, *networks, "--snr", 12, "--symbols", 500), []
    for limit in ((), ("--max-papr", 4)):
        run_json(*words, *limit, "-o", tmp_path / "video.npz")
        with np.load(tmp_path / "video.npz") as written:
            videos.append(written["video"])
    assert 0 < np.abs(videos[0] - videos[1]).mean() < 0.05 * videos[0].std()
    for wrong in (2.9, "nan"):
        result = run("radio", "send", *words, "--max-papr", wrong)
        assert result.exit_code == 2
        assert "--max-papr" in complaint(result)


def test_a_capture_is_sent_without_scores(capture, networks):
    sent = run_json(capture("tile-2of16"), *networks)
    assert (sent["psnr"], sent["ssim"]) == (None, None)
    assert [clip["name"] for clip in sent["clips"]] == ["tile-2of16[4]", "tile-2of16[9]"]
    assert all(clip["psnr"] is None and clip["symbols"] > 0 for clip in sent["clips"])


def test_the_report_for_people_has_windows_parts_and_rates(clips, networks):
    result = run("radio", "send", clips, *networks, "--channel", "rayleigh", "--snr", 18)
    assert result.exit_code == 0, result.output
    for words in ("semcom over rayleigh at 18 dB", "mean", "payload", "rate map", "header", "rate"):
        assert words in result.stdout


def test_a_lost_window_is_said_and_scored_as_grey(clips, networks):
    words = (clips, *networks, "--channel", "rayleigh-block", "--snr", -10, "--symbols", 2500)
    sent = run_json(*words)
    assert 0 < sent["block_errors"] <= 1
    lost = [clip for clip in sent["clips"] if clip["block_errors"]]
    with np.load(clips) as stored:
        truth = dict(zip("abc", stored["clips"], strict=True))
    for clip in lost:
        grey = -10 * np.log10(np.mean((truth[clip["name"]] / 255 - 0.5) ** 2))
        assert clip["psnr"] == pytest.approx(grey, abs=1e-4)
    assert "(lost)" in run("radio", "send", *words).stdout


@pytest.mark.parametrize("snr", ["ten", "nan", "inf", "-inf", "-10.1", "40.1", "1e999", ""])
def test_an_snr_that_is_none_is_wrong_usage(clips, networks, snr):
    result = run("radio", "send", clips, *networks, f"--snr={snr}")
    assert result.exit_code == 2
    assert "--snr" in result.output


@pytest.mark.parametrize("symbols", [1, 10, 10**7])
def test_symbols_out_of_range_are_wrong_usage_and_the_range_is_said(clips, networks, symbols):
    result = run("radio", "send", clips, *networks, "--symbols", symbols)
    assert result.exit_code == 2
    assert "--symbols" in result.output
    assert "the least is" in result.output
    assert "the most" in result.output


def test_clips_smaller_than_a_cell_are_refused(tmp_path, networks):
    path = tmp_path / "small.npz"
    np.savez(path, clips=np.zeros((1, 16, 1, 40), np.uint8))
    assert "smaller than a cell" in complaint(run("radio", "send", path, *networks))


def test_a_capture_under_another_map_is_refused(capture, networks):
    text = complaint(run("radio", "send", capture("tile-1of16"), *networks))
    assert "another ratio map than that of tiny" in text


def test_networks_of_another_map_are_refused(clips, networks):
    text = complaint(run("radio", "send", clips, *networks[2:], "--bundle", "edge-tile-1of16"))
    assert "not under this one" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--channel", "copper"), "copper"),
        (("--method", "morse"), "morse"),
        (("-o", "video.gif"), ".gif"),
        (("--model", "nowhere"), "no radio bundle 'nowhere'"),
        (("--bundle", "nowhere"), "nowhere"),
        (("--white", "4095"), "for clips"),
    ],
)
def test_what_there_is_not_is_refused(capture, networks, words, says):
    result = run("radio", "send", capture("tile-2of16"), *networks, *words)
    assert result.exit_code in (1, 2)
    assert says in complaint(result)


def test_where_every_window_is_lost_there_are_no_rates_to_draw(clips, networks, tmp_path):
    picture = tmp_path / "rates.png"
    words = (clips, *networks, "--channel", "rayleigh-block", "--snr", -10, "--symbols", 2500)
    lost = next(
        seed
        for seed in range(20)
        if run_json(*words, "--limit", 1, "--seed", seed)["block_errors"] == 1
    )
    words = (*words, "--limit", 1, "--seed", lost, "--picture", picture, "--json")
    result = run("radio", "send", *words)
    assert "no rate map" in complaint(result)
    assert json.loads(result.stdout)["block_errors"] == 1
    assert not picture.exists()


def test_a_method_without_rates_says_so_before_anything_is_sent(clips, tmp_path):
    words = (clips, "--method", "linear", "--picture", tmp_path / "rates.png")
    result = run("radio", "send", *words)
    assert result.exit_code == 2
    assert "linear has no rates to draw" in complaint(result)


def test_the_choices_are_those_that_there_are():
    hints = typing.get_type_hints(send)
    assert set(typing.get_args(hints["method"])) == set(METHODS)
    assert set(typing.get_args(hints["channel"])) == set(CHANNEL_KINDS)
