"""Checkpoint directories and S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from local_aws.sagemaker.channel import DownloadError
from local_aws.sagemaker.checkpoint import CheckpointSync
from local_aws.sagemaker.s3_location import S3Location
from tests.support.fake_clients import FakeS3
from tests.support.training import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def _s3(tmp_path: Path, *keys: str) -> FakeS3:
    for key in keys:
        (tmp_path / "s3" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s3" / key).write_text(key)
    return FakeS3(tmp_path / "s3")


def test_what_s3_holds_comes_to_every_host(tmp_path: Path) -> None:
    """Only what is below the folder, not what shares the start of its name."""
    hosts = [tmp_path / "one", tmp_path / "two"]
    sync = CheckpointSync(_s3(tmp_path, "ck/a", "ck/d/b", "ck-2/c"), S3Location("b", "ck"), hosts)

    assert sync.copy_in() == ["s3://b/ck/a", "s3://b/ck/d/b"]

    for host in hosts:
        assert sorted(p.relative_to(host).as_posix() for p in host.rglob("*") if p.is_file()) == ["a", "d/b"]


def test_a_place_that_cannot_be_listed_is_a_failed_download(tmp_path: Path) -> None:
    """A bucket that is gone is the user's matter, not an internal error that a client would try again."""

    class _MissingBucket(FakeS3):
        def get_paginator(self, operation: str) -> Any:
            raise botocore.exceptions.ClientError({"Error": {"Code": "NoSuchBucket", "Message": "gone"}}, operation)

    sync = CheckpointSync(_MissingBucket(tmp_path / "s3"), S3Location("b", "ck"), [tmp_path / "host"])

    with pytest.raises(DownloadError, match=r"Failed to list s3://b/ck: .*NoSuchBucket.*gone"):
        sync.copy_in()


def test_changes_go_out_until_the_end(tmp_path: Path) -> None:
    """New and changed files appear, removed ones disappear, markers stay, and the last change is not lost."""
    s3, host = _s3(tmp_path, "ck/old", "ck/gone"), tmp_path / "host"
    sync = CheckpointSync(s3, S3Location("b", "ck/"), [host])
    sync.copy_in()
    sync.start()
    (host / "gone").unlink()
    (host / "new").write_text("1")
    for ending in ("uploading", "uploaded", "ignore"):
        (host / f"new.sagemaker-{ending}").write_text("")
    wait_for(lambda: s3.keys() == ["ck/new", "ck/old"])
    (host / "new").write_text("changed")
    sync.close()

    assert s3.keys() == ["ck/new", "ck/old"]
    assert (tmp_path / "s3/ck/new").read_text() == "changed"


def test_one_hosts_deletion_leaves_the_others_files(tmp_path: Path) -> None:
    """All hosts share one place; a host takes away only what it had itself."""
    s3, hosts = _s3(tmp_path), [tmp_path / "one", tmp_path / "two"]
    sync = CheckpointSync(s3, S3Location("b", "ck"), hosts)
    sync.copy_in()
    (hosts[0] / "algo-1").write_text("1")
    (hosts[1] / "algo-2").write_text("2")
    sync.start()
    sync.close()

    assert s3.keys() == ["ck/algo-1", "ck/algo-2"]


def test_a_refusal_of_s3_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A failing upload is logged and the next look makes up for it."""

    class _ShakyS3(FakeS3):
        refusals = 1

        def upload_file(self, path: str, bucket: str, key: str) -> None:
            if self.refusals:
                self.refusals -= 1
                raise botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1")
            super().upload_file(path, bucket, key)

    s3, host = _ShakyS3(tmp_path / "s3"), tmp_path / "host"
    sync = CheckpointSync(s3, S3Location("b", "ck"), [host])
    sync.copy_in()
    (host / "a").write_text("1")
    sync.start()
    wait_for(lambda: s3.keys() == ["ck/a"])
    sync.close()

    assert "trying again" in caplog.text
