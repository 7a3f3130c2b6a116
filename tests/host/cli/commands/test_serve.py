"""``focalloop serve --inference``: other programs send reads, and get videos."""

from __future__ import annotations

import re

import numpy as np
import pytest

from focalloop import Bundle, RatioMap
from tests.support import ROOT
from tests.support.command_line import complaint, run
from tests.support.made_windows import make_window
from tests.support.running import Running
from tests.support.tiny_bundle import write_tiny_bundle


def test_the_client_of_the_documents_gets_the_video_of_a_bundle_until_ctrl_c(tmp_path):
    ratio_map = RatioMap.load("tile-2of16", shape=(16, 16))
    folder = write_tiny_bundle(tmp_path / "mine", ratio_map, name="mine")
    window = make_window(0, ratio_map)
    (client,) = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "docs/scaling.md").read_text())
    names = {"window": window}
    with Running("serve", "--inference", "--bundle", str(folder), "--http-port", "0") as served:
        assert served.document["models"] == ["mine"]
        client = client.replace("http://127.0.0.1:8000/", served.url)
        exec(client.replace("edge-universal-int8", "mine"), names)
        assert served.stop() == 0
    np.testing.assert_array_equal(names["video"][0], Bundle.load(folder).reconstruct(window))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "name the board"),
        (["--inference", "--port", "x"], "--port has no effect with --inference"),
        (["--inference", "--map", "x"], "--map has no effect with --inference"),
        (["--inference", "--http-host", "0.0.0.0"], "give --token SECRET"),
        (["--inference", "--bundle", "no such"], "there is no bundle"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(options, problem):
    result = run("serve", *options)
    assert problem in complaint(result)
    assert result.exit_code == 2
