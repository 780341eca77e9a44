"""Builds of CodeBuild that really run Docker."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.docker_cloud import docker_cloud, require_docker
from tests.support.process_cloud import REGISTRY, is_alive, wait_until
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.docker_cloud import DockerCloud

BUCKET = "docker-build-contexts"
PROJECT = "docker-images"
LOGIN = f"aws ecr get-login-password | docker login --username AWS --password-stdin {REGISTRY}"
_NUMBERS = itertools.count(1)


def base(cloud: DockerCloud) -> str:
    """Return the name in ECR of an image with a shell, which every build can start from."""
    return cloud.push("base", {"train": "#!/bin/sh\ntrue\n"})


def start(cloud: DockerCloud, files: Mapping[str, str], *commands: str) -> str:
    """Start a build of these files; return its id."""
    s3, codebuild = cloud.client("s3"), cloud.client("codebuild")
    s3.create_bucket(Bucket=BUCKET)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    key = f"{next(_NUMBERS)}.zip"
    s3.put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())
    make_project(cloud)
    build = codebuild.start_build(
        projectName=PROJECT,
        sourceTypeOverride="S3",
        sourceLocationOverride=f"{BUCKET}/{key}",
        buildspecOverride=json.dumps({"version": 0.2, "phases": {"build": {"commands": commands}}}, indent=1),
    )["build"]
    return str(build["id"])


def make_project(cloud: DockerCloud) -> None:
    """Make the project, once."""
    codebuild, iam = cloud.client("codebuild"), cloud.client("iam")
    if PROJECT in codebuild.list_projects()["projects"]:
        return
    statement = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=PROJECT, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    codebuild.create_project(
        name=PROJECT,
        serviceRole=role,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\n"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
    )


def ended(cloud: DockerCloud, build_id: str) -> tuple[str, list[str]]:
    """Return status and output of a build once it has ended."""

    def look() -> str | None:
        (build,) = cloud.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
        return str(build["buildStatus"]) if build["buildComplete"] else None

    status = wait_until(look, "the build has ended", 120)
    return status, output(cloud, build_id)


def output(cloud: DockerCloud, build_id: str) -> list[str]:
    """Return what the commands of a build have printed so far."""
    logs = cloud.client("logs")
    try:
        events = logs.get_log_events(
            logGroupName=f"/aws/codebuild/{PROJECT}", logStreamName=build_id.partition(":")[2], startFromHead=True
        )["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events if not event["message"].startswith("[Container]")]


def run(cloud: DockerCloud, files: Mapping[str, str], *commands: str) -> tuple[str, list[str]]:
    """Run a build to its end."""
    return ended(cloud, start(cloud, files, *commands))


def operator(cloud: DockerCloud, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """Run BuildPushImageOperator against the local AWS, with nothing to help it but the endpoint."""
    for name, value in {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": cloud.region,
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    task = BuildPushImageOperator(
        task_id="build_push_image", context_path=str(folder), aws_conn_id=None, deferrable=False, **changes
    )
    return str(TaskRun().of(task))


def context(cloud: DockerCloud, folder: Path) -> Path:
    """Write a build context whose image can be trained with."""
    folder.mkdir()
    name = base(cloud).replace(REGISTRY, cloud.registry)
    (folder / "Dockerfile").write_text(f"FROM {name}\nCOPY train /usr/local/bin/train\n")
    (folder / "train").write_text(f"#!/bin/sh\necho trained by {folder.name}\n")
    (folder / "train").chmod(0o755)
    return folder


@pytest.mark.parametrize("builder", ["docker", "codebuild"])
def test_the_operator_builds_pushes_and_finds_the_image_again(
    cloud: DockerCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str
) -> None:
    """Either builder needs the endpoint only; the digest is the registry's, the image runs, a second try builds not."""
    folder = context(cloud, tmp_path / builder)
    settings = {"repository": f"operator-{builder}", "builder": builder}
    if builder == "codebuild":
        make_project(cloud)
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        settings |= {"project_name": PROJECT, "source_bucket": BUCKET}

    before = builds(cloud)
    uri = operator(cloud, folder, monkeypatch, **settings)
    between = builds(cloud)
    again = operator(cloud, folder, monkeypatch, **settings)

    (image,) = cloud.client("ecr").describe_images(repositoryName=f"operator-{builder}")["imageDetails"]
    assert uri == again == f"{REGISTRY}/operator-{builder}@{image['imageDigest']}"
    assert len(between) - len(before) == (builder == "codebuild")
    assert builds(cloud) == between
    job = cloud.run_job(f"of-{builder}", uri)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert cloud.log(f"of-{builder}") == [f"trained by {builder}"]


