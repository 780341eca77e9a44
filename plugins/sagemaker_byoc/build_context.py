"""The folder an image is built from, known by what is in it.

Owns which files belong to the build and the address computed from them. Two folders with the same content have the
same address on every machine, so an image that exists need not be built again. How the files travel to a builder is in
``context_archive``. Knows neither Airflow nor AWS nor who builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sagemaker_byoc.dockerfile import named_images, unread_images
from sagemaker_byoc.dockerignore import Dockerignore
from sagemaker_byoc.errors import BuildContextError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagemaker_byoc.dockerfile import NamedImage

__all__ = ["DEFAULT_PLATFORM", "MAXIMUM_BYTES", "BuildContext", "ContextFile"]

DEFAULT_PLATFORM = "linux/amd64"
"""What SageMaker's training instances are, and those that host, but for Graviton's. It is part of the address, so that
workers of two platforms do not meet under one tag with two different images."""

MAXIMUM_BYTES = 500_000_000
"""What a context may hold before it is taken for a mistake (a virtual environment, a data set, a checkpoint)."""

_CHUNK_BYTES = 1 << 20
_ARG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class ContextFile:
    """One file of the context.

    :param name: relative to the context, with ``/`` between its parts
    :param executable: whether its owner may run it; other permission bits do not count
    :param sha256: of its bytes, as hexadecimal digits
    """

    name: str
    executable: bool
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class BuildContext:
    """A folder and the choices of ``docker build`` that decide what comes out of it.

    The Dockerfile and the ignore file always belong to the context, as with Docker, whatever the ignore file says.
    The ignore file is ``<dockerfile>.dockerignore`` if there is one, otherwise ``.dockerignore``, which in the first
    case does not belong to the context: to every builder it is an ignore file, and not the one that rules. Empty
    folders do not count. A symbolic link counts as the file that it leads to.

    :param path: the folder
    :param dockerfile: relative to the folder
    :param build_args: values of the Dockerfile's ``ARG`` lines
    :param target: the stage to stop at; None is the last one
    :param platform: what the image is for
    :param maximum_bytes: refuse a folder that holds more, uncompressed
    """

    path: Path
    dockerfile: str = "Dockerfile"
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    platform: str = DEFAULT_PLATFORM
    maximum_bytes: int = MAXIMUM_BYTES

    def __post_init__(self) -> None:
        """Write the Dockerfile's path as the files' names are written, without ``./``."""
        object.__setattr__(self, "dockerfile", str(PurePosixPath(self.dockerfile)))

    @cached_property
    def files(self) -> tuple[ContextFile, ...]:
        """List what belongs to the build, ordered by name.

        :raises BuildContextError: the folder is missing, empty, too large, without its Dockerfile, or holds
            something that cannot be carried to a builder
        """
        self._check_choices()
        ignore_name, ignore = self._ignore()
        kept = {self.dockerfile, ignore_name}
        found: list[ContextFile] = []
        total_bytes = 0
        for name in sorted(set(_walk(self.path, ignore, kept)) - ({".dockerignore"} - kept)):
            file = self._examine(name)
            found.append(file)
            total_bytes += file.size_bytes
            if total_bytes > self.maximum_bytes:
                raise self._too_large(found)
        return tuple(found)

    @cached_property
    def address(self) -> str:
        """Compute the SHA-256 over names, bytes, execute bits, Dockerfile, build arguments, target and platform.

        Times, owners and the order in which the disk lists its files do not count.
        """
        facts = {
            "files": [[file.name, file.executable, file.sha256] for file in self.files],
            "dockerfile": self.dockerfile,
            "build_args": dict(sorted(self.build_args.items())),
            "target": self.target,
            "platform": self.platform,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def tag(self) -> str:
        """Name the content in ECR: ``ctx-`` and the first 24 of the address's 64 digits (96 bits)."""
        return f"ctx-{self.address[:24]}"

    @property
    def base_images(self) -> list[NamedImage]:
        """List the images that the Dockerfile names, up to the target."""
        return named_images(self._dockerfile_text(), self.build_args, self.target)

    @property
    def unread_images(self) -> list[str]:
        """List the ``FROM`` lines, up to the target, whose image only the builder can tell."""
        return unread_images(self._dockerfile_text(), self.build_args, self.target)

    @property
    def ignore_file(self) -> str:
        """The name of the file that rules what is left out, whether or not it exists."""
        return self._ignore()[0]

    def lets_through(self, name: str) -> bool:
        """Say whether the ignore file lets a file into the image; it may list the Dockerfile and itself."""
        return not self._ignore()[1].ignores(name)

    def _dockerfile_text(self) -> str:
        return (self.path / self.dockerfile).read_text(encoding="utf-8", errors="surrogateescape")

    def _check_choices(self) -> None:
        if not self.path.is_dir():
            raise BuildContextError("context_path", str(self.path), "a folder that exists on the worker")
        for name in self.build_args:
            if not _ARG_NAME.fullmatch(name):
                raise BuildContextError("build_args", name, "a name of letters, digits and '_' as in the ARG line")
        if not any(self.path.iterdir()):
            raise BuildContextError("context_path", str(self.path), "a folder with a Dockerfile; this one is empty")
        self._check_dockerfile()

    def _check_dockerfile(self) -> None:
        location = (self.path / self.dockerfile).resolve()
        leaves = PurePosixPath(self.dockerfile).is_absolute() or ".." in PurePosixPath(self.dockerfile).parts
        if leaves or not location.is_relative_to(self.path.resolve()):
            allowed = f"a path inside the context {self.path}, without '..'"
            raise BuildContextError("dockerfile", self.dockerfile, allowed)
        if not location.is_file():
            raise BuildContextError(
                "dockerfile",
                self.dockerfile,
                f"a file in the context {self.path}",
                "Add it, or name another file with the operator's 'dockerfile'.",
            )

    def _ignore(self) -> tuple[str, Dockerignore]:
        """Read the ignore file; BuildKit prefers the one that carries the Dockerfile's name."""
        for name in (f"{self.dockerfile}.dockerignore", ".dockerignore"):
            location = self.path / name
            if location.is_file():
                return name, Dockerignore(location.read_text(encoding="utf-8"))
        return ".dockerignore", Dockerignore()

    def _examine(self, name: str) -> ContextFile:
        location = self.path / name
        _check_kind(location, name, self.path)
        status = location.stat()
        executable = bool(status.st_mode & stat.S_IXUSR)
        # A file that alone passes the limit is not worth reading.
        sha256 = _sha256(location) if status.st_size <= self.maximum_bytes else ""
        return ContextFile(name, executable, status.st_size, sha256)

    def _too_large(self, found: list[ContextFile]) -> BuildContextError:
        largest = sorted(found, key=lambda file: file.size_bytes, reverse=True)[:3]
        names = ", ".join(f"{file.name} ({file.size_bytes / 1e6:,.1f} MB)" for file in largest)
        return BuildContextError(
            "context_path",
            str(self.path),
            f"a folder of at most {self.maximum_bytes / 1e6:,.0f} MB",
            f"List what the image does not need in .dockerignore. Largest so far: {names}.",
        )


