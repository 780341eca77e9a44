"""Packing what hosts wrote."""

from __future__ import annotations

import logging
import os
import tarfile
from typing import TYPE_CHECKING

import boto3.exceptions
import pytest

from local_aws.sagemaker.artifact import Artifact, UploadError
from local_aws.sagemaker.s3_location import S3Location
from tests.support.fake_clients import FakeS3

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = S3Location("b", "out/job/output")


def _host(tmp_path: Path, name: str, files: dict[str, str]) -> Path:
    directory = tmp_path / name
    directory.mkdir()
    for path, text in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    return directory


def test_hosts_are_merged_and_a_clash_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first host's file is kept; a directory on both is no clash."""
    first = _host(tmp_path, "one", {"d/a": "1", "same": "first"})
    second = _host(tmp_path, "two", {"d/b": "2", "same": "second"})
    s3 = FakeS3(tmp_path / "s3")

    with caplog.at_level(logging.WARNING):
        assert Artifact("model", _FOLDER).upload(s3, [first, second], tmp_path)

    with tarfile.open(tmp_path / "s3/out/job/output/model.tar.gz") as tar:
        names = tar.getnames()
        kept = tar.extractfile("same")
        assert kept is not None
        assert kept.read() == b"first"
        assert {member.uname for member in tar.getmembers()} == {"root"}
    assert sorted(names) == ["d", "d/a", "d/b", "same"]
    assert [record.message for record in caplog.records] == [f"Two hosts wrote same; the file of {second} is left out"]
    assert not (tmp_path / "model.tar.gz").exists()


def test_pipes_are_no_data(tmp_path: Path) -> None:
    """A FIFO that the program left is not packed, and packing does not hang on it."""
    directory = _host(tmp_path, "one", {"a": "1"})
    os.mkfifo(directory / "pipe")

    Artifact("output", _FOLDER).upload(FakeS3(tmp_path / "s3"), [directory], tmp_path)

    with tarfile.open(tmp_path / "s3/out/job/output/output.tar.gz") as tar:
        assert tar.getnames() == ["a"]


@pytest.mark.parametrize("compressed", [True, False])
def test_what_is_no_data_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, compressed: bool
) -> None:
    """Whoever misses a socket or a pipe finds out where it went."""
    directory = _host(tmp_path, "one", {"d/a": "1"})
    os.mkfifo(directory / "pipe")

    Artifact("output", _FOLDER, compressed).upload(FakeS3(tmp_path / "s3"), [directory], tmp_path)

    assert [record.getMessage() for record in caplog.records] == [
        f"{directory / 'pipe'} is neither a file nor a directory and is left out"
    ]


def test_every_name_of_a_hard_linked_file_is_packed_with_its_content(tmp_path: Path) -> None:
    """A program may link its best checkpoint to its final name; the archive holds two files and no link."""
    directory = _host(tmp_path, "one", {"best.pt": "weights"})
    (directory / "final.pt").hardlink_to(directory / "best.pt")

    Artifact("model", _FOLDER).upload(FakeS3(tmp_path / "s3"), [directory], tmp_path)

    with tarfile.open(tmp_path / "s3/out/job/output/model.tar.gz") as tar:
        assert {member.name: (member.isreg(), member.size) for member in tar} == {
            "best.pt": (True, 7),
            "final.pt": (True, 7),
        }
        final = tar.extractfile("final.pt")
        assert final is not None
        assert final.read() == b"weights"


def test_nothing_written_means_nothing_uploaded(tmp_path: Path) -> None:
    """Empty directories, and ones that the program removed, make no object."""
    empty = _host(tmp_path, "one", {})

    assert not Artifact("model", _FOLDER).upload(FakeS3(tmp_path / "s3"), [empty, tmp_path / "gone"], tmp_path)
    assert not (tmp_path / "s3").exists()


def test_uncompressed_output_is_single_objects(tmp_path: Path) -> None:
    """Each file is an object below the artifact's folder."""
    directory = _host(tmp_path, "one", {"d/a": "1", "b": "2"})
    s3 = FakeS3(tmp_path / "s3")

    Artifact("model", _FOLDER, compressed=False).upload(s3, [directory], tmp_path)

    assert s3.keys() == ["out/job/output/model/b", "out/job/output/model/d/a"]


def test_a_refusal_of_s3_names_the_place(tmp_path: Path) -> None:
    """The error says where the artifact was to go."""

    class _FullS3(FakeS3):
        def upload_file(self, path: str, bucket: str, key: str) -> None:
            raise boto3.exceptions.S3UploadFailedError("no such bucket")

    directory = _host(tmp_path, "one", {"a": "1"})

    with pytest.raises(UploadError, match=r"s3://b/out/job/output/model\.tar\.gz: no such bucket"):
        Artifact("model", _FOLDER).upload(_FullS3(tmp_path / "s3"), [directory], tmp_path)
