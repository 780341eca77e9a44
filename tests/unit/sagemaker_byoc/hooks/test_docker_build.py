"""Images built by a Docker engine, seen from what reaches the engine and AWS."""

from __future__ import annotations

import json
import logging
import traceback
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import requests
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.errors import ImageBuildInterruptedError
from sagemaker_byoc.hooks import docker_build
from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_build import DIGEST, FakeBuild, digest_of
from tests.support.fake_docker import FakeDocker, fake_docker, step
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
PINNED = f"{REGISTRY}/iris@{DIGEST}"
FAILED_STEP = [
    *step("1/2", "FROM python", " ---> 1\n"),
    *step("2/2", "RUN pip install nothing", "\x1b[91mERROR: no matching distribution\n\x1b[0m"),
    {"error": "The command '/bin/sh -c pip install nothing' returned a non-zero code: 1"},
]


@pytest.fixture
def engine(builds: FakeBuild, tmp_path: Path) -> Iterator[FakeDocker]:
    """A Docker engine whose pushes reach ECR; waits between them take no time."""
    (tmp_path / "docker").mkdir()
    with (
        fake_docker(tmp_path / "docker", lambda reference: builds.take(reference.rpartition(":")[2])) as engine,
        mock.patch("time.sleep"),
    ):
        yield engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Dockerfile and a program."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "train").write_text("#!/bin/sh\n")
    return folder


def operator(folder: Path, **changes: Any) -> BuildPushImageOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "context_path": str(folder),
        "repository": "iris",
        "builder": "docker",
        "aws_conn_id": None,
    }
    return BuildPushImageOperator(task_id="build_push_image", **{**settings, **changes})


def test_a_new_folder_is_built_pushed_and_pinned(engine: FakeDocker, folder: Path) -> None:
    """The engine gets the context and the choices; the task neither defers nor has a log elsewhere."""
    run = TaskRun()
    wanted = operator(folder, build_args={"A": 1}, target="serve", platform="linux/amd64", config={"pull": True})
    assert run.of(wanted) == PINNED
    [build] = engine.builds
    assert json.loads(build["buildargs"]) == {"A": "1"}
    assert (build["target"], build["dockerfile"]) == ("serve", "Dockerfile")
    assert build["pull"] == "True"
    assert engine.contexts == [{"Dockerfile": b"FROM scratch\n", "train": b"#!/bin/sh\n"}]
    assert (run.deferrals, run.xcoms) == ([], {})


def test_the_push_carries_ecrs_token(engine: FakeDocker, folder: Path, tmp_path: Path) -> None:
    """It goes with the request, and the user's Docker configuration stays as it is."""
    TaskRun().of(operator(folder))
    [(reference, auth)] = engine.pushes
    assert reference.startswith(f"{REGISTRY}/iris:ctx-")
    assert auth == {"username": "AWS", "password": "token-1"}
    assert list((tmp_path / "docker").iterdir()) == []


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("http://localhost:5000", "localhost:5000"),
        ("https://123456789012.dkr.ecr.us-east-1.amazonaws.com", REGISTRY),
    ],
)
def test_an_emulated_ecr_says_where_its_registry_listens(
    engine: FakeDocker, builds: FakeBuild, folder: Path, endpoint: str, host: str
) -> None:
    """Only a loopback endpoint is believed, and the image keeps ECR's name."""
    builds.registry_endpoint = endpoint
    assert TaskRun().of(operator(folder)) == PINNED
    [(reference, _)] = engine.pushes
    assert reference.startswith(f"{host}/iris:ctx-")


def test_an_unchanged_folder_needs_no_engine(engine: FakeDocker, aws: FakeAws, folder: Path) -> None:
    """Two looks at ECR are all that it costs."""
    TaskRun().of(operator(folder))
    engine.running = False
    calls = len(aws.calls)
    assert TaskRun(run_id="tomorrow").of(operator(folder)) == PINNED
    assert [name for name, _ in aws.calls[calls:]] == ["DescribeRepositories", "DescribeImages"]


def test_without_an_engine_the_message_says_what_to_do(engine: FakeDocker, folder: Path) -> None:
    """It names the address, the way to start one and the other builder."""
    engine.running = False
    with pytest.raises(AirflowFailException, match=r"docker\.sock.*systemctl start docker.*builder='codebuild'"):
        TaskRun().of(operator(folder))


