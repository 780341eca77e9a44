"""The request for a build, and what is read from its answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sagemaker_byoc.base_image import Bases
from sagemaker_byoc.build_context import BuildContext
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.image_build import BuildState, ImageOrder, buildspec, start_build_request

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/iris"


def order(
    folder: Path, ordered_by: str = "dag/run/task", dockerfile: str = "FROM scratch\n", **choices: Any
) -> ImageOrder:
    """Make an order for a folder with only a Dockerfile."""
    (folder / "Dockerfile").write_text(dockerfile)
    return ImageOrder(BuildContext(folder, **choices), REPOSITORY, "eu-west-1", ordered_by)


def request(wanted: ImageOrder, ended_builds: int = 0, **config: Any) -> dict[str, Any]:
    """Make the StartBuild request of an order."""
    return start_build_request(
        wanted, project_name="images", source_location="bucket/key.zip", ended_builds=ended_builds, config=config
    )


def variables(made: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a request's build."""
    return {each["name"]: each["value"] for each in made["environmentVariablesOverride"]}


def test_the_build_specification_builds_and_then_pushes(tmp_path: Path) -> None:
    """The commands are those of a hand-made build, in the phases that stop at the first failure."""
    phases = yaml.safe_load(buildspec(order(tmp_path)))["phases"]
    [login] = phases["pre_build"]["commands"]
    build, push = phases["build"]["commands"]
    assert login.startswith("set -o pipefail && aws ecr get-login-password")
    assert login.endswith('docker login --username AWS --password-stdin "$IMAGE_REGISTRY"')
    assert build == 'docker build --file "$IMAGE_DOCKERFILE" --tag "$IMAGE_URI" --platform "$IMAGE_PLATFORM" .'
    assert push == 'docker push "$IMAGE_URI"'


def test_the_build_is_for_what_sagemaker_runs_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    """A project on ARM would build for ARM by itself, under the same tag."""
    assert variables(request(order(tmp_path)))["IMAGE_PLATFORM"] == "linux/amd64"
    assert variables(request(order(tmp_path, platform="linux/arm64")))["IMAGE_PLATFORM"] == "linux/arm64"
    assert order(tmp_path).tag != order(tmp_path, platform="linux/arm64").tag


def test_values_never_become_part_of_a_command(tmp_path: Path) -> None:
    """A build argument that looks like shell stays a value."""
    evil = '"; rm -rf / #\n$(id)'
    wanted = order(tmp_path, build_args={"VERSION": evil}, target="serve", platform="linux/amd64")
    made = request(wanted)
    assert "rm -rf" not in made["buildspecOverride"]
    assert '--build-arg "VERSION=$BUILD_ARG_VERSION"' in made["buildspecOverride"]
    assert '--target "$IMAGE_TARGET" --platform "$IMAGE_PLATFORM"' in made["buildspecOverride"]
    assert variables(made)["BUILD_ARG_VERSION"] == evil


def test_the_build_logs_in_to_the_registries_of_its_base_images(tmp_path: Path) -> None:
    """Each with a token of its own region; the image's own registry is entered once."""
    other = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
    own = REPOSITORY.partition("/")[0]
    made = request(order(tmp_path, dockerfile=f"FROM {other}/base:1 AS a\nFROM {own}/x@sha256:1\nFROM python\n"))
    commands = yaml.safe_load(made["buildspecOverride"])["phases"]["pre_build"]["commands"]
    assert len(commands) == 2
    assert 'get-login-password --region "$BASE_REGION_1"' in commands[1]
    assert commands[1].endswith('docker login --username AWS --password-stdin "$BASE_REGISTRY_1"')
    assert variables(made)["BASE_REGISTRY_1"] == other
    assert variables(made)["BASE_REGION_1"] == "us-east-1"


def test_a_newer_base_image_is_another_image(tmp_path: Path) -> None:
    """Its tag begins as that of the same content on the older one."""
    plain = order(tmp_path)
    first, second = (replace(plain, bases=Bases({"python": digest})) for digest in ("sha256:1", "sha256:2"))
    assert re.fullmatch(r"ctx-[0-9a-f]{24}", plain.tag)
    assert re.fullmatch(plain.tag + r"-[0-9a-f]{12}", first.tag)
    assert first.tag != second.tag
    assert request(first)["idempotencyToken"] != request(second)["idempotencyToken"]
    assert replace(plain, bases=Bases(unknown=["python"])).tag == plain.tag


def test_a_retry_uses_the_same_token(tmp_path: Path) -> None:
    """CodeBuild then answers with the build that runs, instead of starting a second one."""
    wanted = order(tmp_path)
    assert request(wanted) == request(wanted)
    assert request(wanted)["idempotencyToken"] != request(wanted, ended_builds=1)["idempotencyToken"]
    assert request(wanted)["idempotencyToken"] != request(order(tmp_path, "other run"))["idempotencyToken"]


def test_further_members_reach_the_request(tmp_path: Path) -> None:
    """No field of StartBuild is out of reach."""
    extra = {"name": "HTTP_PROXY", "value": "http://proxy", "type": "PLAINTEXT"}
    made = request(order(tmp_path), privilegedModeOverride=False, environmentVariablesOverride=[extra])
    assert made["privilegedModeOverride"] is False
    assert extra in made["environmentVariablesOverride"]
    assert "IMAGE_URI" in variables(made)


def test_artifacts_and_further_sources_of_the_project_are_left_out(tmp_path: Path) -> None:
    """A project that was made for something else would fail over its own uploads after the image is pushed."""
    made = request(order(tmp_path))
    assert made["artifactsOverride"] == {"type": "NO_ARTIFACTS"}
    assert made["secondaryArtifactsOverride"] == made["secondarySourcesOverride"] == []
    kept = {"type": "S3", "location": "reports"}
    assert request(order(tmp_path), artifactsOverride=kept)["artifactsOverride"] == kept


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"idempotencyToken": "x"}, "config.idempotencyToken"),
        ({"environmentVariablesOverride": [{"name": "IMAGE_URI", "value": "x"}]}, r"Override\[0\].name.*IMAGE_URI"),
    ],
)
def test_what_the_operator_fills_in_cannot_be_set_twice(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    """A build of something else under this content's tag would be found for ever after."""
    with pytest.raises(RequestError, match=message):
        request(order(tmp_path), **config)


def test_the_failed_phase_is_found() -> None:
    """The message that matters stands in the phase that failed, not in the last one."""
    state = BuildState.of(
        {
            "id": "images:1",
            "buildStatus": "FAILED",
            "currentPhase": "COMPLETED",
            "phases": [
                {"phaseType": "PRE_BUILD", "phaseStatus": "SUCCEEDED"},
                {"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [{"message": "exit status 1"}]},
                {"phaseType": "COMPLETED"},
            ],
            "logs": {"groupName": "/aws/codebuild/images", "streamName": "1"},
            "environment": {"environmentVariables": [{"name": "IMAGE_URI", "value": "r/x:ctx-1"}]},
        }
    )
    assert (state.phase, state.message, state.in_progress) == ("BUILD", "exit status 1", False)
    assert (state.image_uri, state.log_group) == ("r/x:ctx-1", "/aws/codebuild/images")


def test_a_build_that_has_just_begun_is_in_progress() -> None:
    """Its answer holds little more than its id."""
    assert BuildState.of({"id": "images:1", "buildStatus": "IN_PROGRESS"}).in_progress
