"""Base images that get newer, seen from the tag of what is built on them."""

from __future__ import annotations

import io
import logging
import threading
import zipfile
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_build import DIGEST, FakeBuild, digest_of
from tests.support.fake_docker import FakeDocker, fake_docker
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
OTHER = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
PINNED = f"{REGISTRY}/iris@{DIGEST}"
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def engine(builds: FakeBuild, tmp_path: Path) -> Iterator[FakeDocker]:
    """A Docker engine whose pushes reach ECR."""
    (tmp_path / "docker").mkdir()
    with fake_docker(tmp_path / "docker", lambda reference: builds.take(reference.rpartition(":")[2])) as engine:
        yield engine


def operator(folder: Path, dockerfile: str, builder: str = "docker", **changes: Any) -> BuildPushImageOperator:
    """Make the operator for a folder with only a Dockerfile."""
    context = folder / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    settings: dict[str, Any] = {"project_name": "images", "source_bucket": "bucket", "poll_interval_seconds": 0}
    return BuildPushImageOperator(
        task_id="build_push_image",
        context_path=str(context),
        repository="iris",
        builder=builder,
        aws_conn_id=None,
        **{**settings, **changes},
    )


def test_a_newer_base_image_is_built_on(engine: FakeDocker, builds: FakeBuild, tmp_path: Path) -> None:
    """The engine gets the very image whose digest the tag stands for, and an unchanged one costs no build."""
    task = operator(tmp_path, "ARG TAG=3\nFROM python:${TAG}\n")
    for digest, number in ((OLD, 0), (OLD, 0), (NEW, 1)):
        engine.distributed = {"python:3": digest}
        assert TaskRun().of(task) == f"{REGISTRY}/iris@{digest_of(number)}"
    written = [files["Dockerfile"].decode().splitlines()[1] for files in engine.contexts]
    assert written == [f"FROM python:3@{OLD}", f"FROM python:3@{NEW}"]
    assert len(builds.images) == 2
    assert len({tag.rpartition("-")[0] for tag in builds.images}) == 1


def test_a_base_image_need_not_be_followed(engine: FakeDocker, builds: FakeBuild, tmp_path: Path) -> None:
    """The tag is then that of the content alone, and nobody is asked for digests."""
    engine.distributed = {"python": OLD}
    TaskRun().of(operator(tmp_path, "FROM python\n", follow_base_image=False))
    [tag] = builds.images
    assert tag.count("-") == 1
    assert engine.contexts[0]["Dockerfile"] == b"FROM python\n"


@pytest.mark.parametrize("dockerfile", ["FROM scratch\n", f"FROM python@{OLD}\n", f"FROM {OTHER}/base@{OLD}\n"])
def test_a_base_image_that_cannot_change_needs_no_engine(
    engine: FakeDocker, aws: FakeAws, builds: FakeBuild, tmp_path: Path, dockerfile: str
) -> None:
    """Two calls to ECR are all that an unchanged folder costs."""
    task = operator(tmp_path, dockerfile)
    TaskRun().of(task)
    engine.running = False
    calls = len(aws.calls)
    assert TaskRun(run_id="tomorrow").of(task) == PINNED
    assert [name for name, _ in aws.calls[calls:]] == ["DescribeRepositories", "DescribeImages"]


@pytest.mark.parametrize("builder", ["docker", "codebuild"])
def test_a_base_image_in_ecr_is_looked_up_in_its_own_account_and_region(
    engine: FakeDocker, aws: FakeAws, builds: FakeBuild, tmp_path: Path, builder: str
) -> None:
    """That is the third and last call of an unchanged folder, and it needs no engine."""
    builds.elsewhere = {"team/base": OLD}
    task = operator(tmp_path, f"FROM {OTHER}/team/base:7\n", builder)
    assert TaskRun().of(task) == PINNED
    engine.running = False
    calls = len(aws.calls)
    assert TaskRun(run_id="tomorrow").of(task) == PINNED
    assert len(aws.calls) == calls + 3
    lookup = {"registryId": "210987654321", "repositoryName": "team/base", "imageIds": [{"imageTag": "7"}]}
    assert ("DescribeImages", lookup) in aws.calls[calls:]
    builds.elsewhere = {"team/base": NEW}
    engine.running = True
    TaskRun(run_id="later").of(task)
    assert len(builds.images) == 2


def test_codebuild_builds_on_the_base_image_that_was_found(builds: FakeBuild, tmp_path: Path) -> None:
    """The archive in S3 says which, and has a name of its own for each."""
    for digest in (OLD, NEW):
        builds.elsewhere = {"base": digest}
        TaskRun().of(operator(tmp_path, f"FROM {OTHER}/base\n", "codebuild"))
    written = []
    for content in builds.objects.values():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            written.append(archive.read("Dockerfile").decode().strip())
    assert written == [f"FROM {OTHER}/base@{OLD}", f"FROM {OTHER}/base@{NEW}"]


