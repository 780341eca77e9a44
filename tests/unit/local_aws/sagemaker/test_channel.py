"""Which objects a host gets and where they land."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.sagemaker.channel import DownloadError, S3Object, download, find_objects, shard
from local_aws.sagemaker.s3_location import S3Location
from tests.support.fake_clients import FakeS3

if TYPE_CHECKING:
    from pathlib import Path


def _objects(*keys: str) -> list[S3Object]:
    return [S3Object(S3Location("b", key), key) for key in keys]


@given(st.integers(0, 40), st.integers(1, 12))
def test_shards_are_even_and_lose_nothing(objects: int, hosts: int) -> None:
    """Every object is on exactly one host, and no host has two more than another."""
    everything = _objects(*[f"k{number:03}" for number in range(objects)])

    parts = [shard(everything, index, hosts) for index in range(hosts)]

    assert sorted((item for part in parts for item in part), key=lambda item: item.path) == everything
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_objects_are_written_with_their_folders(tmp_path: Path) -> None:
    """Folders appear as needed, also those that only an empty key names."""
    s3 = FakeS3(tmp_path / "s3")
    (tmp_path / "file").write_text("1")
    s3.upload_file(str(tmp_path / "file"), "b", "deep/x.csv")

    download(s3, _objects("deep/x.csv", "empty/"), tmp_path / "data")

    assert (tmp_path / "data/deep/x.csv").read_text() == "1"
    assert (tmp_path / "data/empty").is_dir()


@pytest.mark.parametrize("path", ["../out.csv", "a/../../out.csv", "/etc/out.csv", "a\0b"])
def test_a_key_cannot_leave_the_directory(tmp_path: Path, path: str) -> None:
    """Such a key fails the download and nothing is written."""
    with pytest.raises(DownloadError, match="no path below the channel's directory"):
        download(FakeS3(tmp_path / "s3"), _objects(path), tmp_path / "data")

    assert not (tmp_path / "out.csv").exists()


def test_a_manifest_too_deep_to_be_read_is_named() -> None:
    """It is a bad manifest, like any other that is no list of keys."""

    class _DeepS3:
        """Holds brackets."""

        def get_object(self, **_: Any) -> dict[str, Any]:
            """Return more of them than a parser can follow."""
            return {"Body": io.BytesIO(b"[" * 100_000)}

    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://b/deep.json"}
    with pytest.raises(DownloadError, match=r"Failed to list s3://b/deep\.json"):
        find_objects(_DeepS3(), {"DataSource": {"S3DataSource": source}})


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    """The error says which object could not be read."""
    with pytest.raises(DownloadError, match=r"s3://b/gone\.csv"):
        download(FakeS3(tmp_path / "s3"), _objects("gone.csv"), tmp_path / "data")


def test_a_shuffle_seed_gives_the_same_order_each_time(tmp_path: Path) -> None:
    """ShuffleConfig mixes the objects, reproducibly."""
    s3 = FakeS3(tmp_path)
    for number in range(20):
        (tmp_path / f"k{number:02}").write_text("")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}
    channel = {"ChannelName": "c", "DataSource": {"S3DataSource": source}}

    plain = find_objects(s3, channel)
    mixed = find_objects(s3, {**channel, "ShuffleConfig": {"Seed": 1}})

    assert mixed != plain
    assert sorted(mixed, key=lambda item: item.path) == plain
    assert mixed == find_objects(s3, {**channel, "ShuffleConfig": {"Seed": 1}})
