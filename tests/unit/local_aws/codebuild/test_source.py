"""Sources of builds that must not be trusted."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.codebuild.source import SourceError, download_source
from tests.support.fake_clients import FakeCloud

if TYPE_CHECKING:
    from pathlib import Path

_SOURCE = {"type": "S3", "location": "bucket/source.zip"}


class _FakeS3:
    """Holds one object."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_object(self, **_: Any) -> dict[str, Any]:
        """Return the object."""
        return {"Body": io.BytesIO(self._content)}


def _zip(name: str, mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, "content")
    return buffer.getvalue()


def _download(content: bytes, target: Path) -> None:
    download_source(FakeCloud(s3=_FakeS3(content)), _SOURCE, target)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../victim", "inner/../../victim", "{directory}/victim"])
def test_an_entry_outside_of_the_source_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written there, and the modes of files that are there stay as they are."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    victim.chmod(0o600)

    with pytest.raises(SourceError, match="would lie outside of the source directory"):
        _download(_zip(name.format(directory=tmp_path), 0o100777), tmp_path / "source")

    assert victim.read_text() == "mine"
    assert victim.stat().st_mode & 0o7777 == 0o600


def test_permissions_are_kept_and_nothing_else_of_the_mode(tmp_path: Path) -> None:
    """An entry cannot make a program that runs as its owner for everybody."""
    _download(_zip("./bin/run", 0o106755), tmp_path / "source")

    assert (tmp_path / "source/bin/run").stat().st_mode & 0o7777 == 0o755


def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    """A name that no file can have is the source's fault, not a defect of ours."""
    with pytest.raises(SourceError, match=r"s3://bucket/source\.zip is not a zip file that can be unpacked"):
        _download(_zip("x" * 300, 0o100644), tmp_path / "source")
