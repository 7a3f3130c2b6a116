"""Windows as SigMF recordings: what is written, and what is refused of what comes back."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.recording import (
    RecordedWindow,
    Recording,
    files_of,
    read_recording,
    write_recording,
)

sigmf = pytest.importorskip("sigmf")


def made(*counts):
    rng = np.random.default_rng(len(counts))
    windows = []
    for number, count in enumerate(counts):
        parts = rng.standard_normal((count, 2), np.float32) / np.float32(np.sqrt(2))
        facts = {"rate_map": ["0123", "4567"], "scale": 0.25}
        symbols = parts.view(np.complex64)[:, 0]
        windows.append(RecordedWindow(f"clip {number}", number, symbols, facts))
    return Recording("semcom", "awgn", 10.0, 1e6, 32, 64, "ab" * 32, "cd" * 32, windows)


@pytest.fixture
def recording(tmp_path):
    """Files of a recording of two windows, 1,000 and 777 samples."""
    write_recording(tmp_path / "sent", made(1000, 777))
    return files_of(tmp_path / "sent")


def change(meta, part="global", **fields):
    """Change fields of a description; underscores stand for the colon, and None removes one."""
    described = json.loads(meta.read_text())
    at = described[part] if part == "global" else described[part][-1]
    for key, value in fields.items():
        name = key.replace("_", ":", 1)
        at.pop(name, None)
        if value is not None:
            at[name] = value
    meta.write_text(json.dumps(described))


def resize(recording, samples):
    """Write other samples, with their hash."""
    meta, data = recording
    data.write_bytes(samples.astype("<c8").tobytes())
    change(meta, core_sha512=hashlib.sha512(data.read_bytes()).hexdigest())


def refused(path, **options):
    with pytest.raises(RadioError) as caught:
        read_recording(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_recording_comes_back_as_it_was(recording):
    back, sent = read_recording(recording[0]), made(1000, 777)
    assert vars(replace(back, windows=())) == vars(replace(sent, windows=()))
    for mine, theirs in zip(back.windows, sent.windows, strict=True):
        assert (mine.name, mine.number) == (theirs.name, theirs.number)
        assert np.array_equal(mine.symbols, theirs.symbols)
        assert mine.facts.items() >= theirs.facts.items()
    assert len(read_recording(recording[1]).windows) == 2


def test_another_program_reads_it_and_finds_the_windows(recording):
    meta, data = recording
    opened = sigmf.sigmffile.fromfile(str(meta))
    opened.validate()
    assert opened.get_global_field("core:datatype") == "cf32_le"
    assert opened.get_global_field("core:sample_rate") == 1e6
    assert np.array_equal(opened.read_samples(), np.fromfile(data, "<c8"))
    found = opened.get_annotations()
    spans = [(one["core:sample_start"], one["core:sample_count"]) for one in found]
    assert spans == [(0, 1000), (1000, 777)]
    assert found[0]["focalloop:rate_map"] == ["0123", "4567"]


def test_what_a_radio_received_needs_no_description_of_windows(recording, tmp_path):
    meta, data = recording
    received = tmp_path / "received.sigmf-meta"
    described = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:sample_rate": 1e6},
        "captures": [{"core:sample_start": 0}],
        "annotations": [],
    }
    received.write_text(json.dumps(described))
    noisy = np.fromfile(data, "<c8") * np.complex64(0.9)
    files_of(received)[1].write_bytes(noisy.tobytes())
    assert "--sent" in refused(received)
    back = read_recording(received, sent=meta)
    assert np.array_equal(back.windows[1].symbols, noisy[1000:])
    change(received, core_sample_rate=2e6)
    assert "2e+06 samples/s, but 1e+06 were sent" in refused(received, sent=meta)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"core_datatype": "ci16_le"}, "holds ci16_le samples: convert it to cf32_le"),
        ({"core_sample_rate": None}, "has no sample rate"),
        ({"core_sha512": "0" * 128}, "damaged, its SHA-512 differs"),
        ({"core_num_channels": 2}, "several channels"),
        ({"focalloop_version": "2.0.0"}, "update focalloop"),
        ({"focalloop_method": 5}, "does not say what its windows are"),
        ({"focalloop_channel": "copper"}, "no known channel"),
        ({"focalloop_snr_db": 400}, "no known channel"),
        ({"focalloop_height": True}, "focalloop:height is True"),
        ({"core_datatype": None}, "no valid SigMF description"),
    ],
)
def test_a_description_of_something_else_is_refused(recording, fields, words):
    change(recording[0], **fields)
    assert words in refused(recording[0])


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.ones(1700), "holds 1700 samples, but its windows take 1777: 77 are missing"),
        (np.ones(1780), "3 are too many"),
        (np.zeros(1777), "zeros alone"),
        (np.where(np.arange(1777) == 5, np.nan, 1), "sample 5 is"),
        (np.where(np.arange(1777) == 5, np.inf, 1), "sample 5 is"),
    ],
)
def test_samples_that_no_window_can_be_read_from_are_refused(recording, samples, words):
    resize(recording, samples)
    assert words in refused(recording[0])


def test_half_a_sample_and_missing_files_are_refused(recording, tmp_path):
    meta, data = recording
    assert "cannot be read" in refused(tmp_path / "nowhere.sigmf-meta")
    data.write_bytes(data.read_bytes()[:-3])
    change(meta, core_sha512=None)
    assert "are missing" in refused(meta)
    data.unlink()
    assert "cannot be read" in refused(meta)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("endless", ["pipe", "/dev/zero"])
def test_what_is_no_file_and_may_never_end_is_not_read(recording, which, endless):
    path = recording[which]
    path.unlink()
    if endless == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(endless)
    assert "is no file" in refused(recording[0])


@pytest.mark.parametrize(
    "fields", [{"core_sample_start": 990}, {"core_sample_count": None}, {"core_sample_count": 0}]
)
def test_windows_that_do_not_follow_each_other_are_refused(recording, fields):
    change(recording[0], part="annotations", **fields)
    assert "export it again" in refused(recording[0])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1))
def test_any_damage_of_the_description_is_an_error_in_a_sentence_or_harmless(recording, damage):
    meta, _ = recording
    whole = meta.read_bytes()
    broken = bytearray(whole)
    for at, value in damage:
        broken[at % len(broken)] = value
    meta.write_bytes(bytes(broken))
    complaint, samples = "", 1777
    try:
        samples = sum(len(window.symbols) for window in read_recording(meta).windows)
    except RadioError as error:
        complaint = str(error)
    finally:
        meta.write_bytes(whole)
    assert "\n" not in complaint
    assert samples == 1777


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "focalloop.host.radio.recording.find_spec",
        lambda name: None if name == "sigmf" else found(name),
    )
    with pytest.raises(RadioError, match=r"pip install 'focalloop\[radio\]'"):
        write_recording(tmp_path / "sent", made(10))
    assert list(tmp_path.iterdir()) == []
