"""The repository that takes the image, seen from the requests that reach ECR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.fake_build import FakeBuild
from tests.support.image_task import codebuild_operator, write_folder
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 20},
    "action": {"type": "expire"},
}
POLICY = {"rules": [RULE]}


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """ECR, S3 and CodeBuild without images."""
    with fake_aws() as aws:
        FakeBuild(aws)
        aws.on("PutLifecyclePolicy", {})
        yield aws


def run(folder: Path, **changes: Any) -> None:
    """Build into the repository ``new``, which does not exist at first."""
    TaskRun().of(codebuild_operator(write_folder(folder, "", "scratch"), "new", **changes))


def test_a_missing_repository_is_made_with_tags_that_stay_and_a_scan(aws: FakeAws, tmp_path: Path) -> None:
    """It says which run made it."""
    run(tmp_path)
    [request] = aws.asked("CreateRepository")
    assert request["imageTagMutability"] == "IMMUTABLE"
    assert request["imageScanningConfiguration"] == {"scanOnPush": True}
    assert "retrain" in {tag["Value"] for tag in request["tags"]}
    assert not aws.asked("PutLifecyclePolicy")


def test_a_repository_gets_its_lifecycle_policy_when_it_is_made(aws: FakeAws, tmp_path: Path) -> None:
    """One that exists keeps its own."""
    run(tmp_path, lifecycle_policy=POLICY)
    run(tmp_path, lifecycle_policy=POLICY)
    [request] = aws.asked("PutLifecyclePolicy")
    assert request["repositoryName"] == "new"
    assert json.loads(request["lifecyclePolicyText"]) == POLICY


def test_a_policy_that_ecr_does_not_take_is_told(aws: FakeAws, tmp_path: Path) -> None:
    """The repository is there by then, and the message says what to do about it."""
    aws.on("PutLifecyclePolicy", AwsSays("InvalidParameterException", "rulePriority must be unique"))
    with pytest.raises(AirflowFailException, match=r"lifecycle_policy.*rulePriority must be unique.*new exists now"):
        run(tmp_path, lifecycle_policy=POLICY)
