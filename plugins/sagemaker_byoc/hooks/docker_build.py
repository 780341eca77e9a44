"""Images built by a Docker engine that the worker reaches, and pushed to ECR by it.

Owns the order of the steps, the retries of the push and what a refusal means. The calls themselves are in
``hooks.docker_engine`` and ``hooks.repository``.
"""

from __future__ import annotations

import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from sagemaker_byoc.base_image import Bases, ecr_registries
from sagemaker_byoc.engine_output import PushFault, push_fault
from sagemaker_byoc.errors import ImageBuildError, ImageBuildInterruptedError, RequestError
from sagemaker_byoc.hooks.docker_engine import PushRefusedError, RegistrySilentError, docker_engine
from sagemaker_byoc.hooks.repository import ImageRepository, in_region, registry_login
from sagemaker_byoc.image_build import BuildState
from sagemaker_byoc.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.docker_engine import DockerEngine
    from sagemaker_byoc.hooks.image import BuilderSettings
    from sagemaker_byoc.hooks.repository import RegistryLogin
    from sagemaker_byoc.image_build import ImageOrder

__all__ = ["DockerBuilder"]

log = logging.getLogger(__name__)

PUSH_ATTEMPTS = 4
"""The engine itself tries each layer five times, so this is for what ends a push as a whole."""

FIRST_PAUSE_SECONDS = 2.0
LISTING_SECONDS = 10.0
"""How long ECR may take to list what its registry has accepted; an emulated one learns of it by a message."""

ASKING_SECONDS = 5.0
"""How long the registries of base images may take to tell their digests; they are asked at the same time."""

_LISTING_PAUSE_SECONDS = 0.25
_CONTENT_TAG_PREFIX = "ctx-"
_OPTIONS = frozenset(
    {
        "container_limits",
        "extra_hosts",
        "isolation",
        "labels",
        "network_mode",
        "nocache",
        "pull",
        "shmsize",
        "squash",
        "use_config_proxy",
    }
)
"""What ``config`` may hold. Source: ``build`` in the reference of docker-py 7; the others are filled in here."""


class DockerBuilder:
    """The classic builder of a Docker engine; needs neither CodeBuild nor a bucket.

    The engine is looked for when there is something to build, so a worker without one still finds images that exist.
    What was built stays in the engine, as the cache of the next build.

    :raises RequestError: ``config`` holds what docker-py's ``build`` does not take from the user
    """

    def __init__(self, connection: AwsConnection, settings: BuilderSettings) -> None:
        for name in settings.config:
            if name not in _OPTIONS:
                allowed = f"with builder='docker' one of {', '.join(sorted(_OPTIONS))}"
                raise RequestError(f"config.{name}", settings.config[name], allowed)
        self._connection = connection
        self._settings = settings

    def identify(self, names: Sequence[str]) -> Bases:
        """Let the engine ask the images' registries, which have 5 s between them."""
        if not names:
            return Bases()
        try:
            with docker_engine(ASKING_SECONDS) as engine:
                return _identify(engine, names)
        except RequestError as error:
            log.warning("Without an engine no digest is known of %s: %s", ", ".join(names), error)
            return Bases(unknown=names)

    def start(self, order: ImageOrder) -> BuildState:
        """Build and push; return when ECR lists the image.

        :raises RequestError: no engine answers
        :raises ImageBuildError: a step failed, ECR does not let us push, or a secret would be published
        :raises ImageBuildInterruptedError: engine or registry failed for a reason that may pass
        """
        with docker_engine() as engine:
            work = _Work(self._connection, self._settings, order, engine)
            image_id = work.build()
            work.push()
        return BuildState(image_id, "SUCCEEDED", image_uri=order.image_uri, ordered_by=order.ordered_by)

    def look(self, build_id: str) -> BuildState:
        """Describe a build that ``start`` has returned: it has ended."""
        return BuildState(build_id, "SUCCEEDED")

    def stop(self, build_id: str) -> None:
        """Do nothing: a build ends with the process that started it, because the engine loses its client."""


def _identify(engine: DockerEngine, names: Sequence[str]) -> Bases:
    """Ask all registries at once, so that several that do not answer take no longer than one."""
    with ThreadPoolExecutor(len(names)) as pool:
        found = pool.map(lambda name: _identify_one(engine, name), names)
    return reduce(or_, found)


def _identify_one(engine: DockerEngine, name: str) -> Bases:
    try:
        digest = engine.registry_digest(name)
    except RegistrySilentError as error:
        return _without_registry(engine, name, error)
    held = engine.held(name) if digest is None else None
    digest = digest or (held.digest if held else None)
    log.info("The base image %s is %s.", name, digest or (held.engine_id if held else "not known"))
    if digest is not None:
        return Bases({name: digest})
    return Bases(engine_ids={name: held.engine_id}) if held else Bases(unknown=[name])


def _without_registry(engine: DockerEngine, name: str, error: RegistrySilentError) -> Bases:
    """Tell what the engine itself knows: everything of an image of its own, of another one only what it once was."""
    held = engine.held(name)
    if held and held.is_own:
        log.info("The base image %s is the engine's own, %s; its registry says: %s", name, held.engine_id, error)
        return Bases(engine_ids={name: held.engine_id})
    log.warning("The registry of the base image %s does not tell its digest: %s", name, error)
    return Bases(unknown=[name], copies={name: held.digest} if held and held.digest else {})


