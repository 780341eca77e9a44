"""CodeBuild builds over HTTP that really run."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import zipfile
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from local_aws.codebuild.docker_tool import stand_in
from local_aws.codebuild.service import CodeBuildService
from local_aws.container import Launch
from tests.support.process_cloud import DOCKERFILE, REGISTRY, ProcessCloud, is_alive, process_cloud, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PROJECT = "images"
BUCKET = "source-bucket"
_NUMBERS = itertools.count(1)
LOGIN = f"aws ecr get-login-password --region $AWS_REGION | docker login --username AWS --password-stdin {REGISTRY}"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCloud]:
    """One local AWS with a bucket and a project for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        running.client("codebuild").create_project(**_project(running, PROJECT))
        yield running


def _project(cloud: ProcessCloud, name: str, **members: Any) -> dict[str, Any]:
    return {
        "name": name,
        "serviceRole": cloud.role(f"build-{name}", "codebuild.amazonaws.com"),
        "source": {"type": "NO_SOURCE", "buildspec": _buildspec(build=["true"])},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "FROM_PROJECT", "value": "project"}],
        },
        **members,
    }


def _buildspec(env: Mapping[str, Any] | None = None, **phases: Any) -> str:
    """Return a buildspec; a phase is a list of commands or a whole phase."""
    whole = {name: phase if isinstance(phase, dict) else {"commands": phase} for name, phase in phases.items()}
    return json.dumps({"version": 0.2, "env": env or {}, "phases": whole}, indent=1)


def _start(cloud: ProcessCloud, buildspec: str, **request: Any) -> str:
    build = cloud.client("codebuild").start_build(projectName=PROJECT, buildspecOverride=buildspec, **request)["build"]
    assert build["buildStatus"] == "IN_PROGRESS"
    return str(build["id"])


def _ended(cloud: ProcessCloud, build_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        build: dict[str, Any] = cloud.client("codebuild").batch_get_builds(ids=[build_id])["builds"][0]
        return build if build["buildComplete"] else None

    found: dict[str, Any] = wait_until(look, "the build has ended", 60)
    return found


def _run(cloud: ProcessCloud, buildspec: str, **request: Any) -> dict[str, Any]:
    return _ended(cloud, _start(cloud, buildspec, **request))


def _output(cloud: ProcessCloud, build: Mapping[str, Any]) -> list[str]:
    """Return what commands printed, without CodeBuild's own lines."""
    return [line for line in _log(cloud, build) if not line.startswith("[Container]")]


def _log(cloud: ProcessCloud, build: Mapping[str, Any]) -> list[str]:
    events = cloud.client("logs").get_log_events(
        logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"], startFromHead=True
    )["events"]
    return [event["message"] for event in events]


def _phases(build: Mapping[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in build["phases"]}


def _upload(cloud: ProcessCloud, key: str, files: Mapping[str, str], *, mode: int = 0o644) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, text)
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())
    return f"{BUCKET}/{key}"


def _refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_a_build_makes_an_image_that_the_engine_runs(cloud: ProcessCloud) -> None:
    """The usual chain of login, build and push ends in ECR, and the pushed digest runs."""
    cloud.client("ecr").create_repository(repositoryName="churn")
    uri = f"{REGISTRY}/churn:v1"
    files = {"Dockerfile": DOCKERFILE, "train": "#!/bin/sh\necho trained\n", "serve": "", "requirements.txt": ""}
    location = _upload(cloud, "context.zip", files)
    push = f'docker push {uri} && DIGEST=$(aws ecr describe-images --repository-name churn --image-ids imageTag=v1 \
--query "imageDetails[0].imageDigest" --output text)'
    buildspec = _buildspec(
        {"exported-variables": ["DIGEST"]},
        pre_build=[LOGIN],
        build=[f"docker build --platform linux/amd64 --file Dockerfile --tag {uri} .", push],
    )

    build = _run(cloud, buildspec, sourceTypeOverride="S3", sourceLocationOverride=location)

    output = _output(cloud, build)
    (pushed,) = (line for line in output if line.startswith("v1: digest: "))
    digest = pushed.split()[2]
    assert build["buildStatus"] == "SUCCEEDED", output
    assert build["exportedEnvironmentVariables"] == [{"name": "DIGEST", "value": digest}]
    assert f"Successfully tagged {uri}" in output
    container = cloud.engine.start(Launch("built", f"{REGISTRY}/churn@{digest}", ("train",), cloud.state_dir / "built"))
    assert list(container.lines()) == ["trained"]