def builds(cloud: DockerCloud) -> list[str]:
    """Return the ids of all builds."""
    if PROJECT not in cloud.client("codebuild").list_projects()["projects"]:
        return []
    return list(cloud.client("codebuild").list_builds_for_project(projectName=PROJECT)["ids"])


def test_an_image_of_ecr_can_be_built_on(cloud: DockerCloud) -> None:
    """Its name in a Dockerfile, in a build argument and in the output is ECR's."""
    base_image = base(cloud)
    cloud.client("ecr").create_repository(repositoryName="derived")
    dockerfile = (
        f"ARG FIRST\nFROM $FIRST AS first\nFROM {base_image}\nENV NAME={REGISTRY}/derived\nRUN echo built $NAME\n"
    )

    status, lines = run(
        cloud,
        {"Dockerfile": dockerfile},
        LOGIN,
        f"docker build . --build-arg FIRST={base_image} -t {REGISTRY}/derived:v1",
        f"docker push {REGISTRY}/derived:v1",
        f"docker inspect --format '{{{{index .RepoDigests 0}}}}' {REGISTRY}/derived:v1",
    )

    assert status == "SUCCEEDED", lines
    (image,) = cloud.client("ecr").describe_images(repositoryName="derived")["imageDetails"]
    assert f"built {REGISTRY}/derived" in lines
    assert lines[-1] == f"{REGISTRY}/derived@{image['imageDigest']}"


def test_an_image_of_other_build_options_is_built_again(tmp_path: Path) -> None:
    """The tag does not know them, and the registry is kept: only a life with the same options shows the image."""
    require_docker()
    shown = {}
    for life, option in enumerate(["FIRST=1", "FIRST=1", "SECOND=1"]):
        with docker_cloud(tmp_path, build_options=["--build-arg", option]) as cloud:
            if life == 0:
                cloud.client("ecr").create_repository(repositoryName="of-options")
                commands = [
                    LOGIN,
                    f"docker build . -t {REGISTRY}/of-options:v1",
                    f"docker push {REGISTRY}/of-options:v1",
                ]
                status, lines = run(cloud, {"Dockerfile": f"FROM {base(cloud)}\n"}, *commands)
                assert status == "SUCCEEDED", lines
            images = cloud.client("ecr").describe_images(repositoryName="of-options")["imageDetails"]
            shown[life] = [tag for image in images for tag in image["imageTags"]]

    assert shown == {0: ["v1"], 1: ["v1"], 2: []}


def test_a_step_that_fails_leaves_no_container(cloud: DockerCloud) -> None:
    """The classic builder keeps it unless it is told otherwise."""
    word = f"failing-{next(_NUMBERS)}"

    status, lines = run(cloud, {"Dockerfile": f"FROM {base(cloud)}\nRUN echo {word}; exit 3\n"}, "docker build .")

    assert (status, word in lines) == ("FAILED", True), lines
    assert containers(cloud, word, all=True) == []


def test_a_folder_that_is_called_like_the_tag_is_not_the_context(cloud: DockerCloud) -> None:
    """The Dockerfile whose images are looked for in ECR is the one that is built."""
    files = {"Dockerfile": f"FROM {base(cloud)}\nRUN echo right\n", "app/Dockerfile": "FROM nowhere.invalid/none\n"}

    status, lines = run(cloud, files, "docker --debug build -t app .", "docker rmi app")

    assert (status, "right" in lines) == ("SUCCEEDED", True), lines


def test_the_users_docker_configuration_is_left_alone(cloud: DockerCloud) -> None:
    """A build has one of its own, which goes with it."""
    status, lines = run(cloud, {}, LOGIN, 'echo "$DOCKER_CONFIG"; ls "$DOCKER_CONFIG"')

    assert (status, lines[0], lines[2]) == ("SUCCEEDED", "Login Succeeded", "config.json")
    assert Path(lines[1]).is_relative_to(cloud.state_dir)
    wait_until(lambda: not Path(lines[1]).exists(), "the build's directory is removed")


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ([f"docker push {REGISTRY}/none:v1"], f"no basic auth credentials for {REGISTRY}"),
        ([LOGIN, f"docker push {REGISTRY}/none:v1"], "name unknown: The repository with name 'none' does not exist"),
        ([LOGIN, f"docker -l error push {REGISTRY}/none:v1"], "name unknown: The repository with name 'none'"),
        ([f"docker --debug push {REGISTRY}/none:v1"], f"no basic auth credentials for {REGISTRY}"),
        (
            [LOGIN, f"docker buildx build --push -t {REGISTRY}/none:v1 ."],
            "name unknown: The repository with name 'none'",
        ),
        ([f"docker login --username me --password-stdin {REGISTRY} < /dev/null"], "ECR takes user AWS"),
        (['export PATH="${PATH%%:*}:/nowhere"', "docker version"], "there is no docker command on PATH; install"),
    ],
)
def test_a_refusal_is_in_the_log(cloud: DockerCloud, commands: list[str], message: str) -> None:
    """The build fails, with the words that Docker or ECR would use, or with what to install."""
    status, lines = run(cloud, {}, *commands)

    assert status == "FAILED"
    assert any(message in line for line in lines), lines


