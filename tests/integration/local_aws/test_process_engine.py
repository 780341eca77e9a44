"""The process engine against ECR: which image runs, as which program, with what around it."""

from __future__ import annotations

import itertools
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.container import ContainerError, Launch
from tests.support.process_cloud import DOCKERFILE, REGISTRY, ProcessCloud, process_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = itertools.count(1)

_SHOW = """\
#!/usr/bin/env python3
import json, os, sys
print(json.dumps({"arguments": sys.argv, "cwd": os.getcwd(), "environment": dict(os.environ), "prefix": sys.prefix}))
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCloud]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


def _launch(cloud: ProcessCloud, image: str, *arguments: str, **options: Any) -> Launch:
    name = f"container-{next(_NUMBERS)}"
    return Launch(name, image, arguments or ("train",), cloud.state_dir / name, **options)


def _shown(cloud: ProcessCloud, launch: Launch) -> dict[str, Any]:
    (line,) = cloud.engine.start(launch).lines()
    shown: dict[str, Any] = json.loads(line)
    return shown


def test_a_tag_is_resolved_to_the_digest_that_ecr_has(cloud: ProcessCloud) -> None:
    """The pinned URI resolves to itself and runs the same program."""
    image = cloud.push("resolved", {"train": _SHOW})

    pinned = cloud.engine.resolve(image)

    digest = cloud.client("ecr").describe_images(repositoryName="resolved")["imageDetails"][0]["imageDigest"]
    assert pinned == f"{image.removesuffix(':v1')}@{digest}"
    assert cloud.engine.resolve(pinned) == pinned
    assert _shown(cloud, _launch(cloud, pinned))["arguments"][1:] == []


def test_an_image_that_was_deleted_from_ecr_does_not_run(cloud: ProcessCloud) -> None:
    """What ECR does not have is not there, although the files still are."""
    image = cloud.push("deleted", {"train": _SHOW})
    cloud.client("ecr").batch_delete_image(repositoryName="deleted", imageIds=[{"imageTag": "v1"}])

    with pytest.raises(ContainerError, match=f"there is no image {image}"):
        cloud.engine.start(_launch(cloud, image))


def test_a_repository_name_that_ecr_cannot_have_is_no_image(cloud: ProcessCloud) -> None:
    """ECR's shortest name has two characters; the client refuses the question before ECR can."""
    with pytest.raises(ContainerError, match=f"there is no image {REGISTRY}/a:v1: .*repositoryName"):
        cloud.engine.resolve(f"{REGISTRY}/a:v1")


@pytest.mark.parametrize(
    ("ours", "theirs"), [("123456789012", "210987654321"), ("us-east-1", "eu-west-1"), ("amazonaws.com", "example.com")]
)
def test_an_image_of_another_registry_is_not_ours_of_the_same_name(cloud: ProcessCloud, ours: str, theirs: str) -> None:
    """Account and region belong to the image; the refusal names both registries."""
    image = cloud.push(f"shared-name-{next(_NUMBERS)}", {"train": _SHOW})
    elsewhere = image.replace(ours, theirs)

    with pytest.raises(ContainerError, match=f"there is no image {elsewhere}: .* {image.partition('/')[0]};"):
        cloud.engine.resolve(elsewhere)


def test_an_image_that_was_built_elsewhere_is_refused_with_the_reason(cloud: ProcessCloud) -> None:
    """ECR may hold it, but there is nothing to run."""
    image = cloud.push("foreign", {})
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"})
    cloud.client("ecr").put_image(
        repositoryName="foreign", imageManifest=manifest, imageTag="other", imageDigest="sha256:" + "b" * 64
    )

    with pytest.raises(ContainerError, match="was not built here"):
        cloud.engine.resolve(image.replace(":v1", ":other"))


