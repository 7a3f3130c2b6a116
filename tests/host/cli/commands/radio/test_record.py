"""`focalloop radio export` and `import`: out to another radio, and back."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from focalloop.host.radio.recording import files_of
from tests.support.command_line import complaint, run

sigmf = pytest.importorskip("sigmf")


@pytest.fixture
def sent(clips, networks, tmp_path):
    """Description of three windows that were exported."""
    path = tmp_path / "sent.sigmf-meta"
    words = ("export", clips, *networks, "--snr", 12, "--symbols", 500, "-o", path)
    result = run("radio", *words, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["windows"], document["snr"]) == (3, 12)
    assert document["samples"] * 8 == files_of(path)[1].stat().st_size
    return path


def received(sent, path, change, **fields):
    """Write what a radio has received: changed samples, and a description of its own."""
    data = files_of(path)[1]
    data.write_bytes(change(np.fromfile(files_of(sent)[1], "<c8")).astype("<c8").tobytes())
    own = {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:sample_rate": 1e6} | fields
    meta = {"global": own, "captures": [{"core:sample_start": 0}], "annotations": []}
    path.write_text(json.dumps(meta))
    return path


def through_noise(samples, snr_db=12):
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((len(samples), 2)) * np.sqrt(10 ** (-snr_db / 10) / 2)
    return samples + noise[:, 0] + 1j * noise[:, 1]


def imported(networks, path, *words):
    result = run("radio", "import", path, *networks, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_window_has_power_1_and_an_annotation_with_what_it_decodes_to(sent):
    opened = sigmf.sigmffile.fromfile(str(sent))
    opened.validate()
    samples = opened.read_samples()
    for number, window in enumerate(opened.get_annotations()):
        start, count = window["core:sample_start"], window["core:sample_count"]
        assert np.mean(np.abs(samples[start : start + count]) ** 2) == pytest.approx(1, abs=2e-3)
        assert window["focalloop:window"] == number
        assert window["focalloop:mixed"] is True
        assert [len(row) for row in window["focalloop:rate_map"]] == [3, 3]
        parts = [window[f"focalloop:{part}_symbols"] for part in ("header", "rate_map", "payload")]
        assert sum(parts) == count


def test_what_was_exported_comes_back_as_what_is_sent_over_a_clean_channel(
    sent, clips, networks, tmp_path
):
    video = tmp_path / "back.npz"
    back = imported(networks, sent, "-o", video, "--snr", 40)
    assert (back["method"], back["lost"]) == ("semcom", 0)
    assert [window["name"] for window in back["windows"]] == ["a", "b", "c"]
    with np.load(video) as written:
        assert written["video"].shape == (3, 16, 32, 48)
        clean = written["video"]
    noisy = received(sent, tmp_path / "noisy.sigmf-meta", through_noise)
    back = imported(networks, noisy, "--sent", sent, "-o", video)
    assert back["lost"] == 0
    with np.load(video) as written:
        assert 0 < np.mean((written["video"] - clean) ** 2) < 0.5 * np.var(clean)


def test_peaks_keep_to_what_an_amplifier_takes(clips, networks, tmp_path):
    path = tmp_path / "limited.sigmf-meta"
    words = ("--snr", 12, "--symbols", 500, "--max-papr", 4, "-o", path)
    assert run("radio", "export", clips, *networks, *words).exit_code == 0
    samples = np.fromfile(files_of(path)[1], "<c8")
    assert 10 * np.log10(np.max(np.abs(samples) ** 2)) < 4.1
    assert imported(networks, path, "-o", tmp_path / "back.npz", "--snr", 40)["lost"] == 0


def test_a_window_that_was_not_received_is_lost_and_the_others_are_not(sent, networks, tmp_path):
    def fade(samples):
        rng = np.random.default_rng(2)
        middle = json.loads(sent.read_text())["annotations"][1]
        start, count = middle["core:sample_start"], middle["core:sample_count"]
        noise = rng.standard_normal((count, 2)) / np.sqrt(2)
        samples[start : start + count] = noise[:, 0] + 1j * noise[:, 1]
        return samples

    faded = received(sent, tmp_path / "faded.sigmf-meta", fade)
    video = tmp_path / "back.npz"
    back = imported(networks, faded, "--sent", sent, "-o", video)
    assert [window["lost"] for window in back["windows"]] == [False, True, False]
    with np.load(video) as written:
        assert (written["video"][1] == 0.5).all()


@pytest.mark.parametrize(
    ("change", "fields", "says"),
    [
        (lambda samples: samples, {"core:datatype": "cf64_le"}, "convert it to cf32_le"),
        (lambda samples: samples, {"core:sample_rate": 2e6}, "resample it"),
        (lambda samples: samples, {"core:sha512": "0" * 128}, "SHA-512 differs"),
        (lambda samples: samples[:-9], {}, "9 are missing"),
        (lambda samples: np.append(samples, 1), {}, "1 are too many"),
        (lambda samples: 0 * samples, {}, "zeros alone"),
        (lambda samples: samples * np.nan, {}, "sample 0 is"),
        (lambda samples: samples / 9, {}, "scale the samples"),
        (lambda samples: samples * 9, {}, "scale the samples"),
        (lambda samples: samples * 1.3, {}, "is 1.30 times what was sent, turned by 0 degrees"),
        (lambda samples: samples * np.exp(0.3j), {}, "turned by 17 degrees"),
    ],
)
def test_what_is_no_such_recording_is_refused_in_a_sentence(
    sent, networks, tmp_path, change, fields, says
):
    path = received(sent, tmp_path / "other.sigmf-meta", change, **fields)
    video = tmp_path / "back.npz"
    result = run("radio", "import", path, *networks, "--sent", sent, "-o", video)
    assert result.exit_code == 1
    assert says in complaint(result)
    assert not video.exists()


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("map_hash", "under another ratio map"),
        ("model_hash", "by other networks"),
    ],
)
def test_windows_of_another_link_are_refused(sent, networks, tmp_path, field, says):
    described = json.loads(sent.read_text())
    described["global"][f"focalloop:{field}"] = "ab" * 32
    sent.write_text(json.dumps(described))
    result = run("radio", "import", sent, *networks, "-o", tmp_path / "back.npz")
    assert says in complaint(result)


def test_a_recording_can_be_moved_and_is_checked_against_its_hash(sent, networks, tmp_path):
    moved = tmp_path / "moved.sigmf-meta"
    for source, target in zip(files_of(sent), files_of(moved), strict=True):
        shutil.copy(source, target)
    digest = hashlib.sha512(files_of(moved)[1].read_bytes()).hexdigest()
    assert json.loads(moved.read_text())["global"]["core:sha512"] == digest
    assert imported(networks, moved, "-o", tmp_path / "back.npz")["lost"] == 0


def test_symbols_out_of_range_and_methods_without_symbols_are_wrong_usage(
    clips, networks, tmp_path
):
    words = ("radio", "export", clips, *networks, "-o", tmp_path / "x.sigmf-meta")
    result = run(*words, "--symbols", 3)
    assert result.exit_code == 2
    assert "the least is" in result.output
    assert run(*words, "--method", "h264-ldpc").exit_code == 2
    assert run(*words, "--snr", "nan").exit_code == 2
    for rate in ("0", "1e13"):
        assert run(*words, "--sample-rate", rate).exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips.npz"]


def test_without_the_package_it_says_what_to_install(clips, networks, tmp_path, monkeypatch):
    monkeypatch.setattr("focalloop.host.radio.recording.find_spec", lambda name: None)
    words = ("radio", "export", clips, *networks, "-o", tmp_path / "x.sigmf-meta")
    assert "pip install 'focalloop[radio]'" in complaint(run(*words))
