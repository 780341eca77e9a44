"""The account that the retraining DAG needs, made in a local AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local_stack.seed import BUCKET, PROJECT, VARIABLE, main
from tests.support.process_cloud import process_cloud

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
        queue_url = printed[0][VARIABLE]["event_queue_url"]
        assert cloud.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
        assert cloud.client("codebuild").list_projects()["projects"] == [PROJECT]
