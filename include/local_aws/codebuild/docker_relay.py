"""Hands ``docker`` in builds over to the real command, with ECR's images where the registry has them.

Owns what is done before and after the real command: options, names, login, and the refusals that ECR would have
answered to a push. Must not know what the engine does.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.config
from botocore.exceptions import ClientError

from local_aws.codebuild.docker_arguments import read_command_line, read_options
from local_aws.codebuild.docker_login import CommandError, log_in, require_login
from local_aws.codebuild.docker_name import DockerNames
from local_aws.container import ContainerError
from local_aws.image_reference import ImageReference
from local_aws.registry.client import Registry, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["main"]

_NAME = "docker (as the local AWS runs it)"
_OWN_DIRECTORY = Path(__file__).with_name("bin")
_SPEAKING = frozenset({"build", "history", "images", "inspect", "ls", "pull", "push", "tag"})
"""Commands that print text with names. The output of others, such as ``save``, is not touched."""
_MIRROR_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
_NO_PROGRAM = 127
"""A shell's exit code for a command that it does not find."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line, without the leading ``docker``; return the exit code."""
    names = DockerNames(os.environ["LOCAL_AWS_ECR_HOST"], os.environ["LOCAL_AWS_REGISTRY"])
    program = shutil.which("docker", path=_path_without_us())
    if program is None:
        sys.stderr.write(
            f"{_NAME}: there is no docker command on PATH; install Docker's command line, or start the local AWS "
            "with --engine process\n"
        )
        return _NO_PROGRAM
    try:
        return _Command(program, list(arguments), names).run()
    except (CommandError, ContainerError, RegistryError) as error:
        sys.stderr.write(f"{_NAME}: {error}\n")
        return 1


def _path_without_us() -> str:
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(part for part in parts if Path(part) != _OWN_DIRECTORY)