def test_a_pushed_tag_leaves_the_image_before_it_in_ecr(cloud: ProcessCloud) -> None:
    """What runs by digest can still be found after its tag has moved on, as in the real ECR."""
    cloud.client("ecr").create_repository(repositoryName="moving")
    uri = f"{REGISTRY}/moving:latest"
    write = "printf 'FROM a\\nENV N=%s\\n' $N > Dockerfile"
    both = [command for n in (1, 2) for command in (f"N={n}", write, f"docker build -t {uri} .", f"docker push {uri}")]

    build = _run(cloud, _buildspec(build=[LOGIN, *both]))

    digests = [line.split()[2] for line in _output(cloud, build) if line.startswith("latest: digest: ")]
    assert build["buildStatus"] == "SUCCEEDED", _output(cloud, build)
    assert len(set(digests)) == 2
    assert cloud.engine.resolve(f"{REGISTRY}/moving@{digests[0]}").endswith(digests[0])
    assert cloud.engine.resolve(uri).endswith(digests[1])


def test_an_immutable_tag_is_not_overwritten(cloud: ProcessCloud) -> None:
    """The push of other content fails in Docker's words; the same content is no change and passes."""
    cloud.client("ecr").create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    uri = f"{REGISTRY}/fixed:v1"
    make = f"echo 'FROM a' > Dockerfile && docker build -t {uri} . && docker push {uri}"
    change = f"echo 'ENV A=1' >> Dockerfile && docker build -t {uri} . && docker push {uri}"

    build = _run(cloud, _buildspec(build=[LOGIN, make, make, change]))

    assert _phases(build)["BUILD"] == "FAILED"
    assert f"Error while executing command: {change}. Reason: exit status 1" in str(build["phases"])
    assert any("tag invalid: The image tag 'v1' already exists in the 'fixed'" in line for line in _log(cloud, build))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"docker push {REGISTRY}/never:v1", "no basic auth credentials"),
        (f"{LOGIN} && docker push {REGISTRY}/never:v1", "no such image"),
        ("docker run x", "this command is not here; the stand-in knows build, images"),
        ("docker build --frobnicate .", "unrecognized arguments: --frobnicate"),
        ("docker build .", "there is no Dockerfile"),
        ("docker build nowhere", "'nowhere' is not a directory"),
        ("aws s3 cp a b", "expected `aws <service> <operation>"),
        ("aws s3 sync", "only API operations are"),
        ("aws ecr describe-images --frobnicate 1", "no option --frobnicate; it has filter"),
        ("aws ecr describe-images --repository-name none", "RepositoryNotFoundException"),
        ("echo x | docker login -u me --password-stdin a.b", "ECR takes user AWS"),
    ],
)
def test_what_a_stand_in_cannot_do_fails_with_the_reason(cloud: ProcessCloud, command: str, said: str) -> None:
    """The command names itself as a stand-in and says what it knows."""
    build = _run(cloud, _buildspec(build=[command]))

    (line,) = (line for line in _output(cloud, build) if said in line)
    assert "stand-in of the local AWS" in line
    assert build["buildStatus"] == "FAILED"


def test_all_commands_share_one_shell_with_the_variables_of_the_build(cloud: ProcessCloud, tmp_path: Path) -> None:
    """Directory and variables last; the request's variables win over the project's and the buildspec's."""
    env = {"variables": {"A": "buildspec", "FROM_PROJECT": "buildspec", "FROM_REQUEST": "buildspec"}}
    commands = [
        "mkdir inner && cd inner",
        "KEPT='it''s kept'",
        'echo "$A $FROM_PROJECT $FROM_REQUEST $KEPT ${PWD##*/}"',
    ]
    rest = [
        "echo $AWS_REGION $AWS_DEFAULT_REGION $CODEBUILD_BUILD_ID $CODEBUILD_BUILD_SUCCEEDING",
        'test "$CODEBUILD_SRC_DIR/inner" = "$PWD"',
        "printf 'no line end'",
        "for i in 1 2; do\n  echo line $i\ndone",
    ]

    build = _run(
        cloud,
        _buildspec(env, install=commands, build=rest),
        environmentVariablesOverride=[{"name": "FROM_REQUEST", "value": "request"}],
    )

    assert build["buildStatus"] == "SUCCEEDED"
    assert _output(cloud, build) == [
        "buildspec project request its kept inner",
        f"us-east-1 us-east-1 {build['id']} 1",
        "no line end",
        "line 1",
        "line 2",
    ]


