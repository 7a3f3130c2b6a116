"""What memory brings: the benchmark, with a network that adds a quarter of the last frame."""

import re

import numpy as np
import pytest

from benchmarks import adaptive_memory
from benchmarks.adaptive_memory import LOST, SHOWN, row
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle


def test_rows_tell_memory_from_none():
    pictures = np.random.default_rng(0).integers(40, 120, (2, 1, 16, 16), np.uint8)
    frames = pictures.repeat(96, axis=1)
    network, universal = (
        OnnxReconstructor(tiny_network(memory=memory, factor=0.1)) for memory in (True, False)
    )
    other, alone, memory, moving, *lost, cut = row("one long read", frames, network, universal)
    # The network shows a tenth of the scene and 0.1, and less if it remembers nothing.
    assert alone < other < memory == pytest.approx(moving, abs=0.1)
    assert len(lost) == 96 // 16 - LOST - 1
    assert lost[0] > 1 > abs(lost[-1])
    assert cut == 0  # the frame of another sequence is not believed


def test_it_prints_a_row_for_each_tile(tmp_path, capsys):
    np.savez(tmp_path / "clips.npz", sequences=np.full((2, 96, 24, 24), 60, np.uint8))
    bundle = write_tiny_bundle(tmp_path / "tiny", network=tiny_network(memory=True), reach=8)
    words = [str(tmp_path / "clips.npz"), "--bundle", str(bundle), "--side", "16"]
    adaptive_memory.main(words)
    head, *rows, price = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["universal", "alone", "memory", "moving"]
    assert [line[:18].strip() for line in rows] == list(SHOWN)
    name = re.escape(str(bundle))
    named = rf"a window of 24x24 pixels takes \S+ ms of one processor by {name}, (\S+) ms by \S+"
    found = re.fullmatch(named, price)
    assert found
    assert float(found[1]) > 0
