"""Stands for the ``docker`` command in builds, on machines without a container engine.

Owns the few commands that a build of one image needs. An image is made by the process engine's store; a push
puts its manifest into ECR.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.config

from local_aws.codebuild.docker_login import CommandError, DockerParser, log_in, require_login
from local_aws.container import ContainerError
from local_aws.image.dockerfile import DockerfileError
from local_aws.image.environment import PackageError
from local_aws.image_push import Manifest, PushError, push_image
from local_aws.image_reference import ImageReference
from local_aws.image_store import BuildRequest, Image, ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

_NAME = "docker (stand-in of the local AWS; there is no container engine here)"
_IGNORED_FLAGS = ("--pull", "--no-cache", "--rm", "--force-rm", "--quiet", "-q", "--load", "--compress")
_IGNORED_OPTIONS = (
    "--platform --cache-from --cache-to --label --network --progress --provenance --sbom --memory --shm-size --output"
)


def main(arguments: Sequence[str]) -> int:
    """Run one command line, without the leading ``docker``; return the exit code."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if (name, *rest[:1]) in {("image", "build"), ("buildx", "build"), ("image", "push"), ("image", "tag")}:
        name, rest = rest[0], rest[1:]
    try:
        _COMMANDS.get(name, _unknown)(list(rest))
    except (CommandError, ContainerError, DockerfileError, PackageError, PushError) as error:
        sys.stderr.write(f"{_NAME}: {error}\n")
        return 1
    return 0


def _build(arguments: list[str]) -> None:
    parser = DockerParser(prog="docker build", add_help=False)
    parser.add_argument("-t", "--tag", action="append", default=[])
    parser.add_argument("-f", "--file", type=Path)
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--target")
    parser.add_argument("context", type=Path)
    for flag in _IGNORED_FLAGS:
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    for option in _IGNORED_OPTIONS.split():
        parser.add_argument(option, action="append", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.context.is_dir():
        message = f"the build context {str(options.context)!r} is not a directory; give one, for example `.`"
        raise CommandError(message)
    request = BuildRequest(options.context, options.file, _build_arguments(options.build_arg), options.target)
    store = _store()
    image = store.build(request, _say)
    _say(f"Successfully built {image.digest[7:19]}")
    for tag in options.tag:
        store.tag(_full_name(tag), image.digest)
        _say(f"Successfully tagged {_full_name(tag)}")


def _build_arguments(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=value``; a bare ``NAME`` takes its value from the environment, as in Docker."""
    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if equals or name in os.environ:
            arguments[name] = value if equals else os.environ[name]
    return arguments


def _tag(arguments: list[str]) -> None:
    parser = DockerParser(prog="docker tag", add_help=False)
    parser.add_argument("source")
    parser.add_argument("target")
    options = parser.parse_args(arguments)
    _store().tag(_full_name(options.target), _find(options.source).digest)


def _push(arguments: list[str]) -> None:
    parser = DockerParser(prog="docker push", add_help=False)
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("name")
    name = _full_name(parser.parse_args(arguments).name)
    reference = ImageReference.parse(name)
    require_login(reference.registry)
    image = _find(name)
    _say(f"The push refers to repository [{reference.registry}/{reference.repository}]")
    ecr = boto3.client("ecr", config=botocore.config.Config(proxies={}))
    push_image(ecr, reference, Manifest(image.manifest, image.digest))
    _say(f"{reference.tag}: digest: {image.digest} size: {len(image.manifest.encode())}")


def _login(arguments: list[str]) -> None:
    log_in(arguments)
    _say("Login Succeeded")


def _images(arguments: list[str]) -> None:
    DockerParser(prog="docker images", add_help=False).parse_args(arguments)
    for name, digest in _store().references():
        _say(f"{name}  {digest[7:19]}")


def _inspect(arguments: list[str]) -> None:
    parser = DockerParser(prog="docker inspect", add_help=False)
    parser.add_argument("name")
    name = _full_name(parser.parse_args(arguments).name)
    image = _find(name)
    repository = name.rpartition(":")[0]
    facts = {
        "Id": image.digest,
        "RepoTags": [known for known, digest in _store().references() if digest == image.digest],
        "RepoDigests": [f"{repository}@{image.digest}"],
        "Config": {
            "Env": [f"{key}={value}" for key, value in image.config.environment.items()],
            "WorkingDir": image.config.working_dir,
            "Entrypoint": image.config.entrypoint,
            "Cmd": image.config.command,
        },
    }
    _say(json.dumps([facts], indent=2))


def _version(_: list[str]) -> None:
    _say(_NAME)


def _unknown(_: list[str]) -> None:
    message = f"this command is not here; the stand-in knows {', '.join(sorted(_COMMANDS))}"
    raise CommandError(message)


_COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "build": _build,
    "images": _images,
    "inspect": _inspect,
    "login": _login,
    "push": _push,
    "tag": _tag,
    "version": _version,
}


def _find(name: str) -> Image:
    try:
        return _store().find(_full_name(name))
    except KeyError as error:
        message = f"no such image: {_full_name(name)}; `docker build --tag {name}` makes it"
        raise CommandError(message) from error


def _full_name(name: str) -> str:
    """Add the tag that a name without one means."""
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _store() -> ImageStore:
    return ImageStore(Path(os.environ["LOCAL_AWS_IMAGES"]), Path(os.environ["LOCAL_AWS_CACHE"]))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
