"""The repository that takes the image, seen from the requests that reach ECR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError

from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.image_task import codebuild_operator, write_folder
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_build import FakeBuild

RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20},
    "action": {"type": "expire"},
}
POLICY = {"rules": [RULE]}


def run(folder: Path, **changes: Any) -> None:
    """Build into the repository ``new``, which does not exist at first."""
    TaskRun().of(codebuild_operator(write_folder(folder, "", "scratch"), "new", **changes))


def test_a_missing_repository_is_made_with_tags_that_stay_and_a_scan(
    aws: FakeAws, builds: FakeBuild, tmp_path: Path
) -> None:
    """It says which run made it."""
    run(tmp_path)
    [request] = aws.asked("CreateRepository")
    assert request["imageTagMutability"] == "IMMUTABLE"
    assert request["imageScanningConfiguration"] == {"scanOnPush": True}
    assert "retrain" in {tag["Value"] for tag in request["tags"]}
    assert not builds.policies


def test_a_repository_gets_its_lifecycle_policy_with_its_first_image(
    aws: FakeAws, builds: FakeBuild, tmp_path: Path
) -> None:
    """An unchanged folder costs no call for it."""
    run(tmp_path, lifecycle_policy=POLICY)
    calls = len(aws.calls)
    run(tmp_path, lifecycle_policy=POLICY)
    assert json.loads(builds.policies["new"]) == POLICY
    assert [name for name, _ in aws.calls[calls:]] == ["DescribeRepositories", "DescribeImages"]


def test_a_lifecycle_policy_that_got_lost_on_the_way_is_put_by_the_next_try(
    aws: FakeAws, builds: FakeBuild, tmp_path: Path
) -> None:
    """The repository is there by then, which is no sign that its policy is."""
    put = aws.answers["PutLifecyclePolicy"]
    aws.on("PutLifecyclePolicy", AwsSays("ThrottlingException", "slow down"))
    with pytest.raises(ClientError, match="slow down"):
        run(tmp_path, lifecycle_policy=POLICY)
    aws.on("PutLifecyclePolicy", put)
    run(tmp_path, lifecycle_policy=POLICY)
    assert json.loads(builds.policies["new"]) == POLICY


def test_a_lifecycle_policy_that_is_there_stays(aws: FakeAws, builds: FakeBuild, tmp_path: Path) -> None:
    """It was put by a person, or by the run that made the repository first."""

    def create(**request: Any) -> dict[str, Any]:
        builds.repositories.add(request["repositoryName"])
        builds.policies["new"] = "of another run"
        raise AwsSays("RepositoryAlreadyExistsException", "already exists")

    aws.on("CreateRepository", create)
    run(tmp_path, lifecycle_policy=POLICY)
    assert builds.policies["new"] == "of another run"


def test_a_policy_that_ecr_does_not_take_is_told(aws: FakeAws, builds: FakeBuild, tmp_path: Path) -> None:
    """Nothing is built before the rules are in force."""
    aws.on("PutLifecyclePolicy", AwsSays("InvalidParameterException", "rulePriority must be unique"))
    with pytest.raises(AirflowFailException, match=r"lifecycle_policy.*rulePriority must be unique"):
        run(tmp_path, lifecycle_policy=POLICY)
    assert not builds.builds