def test_a_failed_build_phase_still_reaches_post_build(cloud: ProcessCloud) -> None:
    """The rest of the phase is left out, finally runs, and post_build is told about the failure."""
    build = _run(
        cloud,
        _buildspec(
            build={"commands": ["echo one", "sh -c 'exit 7'", "echo never"], "finally": ["echo finally"]},
            post_build=["echo succeeding=$CODEBUILD_BUILD_SUCCEEDING"],
        ),
    )

    assert build["buildStatus"] == "FAILED"
    assert _output(cloud, build) == ["one", "finally", "succeeding=0"]
    assert _phases(build)["BUILD"] == "FAILED"
    assert _phases(build)["POST_BUILD"] == "SUCCEEDED"
    (context,) = next(phase for phase in build["phases"] if phase["phaseType"] == "BUILD")["contexts"]
    assert context == {
        "statusCode": "COMMAND_EXECUTION_ERROR",
        "message": "Error while executing command: sh -c 'exit 7'. Reason: exit status 7",
    }
    assert any(line.endswith("Phase complete: BUILD State: FAILED") for line in _log(cloud, build))


@pytest.mark.parametrize("command", ["false", "exit 1", "if then"])
def test_a_failed_pre_build_ends_the_build(cloud: ProcessCloud, command: str) -> None:
    """Neither build nor post_build run, also when the command ended the shell itself."""
    build = _run(cloud, _buildspec(pre_build=[command], build=["echo never"], post_build=["echo never"]))

    assert build["buildStatus"] == "FAILED"
    assert "never" not in _output(cloud, build)
    assert list(_phases(build))[-3:] == ["PRE_BUILD", "FINALIZING", "COMPLETED"] or "BUILD" not in _phases(build)


def test_on_failure_continue_goes_on_and_succeeds(cloud: ProcessCloud) -> None:
    """A phase that may fail does not fail the build."""
    build = _run(cloud, _buildspec(pre_build={"commands": ["false"], "on-failure": "CONTINUE"}, build=["echo on"]))

    assert build["buildStatus"] == "SUCCEEDED"
    assert _output(cloud, build) == ["on"]


def test_a_stopped_build_ends_at_once_with_its_children(cloud: ProcessCloud) -> None:
    """The status is STOPPED, nothing later runs, and no process of it is left."""
    buildspec = _buildspec(build=["sh -c 'echo child $$; exec sleep 300'"], post_build=["echo never"])
    build_id = _start(cloud, buildspec)
    logs = {"groupName": f"/aws/codebuild/{PROJECT}", "streamName": build_id.partition(":")[2]}

    def child() -> int | None:
        try:
            output = _output(cloud, {"logs": logs})
        except botocore.exceptions.ClientError:
            return None
        return next((int(line.split()[1]) for line in output if line.startswith("child ")), None)

    process = wait_until(child, "the command runs")
    cloud.client("codebuild").stop_build(id=build_id)
    build = _ended(cloud, build_id)

    assert build["buildStatus"] == "STOPPED"
    assert _phases(build)["BUILD"] == "STOPPED"
    assert "never" not in _output(cloud, build)
    wait_until(lambda: not is_alive(process), "the child has ended")