def test_codebuild_says_which_base_images_it_does_not_follow(
    aws: FakeAws, builds: FakeBuild, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every worker leaves them out, so the tag is the same everywhere."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    TaskRun().of(operator(tmp_path, "FROM python:3\n", "codebuild"))
    [tag] = builds.images
    assert tag.count("-") == 1
    assert any("A newer python:3 is not noticed" in message for message in caplog.messages)


def test_without_an_engine_an_existing_image_of_the_content_will_do(
    engine: FakeDocker, aws: FakeAws, builds: FakeBuild, tmp_path: Path
) -> None:
    """Another worker knew more when it was built; two calls tell."""
    task = operator(tmp_path, "FROM python:3\n")
    engine.distributed = {"python:3": OLD}
    TaskRun().of(task)
    builds.take("ctx-of-something-else")
    engine.running = False
    calls = len(aws.calls)
    assert TaskRun(run_id="tomorrow").of(task) == PINNED
    assert [name for name, _ in aws.calls[calls:]] == ["DescribeRepositories", "DescribeImages"]


def test_without_an_engine_other_content_is_not_taken(engine: FakeDocker, builds: FakeBuild, tmp_path: Path) -> None:
    """It would be built, which needs one."""
    builds.take("ctx-of-something-else")
    engine.running = False
    with pytest.raises(AirflowFailException, match="no Docker engine does"):
        TaskRun().of(operator(tmp_path, "FROM python:3\n"))


@pytest.mark.parametrize("builder", ["docker", "codebuild"])
def test_the_newest_image_is_taken_while_a_base_image_is_unknown(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path, builder: str
) -> None:
    """Not the one that was built when the base image was unknown before."""
    name = "python:3" if builder == "docker" else f"{OTHER}/base:1"
    task = operator(tmp_path, f"FROM {name}\n", builder)
    known: dict[str, str] = {}
    builds.take("ctx-of-something-else")
    builds.elsewhere = known
    engine.distributed = known
    for digest, number in ((None, 1), (NEW, 2), (None, 2)):
        known.clear()
        known.update({"python:3": digest, "base": digest} if digest else {})
        assert TaskRun(run_id=str(digest)).of(task) == f"{REGISTRY}/iris@{digest_of(number)}"
    assert len(builds.images) == 3


def test_a_registry_that_is_away_does_not_bring_an_older_image_back(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The copy of an engine may be older than what the last run was built on; the log warns."""
    task = operator(tmp_path, "FROM python:3\n")
    for digest in (OLD, NEW):
        engine.distributed = {"python:3": digest}
        TaskRun(run_id=digest).of(task)
    engine.distributed = {}
    engine.held = {**engine.held, "python:3": {"Id": "sha256:5", "RepoDigests": [f"python@{OLD}"]}}
    assert TaskRun().of(task) == f"{REGISTRY}/iris@{digest_of(1)}"
    assert len(engine.builds) == 2
    assert "registry of the base image python:3 does not tell its digest" in caplog.text
    assert {record.levelname for record in caplog.records if "python:3" in record.message} >= {"WARNING"}


HELD = {
    "from its registry": ([f"other@{NEW}", f"python@{OLD}"], f"FROM python:3@{OLD}"),
    "made here": ([f"other@{NEW}"], "FROM python:3"),
    "under two digests": ([f"python@{OLD}", f"python@{NEW}"], "FROM python:3"),
}


@pytest.mark.parametrize("case", HELD)
def test_the_engines_own_copy_is_built_on_when_the_registry_is_away_and_there_is_no_image(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path, case: str
) -> None:
    """It is pinned when its digest is certain."""
    digests, expected = HELD[case]
    engine.held = {**engine.held, "python:3": {"Id": "sha256:5", "RepoDigests": digests}}
    TaskRun().of(operator(tmp_path, "FROM python:3\n"))
    assert engine.contexts[0]["Dockerfile"].decode().strip() == expected


def test_an_image_that_is_only_the_engines_counts_by_its_id(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path
) -> None:
    """No registry has anything to say about it, so one that is away is not missed."""
    task = operator(tmp_path, "FROM python:3\n")
    for engine_id in ("sha256:5", "sha256:5", "sha256:6"):
        engine.held = {**engine.held, "python:3": {"Id": engine_id, "RepoDigests": []}}
        TaskRun(run_id=engine_id).of(task)
    assert len(builds.images) == len(engine.builds) == 2


def test_a_copy_counts_when_its_registry_has_it_no_more(engine: FakeDocker, builds: FakeBuild, tmp_path: Path) -> None:
    """That registry did answer; containerd's store tells which of two digests the name leads to."""
    image = {"Id": "sha256:5", "RepoDigests": [f"python@{OLD}", f"python@{NEW}"], "Descriptor": {"digest": NEW}}
    engine.held = {**engine.held, "python:3": image}
    engine.not_distributed = {"python:3"}
    TaskRun().of(operator(tmp_path, "FROM python:3\n"))
    assert engine.contexts[0]["Dockerfile"].decode() == f"FROM python:3@{NEW}\n"


def test_registries_are_asked_at_the_same_time(engine: FakeDocker, builds: FakeBuild, tmp_path: Path) -> None:
    """Three that do not answer take no longer than one."""
    together = threading.Barrier(3, timeout=10)
    answer = engine._distribution

    def distribution(name: str) -> tuple[int, bytes]:
        together.wait()
        return answer(name)

    engine.distributed = {"a:1": OLD, "b:1": OLD, "c:1": NEW}
    with mock.patch.object(engine, "_distribution", distribution):
        TaskRun().of(operator(tmp_path, "FROM a:1\nCOPY --from=b:1 x y\nCOPY --from=c:1 x y\n"))
    assert not together.broken
    assert engine.contexts[0]["Dockerfile"].decode().startswith(f"FROM a:1@{OLD}\n")


def test_a_base_image_that_only_the_builder_can_tell_is_not_asked_about(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line of the log says which ``FROM`` it was."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    with mock.patch.object(engine, "_distribution", side_effect=AssertionError("asked")):
        TaskRun().of(operator(tmp_path, "ARG V=3.12\nFROM python:${V%.*}\n"))
    assert len([message for message in caplog.messages if message.endswith(": FROM python:${V%.*}")]) == 1


def test_a_base_image_that_nobody_knows_is_left_to_the_engine(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path
) -> None:
    """It may still pull it, and the tag says nothing of it."""
    assert TaskRun().of(operator(tmp_path, "FROM python:3\n")) == PINNED
    [tag] = builds.images
    assert tag.count("-") == 1


def test_a_base_image_that_ecr_does_not_tell_of_does_not_stop_the_task(
    engine: FakeDocker, aws: FakeAws, builds: FakeBuild, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The role may lack the right to ask; the log says so."""
    known = aws.answers["DescribeImages"]

    def describe(**request: Any) -> dict[str, Any]:
        if "registryId" in request:
            raise AwsSays("AccessDeniedException", "not authorized to perform: ecr:DescribeImages")
        return known(**request)

    aws.on("DescribeImages", describe)
    assert TaskRun().of(operator(tmp_path, f"FROM {OTHER}/base\n")) == PINNED
    assert "not authorized to perform: ecr:DescribeImages" in caplog.text


def test_the_engine_is_let_into_the_registries_of_base_images(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path
) -> None:
    """With tokens of their regions, which go with the build; the user's Docker configuration stays as it is."""
    builds.elsewhere = {"base": OLD}
    TaskRun().of(operator(tmp_path, f"FROM {OTHER}/base AS a\nFROM {REGISTRY}/base\nCOPY --from=a /x /x\n"))
    assert sorted(engine.logins) == [REGISTRY, OTHER]
    assert engine.build_logins[0][OTHER]["password"].startswith("token-")
    assert list((tmp_path / "docker").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "follow", "expected"),
    [("base:1", True, f"base:1@{OLD}"), ("base:1", False, "base:1"), (f"base@{NEW}", True, f"base@{NEW}")],
)
def test_an_emulated_registry_is_where_base_images_come_from(
    engine: FakeDocker, builds: FakeBuild, tmp_path: Path, name: str, follow: bool, expected: str
) -> None:
    """The name that ECR gave them leads nowhere."""
    builds.registry_endpoint = "http://127.0.0.1:5000"
    builds.elsewhere = {"base": OLD}
    TaskRun().of(operator(tmp_path, f"FROM {REGISTRY}/{name}\n", follow_base_image=follow))
    assert engine.contexts[0]["Dockerfile"].decode() == f"FROM 127.0.0.1:5000/{expected}\n"
    assert engine.logins == ["127.0.0.1:5000"]


def test_a_login_that_is_refused_is_told(engine: FakeDocker, builds: FakeBuild, tmp_path: Path) -> None:
    """Which registry it was, and that nothing was built."""
    engine.login_refusal = "unauthorized: incorrect username or password"
    with pytest.raises(AirflowFailException, match=rf"not let into {OTHER}.*unauthorized"):
        TaskRun().of(operator(tmp_path, f"FROM {OTHER}/base\n"))
    assert engine.builds == []