class _Command:
    """One command line on its way to the real program.

    :param program: path of the real ``docker``
    """

    def __init__(self, program: str, arguments: list[str], names: DockerNames) -> None:
        self._program = program
        self._names = names
        line = read_command_line(arguments)
        self._before, self._verb, self._rest = line.before, line.verb, line.rest

    def run(self) -> int:
        """Run it and return its exit code.

        :raises CommandError: ECR would refuse it
        """
        _prepare_configuration(self._names.registry)
        if self._verb == "login" and self._names.ecr_host in [_host(word) for word in self._rest]:
            log_in(self._rest)
            sys.stdout.write("Login Succeeded\n")
            return 0
        if self._verb == "build":
            return self._build()
        if self._verb == "push":
            options = read_options(self._rest)
            names = options.words if not options.of("-a", "--all-tags") else []
            return self._push(options.words, names, lambda: self._execute(self._rest))
        return self._execute(self._rest)

    def _build(self) -> int:
        options = read_options(self._rest)
        # A container of a step that fails would stay; BuildKit has none, and takes no notice.
        ours = ["--force-rm", "--label", os.environ["LOCAL_AWS_DOCKER_BUILD_LABEL"]]
        machine = shlex.split(os.environ.get("LOCAL_AWS_DOCKER_BUILD_OPTIONS", ""))
        mirrors = [option for name in _mirrors() for option in ("--build-arg", name)]
        pushed = options.of("-t", "--tag") if options.pushes else []
        with self._translated_dockerfile(options.dockerfile) as dockerfile:
            # Of one option given twice Docker takes the last. An option after a lone "--" would be none.
            words = [*ours, *mirrors, *machine, *_with_options(self._rest, dockerfile)]
            return self._push(pushed, pushed, lambda: self._execute(words))

    @contextmanager
    def _translated_dockerfile(self, file: Path | None) -> Iterator[list[str]]:
        """Yield the options that name a Dockerfile whose images come from the registry; none if it needs no change."""
        text = file.read_text(encoding="utf-8", errors="surrogateescape") if file else ""
        translated = self._names.dockerfile_to_engine(text)
        if translated == text:
            yield []
            return
        with tempfile.NamedTemporaryFile(dir=os.environ["DOCKER_CONFIG"], prefix="Dockerfile-") as copy:
            copy.write(translated.encode(errors="surrogateescape"))
            copy.flush()
            yield ["--file", copy.name]

    def _push(self, names: Sequence[str], shown: Sequence[str], execute: Callable[[], int]) -> int:
        """Run what pushes images of these names; ``shown`` are those that ECR has to show afterwards."""
        pushed = self._ecr_references(names)
        if not pushed:
            return execute()
        ecr = boto3.client("ecr", config=botocore.config.Config(proxies={}))
        for reference in pushed:
            require_login(reference.registry)
            _require_repository(ecr, reference)
        code = execute()
        if code == 0:
            for reference in self._ecr_references(shown):
                self._require_shown(ecr, reference)
        return code

    def _ecr_references(self, names: Sequence[str]) -> list[ImageReference]:
        return [ImageReference.parse(name) for name in names if name.startswith(f"{self._names.ecr_host}/")]

    def _require_shown(self, ecr: Any, reference: ImageReference) -> None:
        """Fail when ECR keeps what an immutable tag named before; the registry knows no such rule."""
        tag = reference.tag or "latest"
        manifest = Registry(os.environ["LOCAL_AWS_REGISTRY_FROM_HERE"]).manifest(reference.repository, tag)
        try:
            images = ecr.describe_images(repositoryName=reference.repository, imageIds=[{"imageTag": tag}])
        except ClientError as error:
            name = f"{reference.repository}:{tag}"
            message = f"ECR does not show {name}: it was built with other --docker-build-options; build it again"
            raise CommandError(message) from error
        if manifest and images["imageDetails"][0]["imageDigest"] != manifest.digest:
            message = (
                f"tag invalid: The image tag '{tag}' already exists in the '{reference.repository}' repository and "
                "cannot be overwritten because the tag is immutable."
            )
            raise CommandError(message)

    def _execute(self, rest: Sequence[str]) -> int:
        words = [*self._before, *([self._verb] if self._verb else []), *rest]
        pipe = subprocess.PIPE if self._verb in _SPEAKING else None
        process = subprocess.Popen([self._program, *map(self._names.to_engine, words)], stdout=pipe, stderr=pipe)
        pumps = [
            threading.Thread(target=self._pump, args=streams)
            for streams in ((process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer))
            if streams[0] is not None
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        code = process.wait()
        return 128 - code if code < 0 else code

    def _pump(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Pass on each line as it comes."""
        for line in source:
            target.write(self._names.to_ecr(line))
            target.flush()


def _mirrors() -> list[str]:
    """Name the variables to make build arguments of, and say which are not because they hold a password.

    A build argument stands in the history of the image, which everybody reads who may pull it. Without a value the
    real command takes it from the environment; a Dockerfile without that ARG ignores it.
    """
    given = {name: os.environ[name] for name in _MIRROR_VARIABLES if os.environ.get(name)}
    secret = [name for name, urls in given.items() if any("@" in urlsplit(url).netloc for url in urls.split())]
    for name in secret:
        sys.stderr.write(
            f"{_NAME}: {name} has a user's name or token in it and is not passed on, since the image's history would "
            "show it; see container/README.md, A private index\n"
        )
    return [name for name in given if name not in secret]


def _host(word: str) -> str:
    return word.removeprefix("https://").rstrip("/")


def _with_options(rest: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return a command's words with more options at the end of those that it has."""
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *options, *rest[end:]]


def _require_repository(ecr: Any, reference: ImageReference) -> None:
    try:
        ecr.describe_repositories(repositoryNames=[reference.repository])
    except ClientError as error:
        registry = reference.registry.partition(".")[0]
        message = (
            f"name unknown: The repository with name '{reference.repository}' does not exist in the registry with id "
            f"'{registry}' ({error.response['Error']['Code']})"
        )
        raise CommandError(message) from error


def _prepare_configuration(registry: str) -> None:
    """Make the build's own Docker configuration, once, so that nothing is read from or written to the user's."""
    directory = Path(os.environ["DOCKER_CONFIG"])
    file = directory / "config.json"
    if file.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    # With no entry at all, Docker would look for the machine's keychain and write logins there.
    file.write_text(json.dumps({"auths": {registry: {}}}))
    plugins = Path.home() / ".docker" / "cli-plugins"
    if plugins.is_dir():
        (directory / "cli-plugins").symlink_to(plugins)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