@pytest.mark.parametrize(
    ("request_members", "code", "message"),
    [
        ({"sourceLocationOverride": f"{BUCKET}/none.zip"}, "CLIENT_ERROR", "error downloading s3://"),
        ({"sourceLocationOverride": f"{BUCKET}/text.zip"}, "CLIENT_ERROR", "is not a zip file"),
        ({"buildspecOverride": "other.yml"}, "YAML_FILE_ERROR", "stat other.yml: no such file"),
        ({"buildspecOverride": "version: 0.2\n"}, "YAML_FILE_ERROR", "phases are"),
    ],
)
def test_a_source_that_cannot_be_built_fails_in_download_source(
    cloud: ProcessCloud, request_members: dict[str, str], code: str, message: str
) -> None:
    """The phase tells what is wrong, and no command runs."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key="text.zip", Body=b"text")
    location = _upload(cloud, "good.zip", {"a": ""})
    request = {"sourceLocationOverride": location, "buildspecOverride": _buildspec(build=["true"]), **request_members}

    build = _run(cloud, request.pop("buildspecOverride"), sourceTypeOverride="S3", **request)

    (context,) = next(p for p in build["phases"] if p["phaseType"] == "DOWNLOAD_SOURCE")["contexts"]
    assert context["statusCode"] == code
    assert message in context["message"]
    assert "BUILD" not in _phases(build)


def test_the_buildspec_of_the_source_is_used_when_none_is_given(cloud: ProcessCloud) -> None:
    """``buildspec.yml`` lies at the top of the source, whose file modes are kept."""
    location = _upload(
        cloud, "own.zip", {"buildspec.yml": _buildspec(build=["./run"]), "run": "#!/bin/sh\necho own\n"}, mode=0o755
    )
    codebuild = cloud.client("codebuild")
    project = _project(cloud, "own-buildspec", source={"type": "S3", "location": location})
    codebuild.create_project(**project)

    build = _ended(cloud, codebuild.start_build(projectName="own-buildspec")["build"]["id"])

    assert _output(cloud, build) == ["own"]
    assert codebuild.list_builds_for_project(projectName="own-buildspec")["ids"] == [build["id"]]
    assert build["buildNumber"] == 1


def test_the_same_token_starts_one_build(cloud: ProcessCloud) -> None:
    """A repeated request finds its build; another request with that token is refused."""
    buildspec = _buildspec(build=["true"])

    first = _start(cloud, buildspec, idempotencyToken="once")
    build = _ended(cloud, first)
    again = cloud.client("codebuild").start_build(
        projectName=PROJECT, buildspecOverride=buildspec, idempotencyToken="once"
    )["build"]

    assert again["id"] == build["id"]
    assert "other parameters" in _refusal(lambda: _start(cloud, _buildspec(build=["false"]), idempotencyToken="once"))


def test_projects_can_be_changed_and_deleted(cloud: ProcessCloud) -> None:
    """Update, list, get and delete follow the project."""
    codebuild = cloud.client("codebuild")
    codebuild.create_project(**_project(cloud, "short-lived"))

    codebuild.update_project(name="short-lived", description="changed", timeoutInMinutes=7)
    (project,) = codebuild.batch_get_projects(names=["short-lived", "none"])["projects"]
    listed = codebuild.list_projects()["projects"]
    codebuild.delete_project(name="short-lived")

    assert (project["description"], project["timeoutInMinutes"]) == ("changed", 7)
    assert project["arn"] == "arn:aws:codebuild:us-east-1:123456789012:project/short-lived"
    assert "short-lived" in listed
    assert codebuild.batch_get_projects(names=["short-lived"])["projectsNotFound"] == ["short-lived"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"name": PROJECT}, "ResourceAlreadyExistsException: Project already exists"),
        ({"source": {"type": "GITHUB", "location": "x"}}, "Source type GITHUB is not supported by the local AWS"),
        ({"source": {"type": "NO_SOURCE"}}, "requires an inline buildspec"),
        ({"artifacts": {"type": "S3", "location": "b"}}, "Artifacts type S3 is not supported"),
        ({"serviceRole": "arn:aws:iam::123456789012:role/none"}, "not authorized to perform: sts:AssumeRole"),
        ({"description": "x" * 256}, "less than or equal to 255"),
        ({"secondarySources": [{"type": "S3", "location": "b/k"}]}, "secondarySources is not supported"),
        ({"sourceVersion": "1"}, "sourceVersion is not supported by the local AWS: give the object its own key"),
        ({"logsConfig": {"s3Logs": {"status": "ENABLED", "location": "b"}}}, "disable s3Logs"),
        ({"logsConfig": {"cloudWatchLogs": {"status": "DISABLED"}}}, "enable cloudWatchLogs"),
        ({"logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "a b"}}}, "cloudWatchLogs.groupName is"),
        ({"fileSystemLocations": [{"type": "EFS", "location": "x"}]}, "fileSystemLocations is not supported"),
    ],
)
def test_a_project_that_cannot_be_built_is_refused(cloud: ProcessCloud, members: dict[str, Any], message: str) -> None:
    """The refusal names the member and what is allowed."""
    project = {**_project(cloud, f"refused-{next(_NUMBERS)}"), **members}

    assert message in _refusal(lambda: cloud.client("codebuild").create_project(**project))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"sourceVersion": "1"}, "sourceVersion is not supported by the local AWS"),
        ({"artifactsOverride": {"type": "S3", "location": "b"}}, "Artifacts type S3 is not supported"),
        ({"secondarySourcesOverride": [{"type": "NO_SOURCE"}]}, "secondarySourcesOverride is not supported"),
        ({"debugSessionEnabled": True}, "debugSessionEnabled is not supported"),
        ({"logsConfigOverride": {"cloudWatchLogs": {"status": "DISABLED"}}}, "enable cloudWatchLogs"),
    ],
)
def test_a_build_that_would_be_another_one_is_refused(
    cloud: ProcessCloud, members: dict[str, Any], message: str
) -> None:
    """What cannot be honoured is not left out quietly."""
    assert message in _refusal(lambda: _start(cloud, _buildspec(build=["true"]), **members))


def test_logs_go_where_the_project_or_the_request_says(cloud: ProcessCloud) -> None:
    """The stream's name is the first part of it; the request wins over the project."""
    codebuild = cloud.client("codebuild")
    logs = {"cloudWatchLogs": {"status": "ENABLED", "groupName": "of-project", "streamName": "stream"}}
    codebuild.create_project(**_project(cloud, "named-logs", logsConfig=logs))
    override = {"cloudWatchLogs": {"status": "ENABLED", "groupName": "of-request"}}
    request = {"projectName": "named-logs", "buildspecOverride": _buildspec(build=["echo $CODEBUILD_LOG_PATH"])}

    first = _ended(cloud, codebuild.start_build(**request)["build"]["id"])
    second = _ended(cloud, codebuild.start_build(**request, logsConfigOverride=override)["build"]["id"])

    identity = first["id"].partition(":")[2]
    assert (first["logs"]["groupName"], first["logs"]["streamName"]) == ("of-project", f"stream/{identity}")
    assert _output(cloud, first) == [f"stream/{identity}"]
    assert second["logs"]["groupName"] == "of-request"
    assert _output(cloud, second) == [second["id"].partition(":")[2]]


