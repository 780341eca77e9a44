"""The archives in which a build context travels."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from sagemaker_byoc.build_context import BuildContext
from sagemaker_byoc.context_archive import write_tar, write_zip
from sagemaker_byoc.errors import BuildContextError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = {"Dockerfile": b"FROM scratch\n", "train": b"#!/bin/sh\n", "model/net.py": b"x = 1\n"}


def write(root: Path, files: dict[str, bytes] = FOLDER) -> Path:
    """Write the files in the order given."""
    for name, content in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def zip_of(context: BuildContext) -> bytes:
    """Return the bytes of the archive for CodeBuild."""
    stream = io.BytesIO()
    write_zip(context, stream)
    return stream.getvalue()


def tar_of(context: BuildContext) -> bytes:
    """Return the bytes of the archive for a Docker engine."""
    stream = io.BytesIO()
    write_tar(context, stream)
    return stream.getvalue()


def test_the_archive_keeps_bytes_and_execute_bits(tmp_path: Path) -> None:
    """What the builder unpacks is what lies in the folder."""
    write(tmp_path)
    (tmp_path / "train").chmod(0o755)
    with zipfile.ZipFile(io.BytesIO(zip_of(BuildContext(tmp_path)))) as archive:
        assert {info.filename: archive.read(info) for info in archive.infolist()} == FOLDER
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes == {"Dockerfile": 0o644, "train": 0o755, "model/net.py": 0o644}


def test_a_file_that_changes_under_the_build_is_noticed(tmp_path: Path) -> None:
    """An archive never carries other bytes than its address says."""
    context = BuildContext(write(tmp_path))
    assert context.address
    (tmp_path / "train").write_bytes(b"other")
    with pytest.raises(BuildContextError, match="train"):
        zip_of(context)


def test_a_link_inside_the_context_counts_as_its_target(tmp_path: Path) -> None:
    """A linked file is carried as the file, so no archive format has to know links."""
    write(tmp_path)
    (tmp_path / "serve").symlink_to("train")
    with zipfile.ZipFile(io.BytesIO(zip_of(BuildContext(tmp_path)))) as archive:
        assert archive.read("serve") == FOLDER["train"]


def test_the_archives_are_the_same_on_every_machine(tmp_path: Path) -> None:
    """Owners and times are fixed, and execute bits are kept."""
    first, second = write(tmp_path / "a"), write(tmp_path / "b", dict(reversed(FOLDER.items())))
    for folder in (first, second):
        (folder / "train").chmod(0o700)
    os.utime(first / "train", (1, 1))
    assert tar_of(BuildContext(first)) == tar_of(BuildContext(second))
    assert zip_of(BuildContext(first)) == zip_of(BuildContext(second))
    with tarfile.open(fileobj=io.BytesIO(tar_of(BuildContext(first)))) as archive:
        found = {member.name: (member.mode, member.isdir(), member.uid) for member in archive}
        content = {name: archive.extractfile(name) for name in FOLDER}
        assert {name: file.read() for name, file in content.items() if file} == FOLDER
    assert found == {
        "Dockerfile": (0o644, False, 0),
        "model": (0o755, True, 0),
        "model/net.py": (0o644, False, 0),
        "train": (0o755, False, 0),
    }


@pytest.mark.parametrize("listed", [b"notes\n", b"notes\nDockerfile*"])
def test_the_ignore_file_that_rules_is_the_one_that_a_classic_builder_reads(tmp_path: Path, listed: bytes) -> None:
    """The other one stays at home, and a file that the rules leave out does not come back with the archive."""
    files = {**FOLDER, "Dockerfile.dockerignore": listed, ".dockerignore": b"train\n", "notes": b""}
    with tarfile.open(fileobj=io.BytesIO(tar_of(BuildContext(write(tmp_path, files))))) as archive:
        names = archive.getnames()
        rules = archive.extractfile(".dockerignore")
        assert rules
        assert rules.read() == listed + b"\n.dockerignore\n"
    assert {"train", "Dockerfile"} <= set(names)
    assert "notes" not in names
    assert ("Dockerfile.dockerignore" in names) == (b"Dockerfile" not in listed)


def test_an_ignore_file_that_does_not_rule_is_no_part_of_the_context(tmp_path: Path) -> None:
    """CodeBuild's builder does not see it either, so the address need not tell it."""
    files = {**FOLDER, "Dockerfile.dockerignore": b"notes\n"}
    before = BuildContext(write(tmp_path, files)).address
    context = BuildContext(write(tmp_path, {".dockerignore": b"train\n"}))
    assert context.address == before
    with zipfile.ZipFile(io.BytesIO(zip_of(context))) as archive:
        assert set(archive.namelist()) == set(files)


@pytest.mark.parametrize("content", [b"longer than before", b"", b"#!/bin/zz\n"])
def test_an_engine_never_gets_another_content_than_the_address_says(tmp_path: Path, content: bytes) -> None:
    """Longer, shorter or only other: a file that changed meanwhile is refused."""
    context = BuildContext(write(tmp_path))
    assert context.tag
    (tmp_path / "train").write_bytes(content)
    with pytest.raises(BuildContextError, match=r"train.*Run the task again"):
        tar_of(context)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_builder_gets_the_base_image_that_was_found(tmp_path: Path, kind: str) -> None:
    """Only the Dockerfile names it, bytes that are no text stay, and the folder is not touched."""
    dockerfile = b"# \xff\r\nFROM python:3.12\r\nCOPY . .\r\n"
    context = BuildContext(write(tmp_path, {**FOLDER, "Dockerfile": dockerfile}))
    stream = io.BytesIO()
    {"zip": write_zip, "tar": write_tar}[kind](context, stream, {"python:3.12": "python:3.12@sha256:1"})
    if kind == "zip":
        with zipfile.ZipFile(stream) as archive:
            found = {name: archive.read(name) for name in FOLDER}
    else:
        stream.seek(0)
        with tarfile.open(fileobj=stream) as tar:
            found = {name: file.read() for name in FOLDER if (file := tar.extractfile(name))}
    assert found == {**FOLDER, "Dockerfile": b"# \xff\r\nFROM python:3.12@sha256:1\r\nCOPY . .\r\n"}
    assert (tmp_path / "Dockerfile").read_bytes() == dockerfile


def test_a_dockerfile_that_changes_is_noticed_though_it_is_written_anew(tmp_path: Path) -> None:
    """Its own bytes are compared, not those that go out."""
    context = BuildContext(write(tmp_path))
    assert context.tag
    (tmp_path / "Dockerfile").write_bytes(b"FROM python\n")
    with pytest.raises(BuildContextError, match=r"Dockerfile.*Run the task again"):
        write_tar(context, io.BytesIO(), {"python": "python@sha256:1"})