def test_the_program_finds_itself_as_in_the_image(cloud: ProcessCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Working directory, variables and Python are the image's; nothing of the machine leaks in."""
    monkeypatch.setenv("SECRET_OF_THE_USER", "x")
    image = cloud.push("shown", {"train": _SHOW, "Dockerfile": DOCKERFILE + "ENV PYTHONPATH=/opt/program NAME=a:b\n"})
    launch = _launch(cloud, image, environment={"TRAINING_JOB_NAME": "job"})

    shown = _shown(cloud, launch)

    environment = shown["environment"]
    assert shown["cwd"].endswith("/root/opt/program")
    assert environment["PYTHONPATH"] == shown["cwd"]
    assert environment["NAME"] == "a:b"
    assert environment["TRAINING_JOB_NAME"] == "job"
    assert environment["SAGEMAKER_BASE_DIR"] == str(launch.ml_dir)
    assert "PYTHONUNBUFFERED" not in environment
    assert "SECRET_OF_THE_USER" not in environment
    assert "SAGEMAKER_BIND_TO_PORT" not in environment
    assert shown["prefix"] not in {sys.prefix, sys.base_prefix}


def test_paths_below_opt_ml_are_moved_with_it(cloud: ProcessCloud) -> None:
    """Variables of the request and of the image, lists of paths and arguments lead to the container's own files."""
    dockerfile = DOCKERFILE + "ENV MODEL_DIR=/opt/ml/model\n"
    image = cloud.push("moved", {"train": _SHOW, "Dockerfile": dockerfile})
    variables = {"METRICS": "/opt/ml/output/metrics/sagemaker", "PATHS": "/opt/ml/a:/opt/mlx", "URL": "s3://b/opt/ml/a"}
    launch = _launch(cloud, image, "train", "/opt/ml/input", environment=variables)

    shown = _shown(cloud, launch)

    environment, ml_dir = shown["environment"], launch.ml_dir
    assert environment["MODEL_DIR"] == f"{ml_dir}/model"
    assert environment["METRICS"] == f"{ml_dir}/output/metrics/sagemaker"
    assert environment["PATHS"] == f"{ml_dir}/a:/opt/mlx"
    assert environment["URL"] == "s3://b/opt/ml/a"
    assert shown["arguments"][1:] == [f"{ml_dir}/input"]


@pytest.mark.parametrize("environment", [{"A": "a\0b"}, {"A=B": "c"}])
def test_variables_that_no_program_can_have_fail_the_start_and_leave_nothing(
    cloud: ProcessCloud, environment: dict[str, str]
) -> None:
    """What the operating system refuses is a container that cannot start, not a fault of the engine."""
    image = cloud.push(f"variables-{next(_NUMBERS)}", {"train": _SHOW})
    launch = _launch(cloud, image, environment=environment, network="of-variables")

    with pytest.raises(ContainerError, match="CannotStartContainerError"):
        cloud.engine.start(launch)

    assert not (cloud.state_dir / "containers" / "home" / launch.name).exists()


def test_the_hosts_of_a_job_meet_at_one_loopback_port(cloud: ProcessCloud) -> None:
    """Containers of one network share address and port; another network has a port of its own."""
    image = cloud.push("hosts", {"train": _SHOW + "sys.stdin.read()\n"})
    networks = ("one", "one", "two")

    shown = [_shown(cloud, _launch(cloud, image, network=network))["environment"] for network in networks]

    assert {environment["MASTER_ADDR"] for environment in shown} == {"127.0.0.1"}
    assert len({environment["MASTER_PORT"] for environment in shown[1:]}) == 2


def test_nothing_of_a_container_is_left_when_it_has_ended(cloud: ProcessCloud) -> None:
    """Its home directory and its place in the register go with it."""
    image = cloud.push("ended", {"train": "#!/bin/sh\nexit 3\n"})

    assert cloud.engine.start(_launch(cloud, image)).wait(20) == 3

    left = [path for path in (cloud.state_dir / "containers").rglob("*") if path.name not in {"home"}]
    assert left == []