def test_the_image_of_the_request_is_shown(cloud: ProcessCloud) -> None:
    """Commands run on this machine all the same."""
    build = _run(cloud, _buildspec(build=["echo $CODEBUILD_BUILD_IMAGE"]), imageOverride="other:1")

    assert build["environment"]["image"] == "other:1"
    assert _output(cloud, build) == ["other:1"]


def test_a_start_reaps_builds_of_an_earlier_life_and_a_constructor_does_not(
    cloud: ProcessCloud, tmp_path: Path
) -> None:
    """Whoever only makes the service may not own the state directory yet."""
    earlier = dataclasses.replace(cloud.cloud, state_dir=tmp_path)
    note = tmp_path / "builds" / "running" / "999999999.json"
    note.parent.mkdir(parents=True)
    note.write_text("{}")

    service = CodeBuildService(earlier, stand_in(cloud.images))
    existed = note.exists()
    service.start()

    assert existed
    assert not note.exists()


def test_what_does_not_exist_is_not_found(cloud: ProcessCloud) -> None:
    """Projects and builds that nobody made have AWS's error."""
    codebuild = cloud.client("codebuild")

    assert _refusal(lambda: codebuild.start_build(projectName="none")) == (
        "ResourceNotFoundException: Project cannot be found: arn:aws:codebuild:us-east-1:123456789012:project/none"
    )
    assert codebuild.batch_get_builds(ids=["none:1"])["buildsNotFound"] == ["none:1"]
    assert _refusal(lambda: codebuild.stop_build(id="none:1")).startswith("ResourceNotFoundException")