def _walk(root: Path, ignore: Dockerignore, kept: set[str]) -> Iterator[str]:
    """Yield the names that are not left out, without entering folders from which nothing can come back."""
    prunes = not ignore.brings_back
    for folder, folders, names in os.walk(root):
        base = Path(folder).relative_to(root)
        if prunes:
            folders[:] = [each for each in folders if _may_hold((base / each).as_posix(), ignore, kept)]
        # os.walk lists links to folders among the folders and does not enter them.
        links = [each for each in folders if (root / base / each).is_symlink()]
        for each in (*names, *links):
            name = (base / each).as_posix()
            if name in kept or not ignore.ignores(name):
                yield name


def _may_hold(folder: str, ignore: Dockerignore, kept: set[str]) -> bool:
    return not ignore.ignores(folder) or any(name.startswith(f"{folder}/") for name in kept)


def _check_kind(location: Path, name: str, root: Path) -> None:
    """Refuse what an archive cannot carry, or would carry in from outside the context."""
    remedy = "Put the file itself there, or list it in .dockerignore."
    if location.is_symlink():
        if not location.resolve().is_relative_to(root.resolve()):
            raise BuildContextError("context_path", name, "a symbolic link that stays inside the context", remedy)
        if not location.is_file():
            raise BuildContextError("context_path", name, "a symbolic link that leads to a file", remedy)
    elif not location.is_file():
        raise BuildContextError("context_path", name, "a regular file, not a socket, pipe or device", remedy)


def _sha256(location: Path) -> str:
    digest = hashlib.sha256()
    with location.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