def test_the_log_of_the_build_is_the_tasks_log(
    engine: FakeDocker, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Line by line, with the layers of the push."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    TaskRun().of(operator(folder))
    assert "Step 2/2 : COPY train /" in caplog.messages
    assert "35013c7b9889: Pushed" in caplog.messages


def test_a_failed_step_is_told_with_its_command_and_last_lines(engine: FakeDocker, folder: Path) -> None:
    """The task fails without a retry, and nothing is pushed."""
    engine.build_events = FAILED_STEP
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(operator(folder))
    for part in ("step 2/2, RUN pip install nothing", "non-zero code: 1", "\nERROR: no matching distribution"):
        assert part in str(caught.value)
    assert engine.pushes == []


def test_a_dockerfile_that_the_engine_cannot_read_is_told(engine: FakeDocker, folder: Path) -> None:
    """The engine refuses the request as a whole."""
    engine.build_status = 400
    engine.build_events = [{"error": "dockerfile parse error line 2: unknown instruction: FOO"}]
    with pytest.raises(AirflowFailException, match="before the first step: dockerfile parse error line 2"):
        TaskRun().of(operator(folder))


def test_an_engine_that_breaks_off_is_worth_a_retry(engine: FakeDocker, folder: Path) -> None:
    """A build without an end has made no image."""
    engine.build_events = step("1/2", "FROM scratch")
    with pytest.raises(ImageBuildInterruptedError, match=r"broke off.*step 1/2, FROM scratch"):
        TaskRun().of(operator(folder))


def test_a_base_image_that_cannot_be_reached_is_worth_a_retry(engine: FakeDocker, folder: Path) -> None:
    """The registry may be back in a minute."""
    engine.build_events = [*step("1/2", "FROM python"), {"error": "dial tcp: lookup registry: no such host"}]
    with pytest.raises(ImageBuildInterruptedError, match="step 1/2, FROM python: dial tcp"):
        TaskRun().of(operator(folder))


def test_a_missing_package_is_told(engine: FakeDocker, folder: Path) -> None:
    """The provider does not bring docker-py along."""
    with (
        mock.patch.dict("sys.modules", {"docker": None}),
        pytest.raises(AirflowFailException, match=r"pip install docker.*builder='codebuild'"),
    ):
        TaskRun().of(operator(folder))


@pytest.mark.parametrize(("platform", "asked"), [(None, None), ("linux/amd64", None), ("linux/arm64", "linux/arm64")])
def test_the_engine_is_told_a_platform_only_when_it_is_not_its_own(
    engine: FakeDocker, folder: Path, platform: str | None, asked: str | None
) -> None:
    """An engine before 20.10 would not take one without its experimental features."""
    engine.architecture = "arm64" if asked else "amd64"
    TaskRun().of(operator(folder, **({"platform": platform} if platform else {})))
    assert engine.builds[0].get("platform") == asked


def test_an_engine_of_another_platform_does_not_take_the_tag(engine: FakeDocker, folder: Path) -> None:
    """What it builds by itself is nothing that SageMaker's instances run."""
    engine.architecture = "arm64"
    with pytest.raises(AirflowFailException, match=r"for linux/arm64 and not for linux/amd64"):
        TaskRun().of(operator(folder))
    assert engine.pushes == []


def test_an_image_for_another_platform_is_not_pushed(engine: FakeDocker, folder: Path) -> None:
    """An engine may take a base image of its own platform without a word."""
    with pytest.raises(AirflowFailException, match=r"for linux/amd64 and not for linux/arm64.*binfmt"):
        TaskRun().of(operator(folder, platform="linux/arm64"))
    assert engine.pushes == []


def test_a_passing_fault_of_the_push_is_tried_again_with_a_new_token(
    engine: FakeDocker, builds: FakeBuild, folder: Path
) -> None:
    """Also when it was the token that had expired."""
    engine.refusals = ["503 Service Unavailable", "denied: Your authorization token has expired."]
    assert TaskRun().of(operator(folder)) == PINNED
    assert [auth["password"] for _, auth in engine.pushes] == ["token-1", "token-2", "token-3"]
    assert len(engine.builds) == 1


def test_a_push_that_always_fails_is_given_up(engine: FakeDocker, folder: Path) -> None:
    """The number of attempts is bounded, and Airflow may retry the task."""
    engine.refusals = ["no basic auth credentials"] * 99
    with pytest.raises(ImageBuildInterruptedError, match=r"built, but not pushed.*\n.*refuses the login"):
        TaskRun().of(operator(folder))
    assert len(engine.pushes) == docker_build.PUSH_ATTEMPTS


@pytest.mark.parametrize(
    ("refusal", "part"),
    [
        ("denied: User: a is not authorized to perform: ecr:InitiateLayerUpload", "ecr:PutImage"),
        ("write /var/lib/docker: no space left on device", "make room"),
    ],
)
def test_a_push_that_cannot_succeed_is_not_tried_again(
    engine: FakeDocker, folder: Path, refusal: str, part: str
) -> None:
    """The message says what is missing."""
    engine.refusals = [refusal] * 9
    with pytest.raises(AirflowFailException, match=part):
        TaskRun().of(operator(folder))
    assert len(engine.pushes) == 1


def test_a_tag_that_another_run_took_is_a_success(engine: FakeDocker, builds: FakeBuild, folder: Path) -> None:
    """ECR holds an image of this very content, and its digest is the result."""
    refusal = "tag invalid: The image tag already exists in the repository and cannot be overwritten, it is immutable."
    engine.refusals = [refusal]

    def built(*answer: Any) -> Any:
        builds.take(engine.builds[-1]["t"].rpartition(":")[2])
        return push(*answer)

    push = engine._push
    with mock.patch.object(engine, "_push", built):
        assert TaskRun().of(operator(folder)) == PINNED
    assert len(engine.pushes) == 1


def test_a_push_that_ecr_never_lists_is_a_failure(engine: FakeDocker, folder: Path) -> None:
    """The digest is read back and never guessed."""
    engine._on_push = lambda _: None
    with (
        mock.patch.object(docker_build, "LISTING_SECONDS", 0.0),
        pytest.raises(AirflowFailException, match="ECR does not hold"),
    ):
        TaskRun().of(operator(folder))


def previous(builds: FakeBuild) -> str:
    """Put two images of earlier content and one of another maker into ECR; return the newest of ours."""
    for tag in ("ctx-oldest", "ctx-newer", "latest"):
        builds.take(tag)
    return f"{REGISTRY}/iris:ctx-newer"


def test_a_fresh_engine_takes_layers_from_the_previous_image(
    engine: FakeDocker, builds: FakeBuild, folder: Path
) -> None:
    """A change of the code does not install everything again."""
    reference = previous(builds)
    TaskRun().of(operator(folder))
    assert engine.pulls == [reference]
    assert json.loads(engine.builds[0]["cachefrom"]) == [reference]


def test_an_engine_that_made_the_previous_image_uses_its_own_cache(
    engine: FakeDocker, builds: FakeBuild, folder: Path
) -> None:
    """Naming an image would confine the engine to that one."""
    engine.made.add(previous(builds))
    TaskRun().of(operator(folder))
    assert engine.pulls == []
    assert "cachefrom" not in engine.builds[0]


def test_layers_that_the_engine_took_over_are_named_again(engine: FakeDocker, builds: FakeBuild, folder: Path) -> None:
    """The engine's own cache finds only steps that it ran; nothing is fetched, since the image is there."""
    reference = previous(builds)
    ran = {"Cmd": ["/bin/sh", "-c", "#(nop) COPY file:2 in /"]}
    engine.held[reference] = {"Id": "sha256:4", "Parent": "sha256:3", "ContainerConfig": ran}
    engine.held["sha256:3"] = {"Id": "sha256:3", "Parent": "sha256:2", "ContainerConfig": {"Cmd": None}}
    TaskRun().of(operator(folder))
    assert engine.pulls == []
    assert json.loads(engine.builds[0]["cachefrom"]) == [reference]


@pytest.mark.parametrize("refusal", ["pull", "list"])
def test_a_cache_that_cannot_be_had_does_not_fail_the_build(
    engine: FakeDocker, aws: FakeAws, builds: FakeBuild, folder: Path, refusal: str
) -> None:
    """It is only slower."""
    previous(builds)
    engine.pullable = refusal != "pull"
    known = aws.answers["DescribeImages"]

    def describe(**request: Any) -> dict[str, Any]:
        if "imageIds" not in request and refusal == "list":
            raise AwsSays("AccessDeniedException", "no listing")
        return known(**request)

    aws.on("DescribeImages", describe)
    assert TaskRun().of(operator(folder)) == f"{REGISTRY}/iris@{digest_of(3)}"
    assert "cachefrom" not in engine.builds[0]


def test_a_secret_is_in_neither_log_nor_error(
    engine: FakeDocker, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The program of a step may print it, and the failed command may hold it."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    engine.build_events = [*step("1/1", "RUN fetch", "token is hunter2\n"), {"error": "fetch hunter2 failed"}]
    secret = operator(folder, build_args={"TOKEN": "hunter2"}, secret_build_args=["TOKEN"])
    with pytest.raises(AirflowFailException, match=r"fetch \*\*\* failed") as caught:
        TaskRun().of(secret)
    assert "hunter2" not in str(caught.value) + caplog.text
    assert json.loads(engine.builds[0]["buildargs"]) == {"TOKEN": "hunter2"}


URL_SECRET = "a/+=b c\u00e9"
KEY = "-----BEGIN KEY-----\nAAAAsecretline1\r\nBBBBsecretline2\n}\n-----END KEY-----"


@pytest.mark.parametrize("fault", ["refused", "gone"])
def test_a_secret_is_not_in_the_traceback(engine: FakeDocker, folder: Path, fault: str) -> None:
    """docker-py sends it in the address of the request, percent-encoded, and its errors tell the address."""
    engine.build_status = 400
    engine.build_events = [{"error": f"dockerfile parse error line 2: unknown instruction: {URL_SECRET}"}]

    def gone(_: dict[str, str], request: requests.PreparedRequest) -> tuple[int, bytes]:
        raise requests.ConnectionError(f"Max retries exceeded with url: {request.url}", request=request)

    secret = operator(folder, build_args={"TOKEN": URL_SECRET}, secret_build_args=["TOKEN"])
    with (
        mock.patch.object(engine, "_build", gone) if fault == "gone" else nullcontext(),
        pytest.raises((AirflowFailException, ImageBuildInterruptedError)) as caught,
    ):
        TaskRun().of(secret)
    told = "".join(traceback.format_exception(caught.value))
    for part in (URL_SECRET, "a%2F", "TOKEN%22%3A+%22a"):
        assert part not in told
    assert "***" in str(caught.value)


def test_airflow_masks_a_secret_as_it_stands_in_an_address(engine: FakeDocker, folder: Path) -> None:
    """An HTTP library logs addresses when it is told to log more."""
    TaskRun().of(operator(folder, build_args={"TOKEN": "from/+=vault"}, secret_build_args=["TOKEN"]))
    assert redact("POST /build?buildargs=%7B%22TOKEN%22%3A+%22from%2F%2B%3Dvault%22%7D") == (
        "POST /build?buildargs=%7B%22TOKEN%22%3A+%22***%22%7D"
    )


def test_the_lines_of_a_secret_are_secret(engine: FakeDocker, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A log has one line at a time; a bracket on a line of its own is none."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    engine.build_events = [*step("1/1", "RUN x", f"{KEY}\n{{\n}}\n"), {"error": f"cat: {KEY}"}]
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(operator(folder, build_args={"TOKEN": KEY}, secret_build_args=["TOKEN"]))
    assert "secretline" not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "}" in caplog.messages
    assert redact("see AAAAsecretline1") == "see ***"


def test_secret_arguments_as_one_text_are_refused_unseen(engine: FakeDocker, folder: Path) -> None:
    """A template that renders to text would otherwise be shown in the error, and tried again."""
    task = operator(folder, build_args="{'TOKEN': 'hunter2'}", secret_build_args=["TOKEN"])
    with pytest.raises(AirflowFailException, match="build_args: got 'str'; allowed is a mapping") as caught:
        task.render_template_fields(TaskRun().context)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_secret_is_masked_before_airflow_stores_the_rendered_fields(engine: FakeDocker, folder: Path) -> None:
    """Anybody who may see the task may see its rendered fields."""
    arguments = {"PIP_INDEX": "{{ 'from-a-' ~ 'backend' }}"}
    task = operator(folder, build_args=arguments, secret_build_args=["PIP_INDEX"])
    task.render_template_fields(TaskRun().context)
    assert task.build_args == {"PIP_INDEX": "from-a-backend"}
    assert redact(task.build_args) == {"PIP_INDEX": "***"}


def test_an_image_that_tells_a_secret_is_not_pushed(engine: FakeDocker, folder: Path) -> None:
    """The history of an image shows the arguments of its RUN lines."""
    engine.history = ["|1 TOKEN=hunter2 /bin/sh -c fetch"]
    secret = operator(folder, build_args={"TOKEN": "hunter2"}, secret_build_args=["TOKEN"])
    with pytest.raises(AirflowFailException, match=r"shows the value of TOKEN.*COPY --from") as caught:
        TaskRun().of(secret)
    assert "hunter2" not in str(caught.value)
    assert engine.pushes == []
