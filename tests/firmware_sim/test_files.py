"""Files and folders are written whole or not at all."""

import pytest

from focalloop.firmware_sim.files import WriteError, folder_written_whole, written_whole


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with written_whole(path) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_file_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), written_whole(path) as partial:  # noqa: PT012
        partial.write_text("aft")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder"
    with folder_written_whole(path) as partial:
        (partial / "inside").mkdir()
        assert not path.exists()
    assert [entry.name for entry in path.iterdir()] == ["inside"]
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_written_whole(tmp_path / "a") as partial:  # noqa: PT012
        (partial / "a.txt").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_or_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path, words in ((tmp_path, "exists already"), (tmp_path / "file" / "x", "another place")):
        with pytest.raises(WriteError, match=words), folder_written_whole(path):
            pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
