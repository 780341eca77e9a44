"""Calls to a Docker engine.

Owns the connection to the engine and what it does for us: build, pull, push, and tell digests. Reads the user's Docker
configuration as docker-py does, for the registries of base images, and never writes it. Knows neither AWS nor ECR.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.context_archive import write_tar
from sagemaker_byoc.engine_output import (
    BuildOutput,
    TransferOutput,
    is_passing,
    known_digests,
    platform_advice,
    remedy,
    same_platform,
)
from sagemaker_byoc.errors import ImageBuildError, ImageBuildInterruptedError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sagemaker_byoc.build_context import BuildContext
    from sagemaker_byoc.mask import Mask

__all__ = ["DockerEngine", "HeldImage", "PushRefusedError", "RegistrySilentError", "docker_engine"]

log = logging.getLogger(__name__)

SILENCE_SECONDS = 600.0
"""How long an engine may say nothing before it is taken for dead. A build is not bounded, since a step may be silent
for as long as it runs; the task's own timeout ends it."""

_PROGRAM = "Start one (`systemctl start docker`, Docker Desktop, …), point DOCKER_HOST at one"


class PushRefusedError(Exception):
    """The engine or the registry ended the push; the message is theirs."""


class RegistrySilentError(Exception):
    """The registry of an image did not tell its digest; the message is the engine's."""


@dataclass(frozen=True)
class HeldImage:
    """An engine's own copy of an image.

    :param digests: those that the registry of its name gave it
    """

    engine_id: str
    digests: tuple[str, ...]

    @property
    def digest(self) -> str | None:
        """The digest that the name leads to; of several the engine does not tell which."""
        return self.digests[0] if len(self.digests) == 1 else None

    @property
    def is_own(self) -> bool:
        """Say whether the image was made here, or loaded, and no registry has it."""
        return not self.digests


