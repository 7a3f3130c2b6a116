"""Files and folders are written whole or not at all."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from focalloop.firmware_sim.files import (
    WriteError,
    can_be_file,
    folder_written_whole,
    scratch_folder,
    written_whole,
)


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


def test_a_folder_is_replaced_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "bundle"
    for text in ("old", "new"):
        with folder_written_whole(path, replace=True) as partial:
            (partial / text).write_text(text)
    with pytest.raises(ZeroDivisionError), folder_written_whole(path, replace=True):
        raise ZeroDivisionError
    assert [found.name for found in tmp_path.rglob("*")] == ["bundle", "new"]


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


WRITER = """
import signal, sys, time
from pathlib import Path
from focalloop.firmware_sim.files import folder_written_whole, written_whole
from focalloop.host.cli.main import end_in_order

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as nohup has
end_in_order()
folder = Path(sys.argv[1])
with written_whole(folder / "map.npz") as file, folder_written_whole(folder / "night") as capture:
    file.write_text("half")
    (capture / "readouts-0.npy").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def another_writer(folder):
    words = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_writer_that_is_told_to_end_leaves_nothing(tmp_path, number):
    with another_writer(tmp_path) as process:
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        process.wait(20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [written_whole, folder_written_whole])
def test_what_a_killed_writer_leaves_is_removed_by_the_next(tmp_path, write):
    with another_writer(tmp_path) as process:
        process.kill()
        process.wait(20)
    assert len(list(tmp_path.iterdir())) == 2
    with write(tmp_path / "night") as partial:
        if write is written_whole:
            partial.touch()
    assert [entry.name for entry in tmp_path.iterdir()] == ["night"]


def test_the_scratch_of_a_killed_program_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    program = "from focalloop.firmware_sim.files import scratch_folder; import os, signal\n"
    program += "with scratch_folder() as folder: os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder() as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="has no namespaces of processes")
def test_the_scratch_of_another_container_stays(tmp_path, monkeypatch):
    """Its process may run, though here there is none of that id."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    program = "from focalloop.firmware_sim.files import scratch_folder; import os, signal\n"
    program += "os.readlink = lambda *_, **__: 'pid:[7]'\n"
    program += "with scratch_folder() as folder: os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", program], check=False)
    (other,) = tmp_path.iterdir()
    with scratch_folder():
        assert other.is_dir()


def test_the_second_writer_of_a_folder_learns_it_at_the_start(tmp_path):
    with another_writer(tmp_path):
        with pytest.raises(WriteError, match="is being written by another program"):
            folder_written_whole(tmp_path / "night").__enter__()
        with written_whole(tmp_path / "map.npz") as partial:  # files replace each other
            partial.write_text("whole")
        assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "map.npz").read_text() == "whole"


def test_a_full_disk_leaves_nothing(tmp_path):
    def fill(path):
        with path.open("wb") as file:
            file.write(bytes(1 << 20))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(WriteError, match="cannot write"), written_whole(tmp_path / "a") as file:
            fill(file)
        with (
            pytest.raises(WriteError, match="cannot write"),
            folder_written_whole(tmp_path / "b") as folder,
        ):
            fill(folder / "inside")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_is_not_replaced(tmp_path, link):
    path = pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    with pytest.raises(WriteError, match="a device, a pipe or a folder"), written_whole(path):
        pytest.fail("nothing is written")
    assert pipe.is_fifo()
    assert path.is_symlink() == link


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/dev/none"])
def test_nothing_is_put_among_the_devices(path):
    assert not can_be_file(Path(path))


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "."])
@pytest.mark.parametrize("write", [written_whole, folder_written_whole])
def test_an_impossible_name_is_refused(tmp_path, name, write):
    with pytest.raises(WriteError), write(tmp_path / name) as partial:
        partial.write_text("content")
    assert list(tmp_path.iterdir()) == []


def test_a_long_name_that_the_disk_takes_is_written(tmp_path):
    path = tmp_path / ("x" * 250 + ".txt")
    with written_whole(path) as partial:
        partial.write_text("content")
    assert path.read_text() == "content"