def test_a_push_over_an_immutable_tag_fails(cloud: DockerCloud) -> None:
    """The build learns what the registry does not know."""
    cloud.client("ecr").create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    name = cloud.push("fixed", {"train": "#!/bin/sh\ntrue\n"})
    dockerfile = f"FROM {base(cloud)}\nRUN echo new > /new\n"

    status, lines = run(cloud, {"Dockerfile": dockerfile}, LOGIN, f"docker build . -t {name}", f"docker push {name}")

    assert status == "FAILED"
    assert any("tag invalid: The image tag 'v1' already exists in the 'fixed' repository" in line for line in lines)


def test_output_comes_line_by_line_and_a_stop_ends_docker(cloud: DockerCloud) -> None:
    """The first step is in the log while the second still runs; StopBuild ends the command and its container."""
    word = f"waiting-{next(_NUMBERS)}"
    dockerfile = f"FROM {base(cloud)}\nRUN echo started {word}\nRUN sleep 600; echo {word}\n"
    build_id = start(cloud, {"Dockerfile": dockerfile}, "echo $$", "docker build .")

    wait_until(lambda: any(f"started {word}" == line for line in output(cloud, build_id)), "the first step is told", 60)
    wait_until(lambda: containers(cloud, word), "the second step runs", 60)
    shell = int(output(cloud, build_id)[0])
    stopped = cloud.client("codebuild").stop_build(id=build_id)["build"]
    status, _ = ended(cloud, build_id)

    assert status == "STOPPED", stopped
    assert not is_alive(shell)
    wait_until(lambda: not containers(cloud, word), "the step's container is gone", 60)


def containers(cloud: DockerCloud, word: str, **selection: Any) -> list[str]:
    """Return the ids of containers whose command holds a word; running ones unless told otherwise."""
    return [found["Id"] for found in cloud.docker.api.containers(**selection) if word in found["Command"]]


def test_options_of_the_machine_and_its_mirrors_reach_every_build(cloud: DockerCloud) -> None:
    """What the local AWS was started with comes before the build's own options, which win."""
    dockerfile = (
        f"FROM {base(cloud)}\nARG OF_MACHINE\nARG OF_BOTH\nARG PIP_INDEX_URL\n"
        "RUN echo $OF_MACHINE $OF_BOTH $PIP_INDEX_URL\n"
    )

    status, lines = run(
        cloud,
        {"Dockerfile": dockerfile},
        "export PIP_INDEX_URL=https://mirror.example/simple",
        "docker build --build-arg OF_BOTH=build .",
    )

    assert status == "SUCCEEDED", lines
    assert "of the machine build https://mirror.example/simple" in lines


def test_an_index_with_a_token_reaches_no_image(cloud: DockerCloud) -> None:
    """The history of the image would tell it; the log says what was left out, and not what it was."""
    arguments = "ARG PIP_INDEX_URL\nARG PIP_EXTRA_INDEX_URL\n"
    dockerfile = f"FROM {base(cloud)}\n{arguments}RUN echo /$PIP_INDEX_URL/$PIP_EXTRA_INDEX_URL\n"

    status, lines = run(
        cloud,
        {"Dockerfile": dockerfile},
        "export PIP_INDEX_URL=https://mirror.example/simple",
        'export PIP_EXTRA_INDEX_URL="https://other.example/simple https://me:t0ken@private.example/simple"',
        "docker build .",
    )

    assert status == "SUCCEEDED", lines
    assert "/https://mirror.example/simple/" in lines
    assert any("PIP_EXTRA_INDEX_URL has a user's name or token in it and is not passed on" in line for line in lines)
    assert not any("t0ken" in line for line in lines)