class _Work:
    """One order on its way through the engine."""

    def __init__(
        self, connection: AwsConnection, settings: BuilderSettings, order: ImageOrder, engine: DockerEngine
    ) -> None:
        self._order = order
        self._engine = engine
        self._name = order.repository_uri.partition("/")[2]
        self._connection = connection
        self._repository = ImageRepository(connection, self._name)
        self._options = settings.config
        arguments = order.context.build_args
        self._secrets = {name: arguments[name] for name in settings.secret_build_args if name in arguments}
        self._host = order.repository_uri.partition("/")[0]
        self._login = registry_login(connection, self._host)

    def build(self) -> str:
        """Build the image and return its id in the engine."""
        context = self._order.context
        log.info("Building %s with the Docker engine.", self._order.image_uri)
        image_id = self._engine.build(
            context,
            self._reference(self._order.tag),
            mask=Mask(self._secrets.values()),
            references=self._enter_registries(),
            cache_from=self._cache(),
            options=self._options,
        )
        self._refuse_secrets(image_id)
        return image_id

    def _enter_registries(self) -> dict[str, str]:
        """Let the engine into the registries of ECR that base images come from; return what it shall take from where.

        The user's own Docker configuration lets it into others.
        """
        references = self._order.bases.references
        images = self._order.context.base_images
        for host, region in ecr_registries(images).items():
            login = self._login if host == self._host else registry_login(in_region(self._connection, region), host)
            self._engine.login(login.host, _auth(login))
            if login.host != host:
                # An emulated registry: its name leads nowhere, also for an image that is pinned or not followed.
                here = [image.name for image in images if image.name.startswith(f"{host}/")]
                references |= {name: login.host + references.get(name, name).removeprefix(host) for name in here}
        return references

    def push(self) -> None:
        """Push until the image is there, with a new token for each attempt."""
        for attempt in range(1, PUSH_ATTEMPTS + 1):
            try:
                digest = self._engine.push(self._reference(self._order.tag), _auth(self._login))
            except PushRefusedError as error:
                if self._is_there():
                    log.info("%s is there already, pushed by another run: %s", self._order.image_uri, error)
                    return
                self._give_up_or_wait(attempt, error)
                self._login = registry_login(self._connection, self._host)
            else:
                log.info("The registry took %s as %s.", self._order.image_uri, digest)
                self._await_listing()
                return

    def _is_there(self) -> bool:
        """Ask ECR: a tag that cannot be moved, and is taken, belongs to this very content."""
        return self._repository.digest(self._order.tag) is not None

    def _give_up_or_wait(self, attempt: int, error: PushRefusedError) -> None:
        message = f"{self._order.image_uri} was built, but not pushed: {error}"
        fault = push_fault(str(error))
        if fault in _ADVICE:
            raise ImageBuildError(f"{message}\n{_ADVICE[fault]}") from error
        if attempt == PUSH_ATTEMPTS:
            advice = _LOGIN_ADVICE if fault == PushFault.LOGIN else "Every attempt failed like this."
            raise ImageBuildInterruptedError(f"{message}\n{advice}") from error
        # Jitter keeps two workers from meeting again; it guards no secret.
        pause_seconds = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311
        log.warning("Push %d of %d failed, next in %.1f s: %s", attempt, PUSH_ATTEMPTS, pause_seconds, error)
        time.sleep(pause_seconds)

    def _await_listing(self) -> None:
        """Wait until ECR lists the image; the operator judges when it never does."""
        deadline = time.monotonic() + LISTING_SECONDS
        while not self._is_there() and time.monotonic() < deadline:
            time.sleep(_LISTING_PAUSE_SECONDS)

    def _cache(self) -> list[str]:
        """Find the image whose layers the build may take over, when the engine does not know them by itself.

        An engine that built the previous image has a richer cache of its own, which knows the steps of failed builds,
        too; naming an image would confine it to that one.
        """
        try:
            newest = self._repository.newest(_CONTENT_TAG_PREFIX)
        except Exception as error:  # noqa: BLE001 - a cache is not worth a failed build
            log.info("No cache from ECR: %s", error)
            return []
        if newest is None:
            return []
        reference = self._reference(newest[0])
        if self._engine.built_here(reference):
            return []
        if self._engine.holds(reference):
            return [reference]
        log.info("Fetching %s for its layers.", newest[0])
        return [reference] if self._engine.pull(reference, _auth(self._login)) else []

    def _refuse_secrets(self, image_id: str) -> None:
        """Keep an image at home that tells a secret to whoever may pull it."""
        if not self._secrets:
            return
        traces = "\n".join(self._engine.traces(image_id))
        found = [name for name, value in self._secrets.items() if Mask([value]).finds(traces)]
        if found:
            raise ImageBuildError(
                f"The image was built but not pushed: its history or environment shows the value of "
                f"{', '.join(found)}. Use a secret build argument in an earlier stage only, and copy what it fetched "
                "from there (COPY --from)."
            )

    def _reference(self, tag: str) -> str:
        return f"{self._login.host}/{self._name}:{tag}"


def _auth(login: RegistryLogin) -> dict[str, str]:
    return {"username": login.username, "password": login.password}


_LOGIN_ADVICE = (
    "ECR refuses the login, each time with a new token: is the worker's clock right, and does the role of the "
    "connection still exist?"
)
_ADVICE = {
    PushFault.DISK: "The disk of the Docker engine or of the registry is full: make room there.",
    PushFault.RIGHTS: (
        "The role of the connection must allow, on the repository, ecr:BatchCheckLayerAvailability, "
        "ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage."
    ),
}
