"""Brings the image of a folder into ECR.

Owns the order of the steps and the deferral. How an image is built is the builder's, see ``hooks.builder``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.log import mask_secret

from sagemaker_byoc.base_image import Bases
from sagemaker_byoc.build_context import DEFAULT_PLATFORM, BuildContext
from sagemaker_byoc.console import build_url, log_url
from sagemaker_byoc.errors import ImageBuildError, ImageBuildInterruptedError, RequestError
from sagemaker_byoc.hooks.builder import find_bases, make_builder
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.image import Builder, BuilderSettings
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.hooks.repository import ImageRepository
from sagemaker_byoc.hooks.task_state import has_left
from sagemaker_byoc.image_build import BuildState, ImageOrder
from sagemaker_byoc.links import LogLink
from sagemaker_byoc.mask import secret_forms
from sagemaker_byoc.request import as_mapping
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.triggers.image import ImageBuildTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context
    from jinja2 import Environment

__all__ = ["BuildPushImageOperator"]


class BuildPushImageOperator(BaseOperator):
    """Build the image of a folder and push it to ECR, unless ECR holds an image of this very content.

    The image carries a tag made of the content and of its base images' digests, so an unchanged folder costs two calls
    to ECR, one more for each base image in ECR, and five seconds at most for those elsewhere. What else the Dockerfile
    fetches (packages without version) is not part of it: change a build argument to build again. A build of the same
    content that is running already, of an earlier try or of another run, is adopted.

    Returns ``<registry>/<repository>@sha256:<digest>``, with the digest that ECR reports.

    :param context_path: the folder, on the worker (templated)
    :param repository: name of the ECR repository, without the registry (templated)
    :param builder: who builds: ``codebuild``, or ``docker``, which is the engine that ``DOCKER_HOST`` or the default
        socket leads to from the worker. It needs the package ``docker``, and no engine when the image exists. The
        task stays on the worker until the image is pushed, and the build's lines are in the task's log
    :param project_name: CodeBuild project (templated). Its environment needs a Docker daemon (privileged mode is
        asked for) and its role the right to read the bucket and to push to the repository
    :param source_bucket: S3 bucket for the archives of build contexts (templated)
    :param source_prefix: of their keys (templated)
    :param config: further members of the builder's request (templated): of CodeBuild's StartBuild, or of docker-py's
        ``build``, for example ``{"network_mode": "host"}``
    :param dockerfile: path in the folder (templated)
    :param build_args: values for the Dockerfile's ``ARG`` lines (templated)
    :param secret_build_args: names of those in ``build_args`` whose values are masked in log and errors; with
        ``docker`` only. An image that would carry a value in its history or environment is not pushed: use the
        argument in an earlier stage and copy the result from there
    :param target: stage of the Dockerfile to stop at (templated)
    :param platform: what the image is for, whatever the builder's own is: ``linux/amd64``, which every training
        instance of SageMaker is, or ``linux/arm64`` for hosting on Graviton (templated)
    :param follow_base_image: build again when a base image is a newer one, and build on the very image that was found.
        ECR is asked for its own images, whoever builds; the registries of others are asked by ``docker``, and by
        ``codebuild`` not at all. While a base image's digest cannot be had, the newest image of the same content will
        do
    :param maximum_context_bytes: refuse a folder that holds more
    :param create_repository: make a missing repository, with immutable tags and a scan of what is pushed
    :param lifecycle_policy: ECR's rules for the repository, such as to expire old images (templated). Whenever
        something is built, a repository without rules gets these; one that has some keeps its own. An image that an
        endpoint serves has to outlive the next deployments, those that are not deployed included
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at the build
    :param stop_on_kill: stop the build when a person ends the task; a build that another run started goes on
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "context_path",
        "repository",
        "project_name",
        "source_bucket",
        "source_prefix",
        "config",
        "dockerfile",
        "build_args",
        "target",
        "platform",
        "lifecycle_policy",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"config": "json", "build_args": "json", "lifecycle_policy": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (LogLink(),)
    ui_color = "#f9e0c7"

    def __init__(
        self,
        *,
        context_path: str,
        repository: str,
        builder: str = "codebuild",
        project_name: str = "",
        source_bucket: str = "",
        source_prefix: str = "build-contexts",
        config: dict[str, Any] | None = None,
        dockerfile: str = "Dockerfile",
        build_args: dict[str, str] | None = None,
        secret_build_args: Sequence[str] = (),
        target: str | None = None,
        platform: str = DEFAULT_PLATFORM,
        follow_base_image: bool = True,
        maximum_context_bytes: int = 500_000_000,
        create_repository: bool = True,
        lifecycle_policy: dict[str, Any] | None = None,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        stop_on_kill: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.context_path = context_path
        self.repository = repository
        self.builder = builder
        self.project_name = project_name
        self.source_bucket = source_bucket
        self.source_prefix = source_prefix
        self.config = config
        self.dockerfile = dockerfile
        self.build_args = build_args
        self.secret_build_args = secret_build_args
        self.target = target
        self.platform = platform
        self.follow_base_image = follow_base_image
        self.maximum_context_bytes = maximum_context_bytes
        self.create_repository = create_repository
        self.lifecycle_policy = lifecycle_policy
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.stop_on_kill = stop_on_kill
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._waiting_as: Any = None
        self._waiting_for = ""

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render, and let Airflow mask the secrets before it stores what was rendered for its page to show.

        A mapped task is rendered without this method, so there only a secret that Airflow knows as one (a Variable or
        Connection with such a name) is masked on that page.
        """
        super().render_template_fields(context, jinja_env)
        with fail_fast():
            for value in self._secrets().values():
                _hide(value)

    def execute(self, context: Context) -> str:
        """Find the image, or see to it that it is built."""
        with fail_fast():
            order, digest = self._order(RunIdentity.of(context))
            if digest is not None:
                self.log.info("ECR holds this content already as %s: nothing to build.", digest)
                return f"{order.repository_uri}@{digest}"
            if self.lifecycle_policy:
                ImageRepository(self._connection, self.repository).ensure_lifecycle_policy(self.lifecycle_policy)
            state = self._builder().start(order)
            return self._wait(context, order, state)

    def execute_complete(self, _context: Context, event: dict[str, Any], **order: Any) -> str:
        """Take the image from the build that has ended.

        :param order: what ``execute`` remembered, since the folder may have changed meanwhile
        """
        with fail_fast():
            if "error" in event:
                raise ImageBuildError(event["error"])
            return self._finish(event["build_id"], **order)

    def on_kill(self) -> None:
        """Stop the build that this task started, if a person ended the task while it waited on the worker."""
        if self._waiting_for and self.stop_on_kill and has_left(self._waiting_as, "running"):
            self._builder().stop(self._waiting_for)

    def _order(self, run: RunIdentity) -> tuple[ImageOrder, str | None]:
        """Check everything that can be checked, then make the order and ask ECR for its image."""
        self._hide_secrets()
        context = BuildContext(
            path=Path(self.context_path),
            dockerfile=self.dockerfile,
            build_args=_arguments(self.build_args),
            target=self.target or None,
            platform=self.platform or DEFAULT_PLATFORM,
            maximum_bytes=self.maximum_context_bytes,
        )
        self.log.info("%s holds %d files, content address %s.", context.path, len(context.files), context.address)
        builder = self._builder()
        repository = ImageRepository(self._connection, self.repository)
        as_mapping(self.lifecycle_policy or {}, "lifecycle_policy")
        uri = repository.ensure(run.tags(), create=self.create_repository)
        ordered_by = run.key.replace("\n", "/")
        bases = find_bases(self._connection, builder, context) if self.follow_base_image else Bases()
        order = ImageOrder(context, uri, self._connection.region, ordered_by, bases)
        if bases.unknown:
            newest = self._newest(repository, order)
            if newest is not None:
                return order, newest
            order = replace(order, bases=bases.settled)
        return order, repository.digest(order.tag)

    def _newest(self, repository: ImageRepository, order: ImageOrder) -> str | None:
        """Find the newest image of this content, when it is not known on which base images it should stand."""
        found = repository.newest(order.context.tag)
        if found is None:
            return None
        tag, digest = found
        self.log.warning(
            "Nothing is known now of %s: %s is taken, the newest image of this content.",
            ", ".join(order.bases.unknown),
            tag,
        )
        return digest

    def _wait(self, context: Context, order: ImageOrder, state: BuildState) -> str:
        ours = state.ordered_by == order.ordered_by
        self.log.info("Build %s of %s%s.", state.build_id, order.image_uri, "" if ours else ", started by another run")
        if state.log_group:
            LogLink().push(context, log_url(self._connection.region, state.log_group, state.log_stream))
        remembered: dict[str, Any] = {"repository_uri": order.repository_uri, "tag": order.tag, "ours": ours}
        if self.deferrable and state.in_progress:
            self._defer(state, remembered)
        if ours:
            self._waiting_as, self._waiting_for = context["ti"], state.build_id
        while state.in_progress:
            time.sleep(self.poll_interval_seconds)
            state = self._builder().look(state.build_id)
        self._waiting_for = ""
        return self._finish(state.build_id, **remembered)

    def _defer(self, state: BuildState, remembered: dict[str, Any]) -> None:
        trigger = ImageBuildTrigger(
            connection=self._connection.serialize(),
            build_id=state.build_id,
            builder=self.builder,
            project_name=self.project_name,
            source_bucket=self.source_bucket,
            stop_on_kill=self.stop_on_kill and remembered["ours"],
            poll_interval_seconds=self.poll_interval_seconds,
        )
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=remembered, timeout=self.execution_timeout)

    def _finish(self, build_id: str, repository_uri: str, tag: str, *, ours: bool) -> str:
        """Read the digest back; what the build says of itself only explains its absence."""
        digest = ImageRepository(self._connection, repository_uri.partition("/")[2]).digest(tag)
        if digest is None:
            state = self._builder().look(build_id)
            kind = ImageBuildInterruptedError if state.is_passing(ours=ours) else ImageBuildError
            raise kind(self._story(state, f"{repository_uri}:{tag}"))
        self.log.info("%s:%s is %s.", repository_uri, tag, digest)
        return f"{repository_uri}@{digest}"

    def _story(self, state: BuildState, image_uri: str) -> str:
        if not state.log_group:
            return state.explain(image_uri)
        lines = LogHook(self._connection).last_words(state.log_group, state.log_stream)
        # ECR's registries begin with the account, which CodeBuild's pages are addressed by.
        account = image_uri.partition(".")[0]
        link = build_url(self._connection.region, account, self.project_name, state.build_id)
        return "\n".join(
            (state.explain(image_uri), "Last lines of its log:", *(lines or ["(none)"]), f"Console: {link}")
        )

    def _hide_secrets(self) -> None:
        """Let Airflow mask the secret values, wherever they would be logged.

        :raises RequestError: a name is not that of a build argument
        """
        secrets = self._secrets()
        for name in self.secret_build_args:
            if name not in secrets:
                names = ", ".join(sorted(_arguments(self.build_args))) or "there are none"
                raise RequestError("secret_build_args", name, f"a name in build_args ({names})")
            _hide(secrets[name])

    def _secrets(self) -> dict[str, str]:
        """Return the secret values by name.

        :raises RequestError: ``build_args`` is no mapping, such as a template that was rendered to one text; the text
            is not shown
        """
        rendered: Any = self.build_args or {}
        if self.secret_build_args and not isinstance(rendered, Mapping):
            remedy = "A secret may stand in it, so it is not shown. Give a mapping whose values are templates."
            raise RequestError("build_args", type(rendered).__name__, "a mapping of names to values", remedy)
        given = _arguments(rendered) if self.secret_build_args else {}
        return {name: given[name] for name in self.secret_build_args if name in given}

    def _builder(self) -> Builder:
        config = as_mapping(self.config or {}, "config")
        secrets = tuple(self.secret_build_args)
        settings = BuilderSettings(self.project_name, self.source_bucket, self.source_prefix, config, secrets)
        return make_builder(self.builder, self._connection, settings)

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


def _hide(value: str) -> None:
    """Let Airflow mask a value in each of its forms."""
    for form in secret_forms(value):
        mask_secret(form)


def _arguments(given: Any) -> dict[str, str]:
    """Take numbers and booleans for what ``docker build`` would see on its command line."""
    if given is None:
        return {}
    return {str(name): str(value) for name, value in as_mapping(given, "build_args").items()}
