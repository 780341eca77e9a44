"""One image build: what is asked for and what became of it, and how AWS CodeBuild is told.

Owns the order and the state that all builders share, and of CodeBuild the build specification, the StartBuild request
made from it, and the reading of a build's answer. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.base_image import Bases, ecr_registries
from sagemaker_byoc.errors import RequestError

if TYPE_CHECKING:
    from sagemaker_byoc.build_context import BuildContext

__all__ = ["BuildState", "ImageOrder", "buildspec", "start_build_request"]

_URI_VARIABLE = "IMAGE_URI"
_RUN_VARIABLE = "IMAGE_ORDERED_BY"
_OWN_FIELDS = ("projectName", "sourceTypeOverride", "sourceLocationOverride", "idempotencyToken")


@dataclass(frozen=True)
class ImageOrder:
    """An image that is wanted in ECR.

    :param context: what it is built from
    :param repository_uri: ``<registry>/<repository>`` as ECR gave it
    :param region: where the repository is
    :param ordered_by: what identifies the task, the same on every automatic retry of it
    :param bases: what is known of the images that it is built on
    """

    context: BuildContext
    repository_uri: str
    region: str
    ordered_by: str
    bases: Bases = field(default_factory=Bases)

    @property
    def tag(self) -> str:
        """Name the image in ECR by its content and by what it is built on."""
        return f"{self.context.tag}{self.bases.suffix}"

    @property
    def image_uri(self) -> str:
        """Return the image's name with its tag."""
        return f"{self.repository_uri}:{self.tag}"

    @property
    def base_registries(self) -> dict[str, str]:
        """Return the region of each registry of ECR, besides the image's own, that a base image comes from."""
        own = self.repository_uri.partition("/")[0]
        found = ecr_registries(self.context.base_images)
        return {host: region for host, region in sorted(found.items()) if host != own}


@dataclass(frozen=True)
class BuildState:
    """A build as its builder describes it; the words are those of CodeBuild's BatchGetBuilds.

    :param status: IN_PROGRESS, SUCCEEDED, FAILED, FAULT, STOPPED or TIMED_OUT
    :param phase: the phase that failed, otherwise the current one
    :param message: what the builder says about the failed phase
    :param log_group: where the build's log lies in CloudWatch; empty when it went into the task's own log
    """

    build_id: str
    status: str
    phase: str = ""
    message: str = ""
    image_uri: str = ""
    ordered_by: str = ""
    log_group: str = ""
    log_stream: str = ""

    @classmethod
    def of(cls, build: Mapping[str, Any]) -> BuildState:
        """Read a ``Build`` of CodeBuild's answers.

        A build that has just begun does not tell its log, but CodeBuild's default is known.
        """
        phases = build.get("phases", [])
        failed: Mapping[str, Any] = next((each for each in phases if each.get("phaseStatus") in _FAILURES), {})
        notes = [note.get("message") or note.get("statusCode", "") for note in failed.get("contexts", [])]
        listed = build.get("environment", {}).get("environmentVariables", [])
        variables = {variable["name"]: variable["value"] for variable in listed}
        logs = build.get("logs", {})
        project, _, number = build["id"].partition(":")
        return cls(
            build_id=build["id"],
            status=build.get("buildStatus", "IN_PROGRESS"),
            phase=failed.get("phaseType") or build.get("currentPhase", ""),
            message="; ".join(filter(None, notes)),
            image_uri=variables.get(_URI_VARIABLE, ""),
            ordered_by=variables.get(_RUN_VARIABLE, ""),
            log_group=logs.get("groupName") or f"/aws/codebuild/{project}",
            log_stream=logs.get("streamName") or number,
        )

    @property
    def in_progress(self) -> bool:
        """Say whether the build goes on."""
        return self.status == "IN_PROGRESS"

    def is_passing(self, *, ours: bool) -> bool:
        """Say whether the next build may well succeed: CodeBuild failed, or somebody else's run was stopped."""
        return self.status == "FAULT" or (self.status == "STOPPED" and not ours)

    def explain(self, image_uri: str) -> str:
        """Say why there is no image."""
        if self.status == "SUCCEEDED":
            return (
                f"Build {self.build_id} succeeded, but ECR does not hold {image_uri}. "
                "Does its own buildspec push another name, or does a lifecycle rule delete what was pushed?"
            )
        said = f": {self.message}" if self.message else ""
        return f"Build {self.build_id} of {image_uri} ended {self.status} in phase {self.phase or 'unknown'}{said}."


_FAILURES = frozenset({"FAILED", "FAULT", "TIMED_OUT", "STOPPED"})


