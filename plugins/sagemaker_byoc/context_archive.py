"""The archives in which a build context travels to its builder.

Owns their form. The same content gives the same bytes, and an archive never carries other content than the context's
address says, but for one thing: the Dockerfile may name its base images by digest, which only the builder sees.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from sagemaker_byoc.dockerfile import pinned
from sagemaker_byoc.errors import BuildContextError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagemaker_byoc.build_context import BuildContext, ContextFile

__all__ = ["write_tar", "write_zip"]

_CHUNK_BYTES = 1 << 20
_IGNORE_FILE = ".dockerignore"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_TAR_EPOCH_SECONDS = 315_532_800  # the same moment: a file that is older than 1980 cannot be zipped in the image
_NAMES_AS_THEY_ARE: Mapping[str, str] = {}


def write_zip(context: BuildContext, stream: IO[bytes], references: Mapping[str, str] = _NAMES_AS_THEY_ARE) -> None:
    """Write the archive that CodeBuild unpacks.

    :param references: what the Dockerfile shall say in place of the names of base images, by name
    :raises BuildContextError: a file changed after the address was computed
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in context.files:
            member = zipfile.ZipInfo(file.name, date_time=_ZIP_EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix; otherwise the permission bits are not read back
            member.external_attr = (stat.S_IFREG | _mode(file)) << 16
            with _content(context, file, references) as (source, size_bytes):
                member.file_size = size_bytes
                with archive.open(member, "w") as target:
                    while chunk := source.read(_CHUNK_BYTES):
                        target.write(chunk)


def write_tar(context: BuildContext, stream: IO[bytes], references: Mapping[str, str] = _NAMES_AS_THEY_ARE) -> None:
    """Write the archive that a Docker engine takes.

    The classic builder reads the archive's ``.dockerignore`` once more, for two files only: after the Dockerfile is
    read, it and the ignore file go if they are listed. When another file rules, its text therefore stands there, with
    that name added; BuildKit, which knows the other file, sees the same.
    Source: ``removeDockerfile`` in moby's ``builder/remotecontext/detect.go``.

    :param references: what the Dockerfile shall say in place of the names of base images, by name
    :raises BuildContextError: a file changed after the address was computed
    """
    rules = context.ignore_file
    stands_in = rules != _IGNORE_FILE
    files = [file for file in context.files if not stands_in or file.name != rules or context.lets_through(rules)]
    folders = {str(parent) for file in files for parent in PurePosixPath(file.name).parents} - {"."}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(folders):
            archive.addfile(_tar_member(name, tarfile.DIRTYPE, 0o755))
        for file in files:
            member = _tar_member(file.name, tarfile.REGTYPE, _mode(file))
            with _content(context, file, references) as (source, member.size):
                archive.addfile(member, source)  # type: ignore[arg-type]  # it only reads
        for file in context.files if stands_in else ():
            if file.name == rules:
                with _content(context, file, _NAMES_AS_THEY_ARE) as (source, _):
                    text = source.read(-1) + f"\n{_IGNORE_FILE}\n".encode()
                member = _tar_member(_IGNORE_FILE, tarfile.REGTYPE, 0o644)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))


class _HashingReader:
    """A file that is hashed while it is read.

    :param source: open for reading
    """

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes."""
        chunk = self._source.read(size)
        self.digest.update(chunk)
        return chunk


@contextmanager
def _content(
    context: BuildContext, file: ContextFile, references: Mapping[str, str]
) -> Iterator[tuple[_HashingReader | io.BytesIO, int]]:
    """Open a file and tell its size; what was read by the end of the block must be what was hashed before."""
    changed = BuildContextError(
        "context_path", file.name, "a file that stays as it is while the image is built", "Run the task again."
    )
    with (context.path / file.name).open("rb") as opened:
        source = _HashingReader(opened)
        try:
            if references and file.name == context.dockerfile:
                # Bytes that are no UTF-8 survive this way.
                text = source.read(-1).decode("utf-8", "surrogateescape")
                content = pinned(text, context.build_args, references).encode("utf-8", "surrogateescape")
                yield io.BytesIO(content), len(content)
            else:
                yield source, file.size_bytes
        except OSError as error:
            # tarfile's own complaint about a file that is shorter now has no number; a full disk has one.
            if error.errno is not None:
                raise
            raise changed from error
    if source.digest.hexdigest() != file.sha256:
        raise changed


def _mode(file: ContextFile) -> int:
    return 0o755 if file.executable else 0o644


def _tar_member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    """Make a header without owner and with a fixed time."""
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = mode
    member.mtime = _TAR_EPOCH_SECONDS
    return member
