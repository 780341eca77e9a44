"""The account that the retraining DAG needs, made in a local AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local_stack.seed import BUCKET, PROJECT, VARIABLE, main, seed
from tests.support.process_cloud import ProcessCloud, process_cloud

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_account_can_be_seeded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Compose does so at each start, and finds it seeded when only another part was started anew."""
    with process_cloud(tmp_path) as cloud:
        printed = []
        for _ in range(2):
            main([cloud.endpoint_url])
            printed.append(json.loads(capsys.readouterr().out))

        assert printed[0] == printed[1]
        assert printed[0][VARIABLE]["bucket"] == BUCKET
        role = cloud.client("iam").get_role(RoleName="sagemaker-retrain-execution")["Role"]
        assert printed[0][VARIABLE]["role_arn"] == role["Arn"]
        assert cloud.client("codebuild").list_projects()["projects"] == [PROJECT]


def test_state_changes_reach_the_queue_among_the_settings(tmp_path: Path) -> None:
    """Ends of jobs do, once however often the account was seeded; what ends nothing does not."""
    with process_cloud(tmp_path) as cloud:
        seed(cloud.endpoint_url)
        queue_url = seed(cloud.endpoint_url).settings["event_queue_url"]
        for status in ("InProgress", "Completed"):
            put_event(cloud, TrainingJobName=status, TrainingJobStatus=status)

        received = cloud.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)["Messages"]
        assert [json.loads(message["Body"])["detail"]["TrainingJobName"] for message in received] == ["Completed"]


def put_event(cloud: ProcessCloud, **detail: str) -> None:
    """Publish the state change of a training job, as SageMaker does."""
    event = {"Source": "aws.sagemaker", "DetailType": "SageMaker Training Job State Change"}
    cloud.client("events").put_events(Entries=[{**event, "Detail": json.dumps(detail)}])