class DockerEngine:
    """An engine that answers.

    :param api: docker-py's low-level client
    """

    def __init__(self, api: Any) -> None:
        self._api = api

    def build(
        self,
        context: BuildContext,
        reference: str,
        *,
        mask: Mask,
        references: Mapping[str, str],
        cache_from: Sequence[str] = (),
        options: Mapping[str, Any],
    ) -> str:
        """Build the image, log each line, and return the image's id in the engine.

        The classic builder is asked for. It drops the build when this process goes away.

        :param reference: name and tag that the image gets
        :param references: what to take in place of the names of base images, by name
        :param options: further parameters of docker-py's ``build``
        :raises ImageBuildError: a step failed; tells which, with the last lines
        :raises ImageBuildInterruptedError: the engine went away, or the base image's registry could not be reached
        """
        output = BuildOutput(mask, time.monotonic)
        with tempfile.TemporaryFile() as archive:
            write_tar(context, archive, references)
            archive.seek(0)
            request = {
                "fileobj": archive,
                "custom_context": True,
                "decode": True,
                "tag": reference,
                "dockerfile": context.dockerfile,
                "buildargs": dict(context.build_args),
                "target": context.target,
                # Left out where it is the engine's own: engines before 20.10 take it only with experimental features.
                "platform": None if same_platform(context.platform, self._platform()) else context.platform,
                "cache_from": list(cache_from) or None,
                "rm": True,
                "forcerm": True,
                "timeout": None,
                **options,
            }
            self._follow(request, output, context.platform)
        if not output.image_id:
            raise ImageBuildInterruptedError(f"The Docker engine broke off the build of {reference}: {output.where()}.")
        self._check_platform(output.image_id, context.platform)
        return output.image_id

    def login(self, host: str, auth: Mapping[str, str]) -> None:
        """Let the builds of this connection into a registry; only this process remembers the login.

        :raises ImageBuildError: the registry refuses it
        :raises ImageBuildInterruptedError: the registry could not be reached
        """
        try:
            self._api.login(auth["username"], auth["password"], registry=host, reauth=True)
        except _faults() as error:
            kind = ImageBuildInterruptedError if is_passing(_told(error)) else ImageBuildError
            raise kind(f"The Docker engine is not let into {host}, which has a base image: {_told(error)}") from error

    def registry_digest(self, name: str) -> str | None:
        """Let the engine ask an image's registry for the digest; None when the registry has no such image.

        :raises RegistrySilentError: it does not answer, or does not say
        """
        try:
            return str(self._api.inspect_distribution(name)["Descriptor"]["digest"])
        except _faults() as error:
            if getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND:
                return None
            raise RegistrySilentError(_told(error)) from error

    def held(self, name: str) -> HeldImage | None:
        """Describe the engine's own copy of an image; None when it has none."""
        try:
            image = self._api.inspect_image(name)
        except _faults():
            return None
        target = (image.get("Descriptor") or {}).get("digest")  # API 1.48 and later, with containerd's store
        digests = known_digests(name, image.get("RepoDigests") or ())
        return HeldImage(str(image["Id"]), tuple([target] if target in digests else digests))

    def push(self, reference: str, auth: Mapping[str, str]) -> str:
        """Push the image, log its layers, and return the digest that the registry took it under.

        :raises PushRefusedError: it did not get there
        """
        digest = ""
        output = TransferOutput(time.monotonic)
        try:
            for event in self._api.push(reference, stream=True, decode=True, auth_config=dict(auth)):
                if "error" in event:
                    raise PushRefusedError(str(event["error"]))
                digest = (event.get("aux") or {}).get("Digest", digest)
                if line := output.read(event):
                    log.info("%s", line)
        except _faults() as error:
            raise PushRefusedError(_told(error)) from error
        if not digest:
            raise PushRefusedError("the engine broke off without a digest")
        return digest

    def pull(self, reference: str, auth: Mapping[str, str]) -> bool:
        """Fetch an image to take layers from; tell whether it came."""
        output = TransferOutput(time.monotonic)
        try:
            for event in self._api.pull(reference, stream=True, decode=True, auth_config=dict(auth)):
                if "error" in event:
                    log.info("%s is not used as a cache: %s", reference, event["error"])
                    return False
                if line := output.read(event):
                    log.info("%s", line)
        except _faults() as error:
            log.info("%s is not used as a cache: %s", reference, _told(error))
            return False
        return True

    def holds(self, reference: str) -> bool:
        """Tell whether the engine has the image."""
        return self.held(reference) is not None

    def built_here(self, reference: str) -> bool:
        """Tell whether this engine ran every step of the image itself, so that its own cache knows all of them.

        A step that it took over from a named image has no command of its own, and is not found again without that
        name; nor does an engine of API 1.45 or later tell any commands, so there every image counts as taken over.
        """
        steps = self._lineage(reference)
        return len(steps) > 1 and all((step.get("ContainerConfig") or {}).get("Cmd") for step in steps[:-1])

    def _lineage(self, reference: str) -> list[dict[str, Any]]:
        """Return the image and those that it was made from, the base image as the last; none without the image."""
        found: list[dict[str, Any]] = []
        try:
            while reference:
                found.append(self._api.inspect_image(reference))
                reference = found[-1].get("Parent", "")
        except _faults():
            return []
        return found

    def traces(self, image_id: str) -> list[str]:
        """List what everybody can read in an image: its commands, environment and labels."""
        config = self._api.inspect_image(image_id).get("Config") or {}
        commands = [str(layer.get("CreatedBy", "")) for layer in self._api.history(image_id)]
        return [*commands, *(config.get("Env") or []), *map(str, (config.get("Labels") or {}).values())]

    def _follow(self, request: dict[str, Any], output: BuildOutput, platform: str) -> None:
        """Log the build to its end."""
        try:
            for event in self._api.build(**request):
                for line in output.read(event):
                    log.info("%s", line)
                if "error" in event:
                    raise self._failure(str(event["error"]), output, platform)
            for line in output.rest():
                log.info("%s", line)
        except _refusals() as error:
            # The engine's own word, for example on a Dockerfile that it cannot read.
            raise self._failure(_told(error), output, platform) from output.mask.cause(error)
        except _faults() as error:
            message = output.mask(f"The Docker engine went away during {output.where()}: {_told(error)}.")
            raise ImageBuildInterruptedError(message) from output.mask.cause(error)

    def _check_platform(self, image_id: str, wanted: str) -> None:
        """Refuse an image for another platform than was asked for.

        An engine that holds the base image only for its own platform takes that one without a word (20.10 does).
        """
        image = self._api.inspect_image(image_id)
        made = f"{image['Os']}/{image['Architecture']}"
        if not same_platform(wanted, made):
            advice = platform_advice(wanted, self._platform())
            raise ImageBuildError(f"The image was built for {made} and not for {wanted}. {advice}")

    def _failure(self, message: str, output: BuildOutput, platform: str) -> ImageBuildError:
        for line in output.rest():
            log.info("%s", line)
        message = output.mask(message)
        advice = remedy(message, output.tail, platform=platform, engine_platform=self._platform())
        parts = [f"The image was not built: {output.where()}: {message}", advice]
        parts += ["Last lines of the log:", *output.tail] if output.tail else []
        kind = ImageBuildInterruptedError if is_passing(message) else ImageBuildError
        return kind("\n".join(filter(None, parts)))

    def _platform(self) -> str:
        try:
            version = self._api.version()
        except _faults():
            return "not known"
        return f"{version.get('Os')}/{version.get('Arch')}"


@contextmanager
def docker_engine(silence_seconds: float = SILENCE_SECONDS) -> Iterator[DockerEngine]:
    """Connect to the engine that ``DOCKER_HOST`` names, or to the one at the default socket.

    :param silence_seconds: how long the engine may say nothing
    :raises RequestError: the package docker is missing, or no engine answers
    """
    other = "or build without one: builder='codebuild'"
    try:
        import docker
    except ImportError as error:
        remedy = f"Install it (`pip install docker`), {other}."
        raise RequestError("builder", "docker", "a builder whose package is installed", remedy) from error
    try:
        client = docker.from_env(timeout=silence_seconds)
    except docker.errors.DockerException as error:
        address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        allowed = f"a builder that answers, and no Docker engine does at {address} ({_told(error)})"
        raise RequestError("builder", "docker", allowed, f"{_PROGRAM}, {other}.") from error
    try:
        yield DockerEngine(client.api)
    finally:
        client.close()


def _refusals() -> tuple[type[Exception], ...]:
    """Name the errors with which an engine answers."""
    from docker.errors import APIError

    return (APIError,)


def _faults() -> tuple[type[Exception], ...]:
    """Name everything that a call to an engine may raise."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    return (DockerException, RequestException, HTTPError)


def _told(error: Exception) -> str:
    """Return the engine's own sentence, when it is one."""
    return str(getattr(error, "explanation", None) or error)
