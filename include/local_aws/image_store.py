"""Images of the process engine on disk, found by digest or by the reference that ``docker tag`` gave them.

Owns the directory with images and references, and what makes two images the same one. Must not know ECR, nor how a
program is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws.image.dockerfile import DockerfileError, read_stages
from local_aws.image.environment import EnvironmentCache, Requirements
from local_aws.image.layout import copy_context
from local_aws.image.stage import carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local_aws.image.layout import Layout

__all__ = ["BuildRequest", "Image", "ImageConfig", "ImageStore"]

_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_FILES_TYPE = "application/vnd.local-aws.files.v1+json"
_PACKAGES_TYPE = "application/vnd.local-aws.python-packages.v1+text"


@dataclass(frozen=True)
class BuildRequest:
    """What ``docker build`` was asked for.

    :param context: directory with the build context
    :param dockerfile: path of the Dockerfile; ``Dockerfile`` in the context when None
    :param arguments: ``--build-arg`` values
    :param target: stage to build; the last one when None
    """

    context: Path
    dockerfile: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None


@dataclass(frozen=True)
class ImageConfig:
    """What an image says about how it is run: ENV, WORKDIR, ENTRYPOINT and CMD."""

    environment: dict[str, str]
    working_dir: str
    entrypoint: list[str]
    command: list[str]


@dataclass(frozen=True)
class Image:
    """One image.

    :param digest: ``sha256:`` and 64 hexadecimal digits
    :param manifest: OCI image manifest, the text whose hash the digest is
    :param root: directory that stands for the image's ``/``
    :param packages: Python environment with what pip installed
    """

    digest: str
    manifest: str
    root: Path
    packages: Path
    config: ImageConfig


class ImageStore:
    """All images of one local AWS.

    :param directory: where images are kept
    :param cache_dir: where Python environments are kept; they are worth keeping longer than images
    """

    def __init__(self, directory: Path, cache_dir: Path) -> None:
        self.directory = directory
        self.cache_dir = cache_dir
        self._environments = EnvironmentCache(cache_dir / "environments")

    def build(self, request: BuildRequest, report: Callable[[str], None]) -> Image:
        """Make an image; the same content gives the same digest and is stored once.

        :param report: gets the lines that a user of ``docker build`` sees
        :raises DockerfileError: when there is no Dockerfile or it cannot be carried out
        :raises PackageError: when pip fails
        """
        with self._scratch() as scratch:
            layout = _carry_out(request, scratch, report)
            self._environments.provide(layout.requirements, report)
            config = ImageConfig(layout.environment, layout.working_dir, layout.entrypoint, layout.command)
            record = {"config": asdict(config), "requirements": list(layout.requirements.lines)}
            manifest = _manifest(layout.root, record)
            digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
            (scratch / "image.json").write_text(json.dumps({**record, "manifest": manifest}))
            with contextlib.suppress(OSError):  # The same image is there already.
                scratch.rename(self._path(digest))
        return self.get(digest)

    def get(self, digest: str) -> Image:
        """Return an image.

        :raises KeyError: when there is none of this digest
        """
        path = self._path(digest)
        try:
            record: dict[str, Any] = json.loads((path / "image.json").read_text())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise KeyError(digest) from error
        packages = self._environments.path(Requirements(tuple(record["requirements"])))
        return Image(digest, record["manifest"], path / "root", packages, ImageConfig(**record["config"]))

    def tag(self, reference: str, digest: str) -> None:
        """Give an image a name like ``registry/repository:tag``; the name leaves any other image."""
        file = self._reference(reference)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"reference": reference, "digest": digest}))
        fresh.replace(file)

    def find(self, reference: str) -> Image:
        """Return the image of this name.

        :raises KeyError: when no image has it
        """
        try:
            record = json.loads(self._reference(reference).read_text())
        except FileNotFoundError as error:
            raise KeyError(reference) from error
        return self.get(record["digest"])

    def references(self) -> list[tuple[str, str]]:
        """Return every name with the digest of its image, sorted by name."""
        records = [json.loads(file.read_text()) for file in (self.directory / "references").glob("*.json")]
        return sorted((record["reference"], record["digest"]) for record in records)

    def _path(self, digest: str) -> Path:
        return self.directory / "sha256" / digest.removeprefix("sha256:")

    def _reference(self, reference: str) -> Path:
        return self.directory / "references" / f"{hashlib.sha256(reference.encode()).hexdigest()}.json"

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        parent = self.directory / "sha256"
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="building-", dir=parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _carry_out(request: BuildRequest, scratch: Path, report: Callable[[str], None]) -> Layout:
    dockerfile = request.dockerfile or request.context / "Dockerfile"
    if not dockerfile.is_file():
        message = f"there is no Dockerfile at {dockerfile.name} in the build context; give its path with -f"
        raise DockerfileError(message)
    stages = read_stages(dockerfile.read_text(encoding="utf-8"), request.target)
    context = scratch / "context"
    copy_context(request.context, dockerfile, context)
    layout = carry_out(stages, context, scratch, request.arguments, report)
    requirements = context / "requirements.txt"
    if not layout.requirement_lines and requirements.is_file():
        # The Dockerfile installs in a way that is not understood, or not at all: this is the best there is.
        layout.requirement_lines = requirements.read_text(encoding="utf-8").splitlines()
    shutil.rmtree(context)
    return layout


def _manifest(root: Path, record: dict[str, Any]) -> str:
    files = [_entry(root, path) for path in sorted(root.rglob("*")) if path.is_file()]
    blobs = [
        (_FILES_TYPE, _canonical(files).encode()),
        (_PACKAGES_TYPE, "\n".join(record["requirements"]).encode()),
    ]
    return _canonical(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, _canonical(record["config"]).encode()),
            "layers": [_descriptor(media_type, content) for media_type, content in blobs],
        }
    )


def _entry(root: Path, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "path": path.relative_to(root).as_posix(),
        "executable": bool(path.stat().st_mode & 0o100),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