def start_build_request(
    order: ImageOrder, *, project_name: str, source_location: str, ended_builds: int, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the StartBuild request.

    The idempotency token is the same for every try of one task, so that a try that lost the answer finds the build it
    started. CodeBuild keeps a token for 5 minutes; ``ended_builds`` moves it on past a build that failed meanwhile.

    What the project says about sources and artifacts is overridden, so that any project will do, but for its
    ``sourceVersion``: the API has no word for "none", and of an object in S3 it means a version id. A project that is
    pinned to a branch or commit therefore needs ``config.sourceVersion`` or, better, no pin.
    Source: CreateProject and StartBuild in the API reference of CodeBuild.

    :param source_location: ``<bucket>/<key>`` of the archive
    :param ended_builds: how many builds of this image ended already
    :param config: further members of the request; they win over ours, environment variables are joined
    :raises RequestError: ``config`` sets what only the operator can know
    """
    for name in _OWN_FIELDS:
        if name in config:
            field = f"config.{name}"
            raise RequestError(field, config[name], "nothing: the operator fills this member in")
    token = "\n".join((order.image_uri, order.ordered_by, str(ended_builds)))
    variables = _variables(order)
    extra = config.get("environmentVariablesOverride", [])
    _check_extra(extra, variables)
    ours = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()]
    return {
        "sourceTypeOverride": "S3",
        "artifactsOverride": {"type": "NO_ARTIFACTS"},  # the image is pushed by the build itself
        "secondaryArtifactsOverride": [],
        "secondarySourcesOverride": [],
        "buildspecOverride": buildspec(order),
        "privilegedModeOverride": True,  # without it no Docker daemon runs in the build
        **config,
        "projectName": project_name,
        "sourceLocationOverride": source_location,
        "environmentVariablesOverride": [*ours, *extra],
        "idempotencyToken": hashlib.sha256(token.encode()).hexdigest(),
    }


def buildspec(order: ImageOrder) -> str:
    """Write the build specification.

    Values reach the shell only as environment variables, never as part of a command. The push stands in the build
    phase, because CodeBuild runs post_build also after a failed build.

    Source of the form: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
    """
    context = order.context
    build = ["docker build", '--file "$IMAGE_DOCKERFILE"', '--tag "$IMAGE_URI"']
    build += [f'--build-arg "{name}=$BUILD_ARG_{name}"' for name in sorted(context.build_args)]
    build += ['--target "$IMAGE_TARGET"'] if context.target else []
    build += ['--platform "$IMAGE_PLATFORM"']
    logins = [_login("IMAGE_REGISTRY", "IMAGE_REGION")]
    logins += [_login(f"BASE_REGISTRY_{at}", f"BASE_REGION_{at}") for at, _ in enumerate(order.base_registries, 1)]
    push = 'docker push "$IMAGE_URI"'
    return "\n".join(
        (
            "version: 0.2",
            "env:",
            "  shell: bash",
            "phases:",
            "  pre_build:",
            "    commands:",
            *(f"      - {_quoted(login)}" for login in logins),
            "  build:",
            "    commands:",
            f"      - {_quoted(' '.join([*build, '.']))}",
            f"      - {_quoted(push)}",
            "",
        )
    )


def _login(registry: str, region: str) -> str:
    """Write the login to a registry of ECR; both parameters are names of variables."""
    # Without pipefail, a refusal by ECR would show as a wrong password.
    token = f'set -o pipefail && aws ecr get-login-password --region "${region}"'
    return f'{token} | docker login --username AWS --password-stdin "${registry}"'


def _quoted(command: str) -> str:
    """Write a YAML scalar in single quotes."""
    escaped = command.replace("'", "''")
    return f"'{escaped}'"


def _variables(order: ImageOrder) -> dict[str, str]:
    context = order.context
    target = {"IMAGE_TARGET": context.target} if context.target else {}
    registries = enumerate(order.base_registries.items(), 1)
    bases = [{f"BASE_REGISTRY_{at}": host, f"BASE_REGION_{at}": region} for at, (host, region) in registries]
    return {
        _URI_VARIABLE: order.image_uri,
        _RUN_VARIABLE: order.ordered_by,
        "IMAGE_REGISTRY": order.repository_uri.partition("/")[0],
        "IMAGE_REGION": order.region,
        "IMAGE_DOCKERFILE": context.dockerfile,
        # SageMaker refuses the image index that BuildKit pushes when it adds provenance.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "IMAGE_PLATFORM": context.platform,
        **target,
        **{name: value for base in bases for name, value in base.items()},
        **{f"BUILD_ARG_{name}": value for name, value in sorted(context.build_args.items())},
    }


def _check_extra(extra: Sequence[Any], variables: Mapping[str, str]) -> None:
    for position, variable in enumerate(extra):
        name = variable.get("name") if isinstance(variable, Mapping) else None
        if name in variables:
            field = f"config.environmentVariablesOverride[{position}].name"
            raise RequestError(field, name, f"a name other than {', '.join(variables)}", "The operator sets these.")
