"""What a lab.toml may say, and the sentence for each mistake."""

from pathlib import Path

import pytest

from focalloop.host.lab.settings import BoardSettings, LabSettingsError, load_settings


@pytest.fixture
def load(tmp_path):
    def load(text):
        file = tmp_path / "lab.toml"
        file.write_text(text)
        return load_settings(file, tmp_path / "recordings")

    return load


def test_a_whole_file(load, tmp_path):
    (tmp_path / "mine.npz").touch()
    lab = load(
        """
        [lab]
        lease_s = 60
        max_lease_s = 120.5
        rebuilders = 3
        recordings = "kept"
        recordings_quota_gb = 2.5

        [boards.north]
        port = "/dev/ttyACM0"
        tags = ["scamp5", "colour"]
        map = "mine.npz"
        line_port = 7001

        [boards.south]
        serial = "FL-12"

        [boards.made_up-2]
        emulate = { size = "64x64", slot-rate = 240, seed = 3 }
        bundle = "edge-learned-2of16"
        """
    )
    assert (lab.lease_s, lab.max_lease_s, lab.rebuilders) == (60, 120.5, 3)
    assert list(lab.boards) == ["north", "south", "made_up-2"]
    north, south, made_up = lab.boards.values()
    assert (north.port, north.tags) == ("/dev/ttyACM0", ("scamp5", "colour"))
    assert Path(north.map) == tmp_path / "mine.npz"
    assert Path(north.recordings) == tmp_path / "kept" / "north"
    assert (north.line_port, south.serial, south.map) == (7001, "FL-12", None)
    assert made_up.emulate == ("--size=64x64", "--slot-rate=240", "--seed=3")
    assert {board.quota_gb for board in lab.boards.values()} == {2.5}
    for board in lab.boards.values():
        assert BoardSettings.from_json(board.to_json()) == board


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[boards.a]", "boards.a has none of them: give one of port, serial and emulate"),
        ("[boards.a]\nport='x'\nserial='y'", "boards.a has port and serial"),
        ("[boards.a]\nport=3", "boards.a.port = 3 is not a text"),
        ("[boards.a]\nport=''", "boards.a.port = '' is not a text"),
        ("[boards.a]\nport='x'\ntag=['b']", "boards.a.tag = ['b'] is not a key"),
        ("[boards.a]\nport='x'\ntags='b'", "boards.a.tags = 'b' is not a list of tags"),
        ("[boards.a]\nport='x'\ntags=['../b']", "boards.a.tags = ['../b'] is not a list"),
        ("[boards.a]\nport='x'\nline_port=true", "boards.a.line_port = True is not a TCP port"),
        ("[boards.'../x']\nport='x'", "boards.../x = '../x' is not the name of a board"),
        ("[boards.a]\nemulate={window=1}", "boards.a.emulate.window = 1 is not one of scene"),
        ("[boards.a]\nemulate={seed=[1]}", "boards.a.emulate.seed = [1] is neither"),
        ("[boards.a]\nport='x'\n[boards.b]\nport='x'", "boards.b.port = 'x' is that of boards.a"),
        ("[lab]\nlease_s=-1", "lab.lease_s = -1 is not a time"),
        ("[lab]\nmax_lease_s=nan", "lab.max_lease_s = nan is not a time"),
        ("[lab]\nlease_s=60\nmax_lease_s=30", "lab.lease_s = 60.0 is longer than max_lease_s, 30"),
        ("[lab]\nrecordings_quota_gb=0", "lab.recordings_quota_gb = 0 is not a size of 0.001"),
        ("[lab]\nrebuilders=0", "lab.rebuilders = 0 is not a number from 1 to 64"),
        ("[lab]\nport=1", "lab.port = 1 is not a key"),
        ("boards=1", "boards = 1 is not a table"),
        ("[boards", "is not a TOML file"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_value(text, said, load, tmp_path):
    with pytest.raises(LabSettingsError) as refusal:
        load(text)
    assert said in str(refusal.value)
    assert str(tmp_path / "lab.toml") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LabSettingsError, match=r"cannot read .*lab\.toml"):
        load_settings(tmp_path / "lab.toml", tmp_path)
