"""Model archives that must not be trusted."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.sagemaker.model_data import ModelData, ModelDataError
from tests.support.process_cloud import archive

if TYPE_CHECKING:
    from pathlib import Path

CONTAINER = {"ModelDataUrl": "s3://bucket/model.tar.gz"}


class _FakeS3:
    """Holds one object."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def download_fileobj(self, bucket: str, key: str, file: Any) -> None:
        """Write the object into a file."""
        assert (bucket, key) == ("bucket", "model.tar.gz")
        file.write(self._content)


def _fetch(content: bytes, target: Path) -> None:
    data = ModelData.of(CONTAINER)
    assert data is not None
    data.fetch(_FakeS3(content), target)


def _archive_with(member: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(member)
    return buffer.getvalue()


def _link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


def test_files_keep_their_place_and_nobody_may_write_them(tmp_path: Path) -> None:
    """The tree is that of the archive, read-only."""
    _fetch(archive({"./model.pt": b"m", "code/inference.py": b"c"}), tmp_path / "model")

    assert (tmp_path / "model/model.pt").read_bytes() == b"m"
    assert (tmp_path / "model/code/inference.py").stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive({"../outside": b""}), "outside the model directory"),
        (archive({"/outside": b""}), "outside the model directory"),
        (_archive_with(_link(tarfile.SYMTYPE)), "links are not allowed"),
        (_archive_with(_link(tarfile.LNKTYPE)), "Failed to extract model data archive"),
        (_archive_with(_link(tarfile.FIFOTYPE)), "neither a file nor a directory"),
        (b"\x1f\x8b garbage", "Failed to extract model data archive"),
        (archive({"model.pt": bytes(range(256)) * 500})[:200], "Failed to extract model data archive"),
    ],
)
def test_an_archive_that_is_not_just_files_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Nothing is written outside the model directory, and the reason names the archive."""
    with pytest.raises(ModelDataError, match=reason) as caught:
        _fetch(content, tmp_path / "model")

    assert "s3://bucket/model.tar.gz" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
