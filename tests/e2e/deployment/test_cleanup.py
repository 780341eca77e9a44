"""Cleaning up in the real Airflow: a form that tells, and one that deletes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from local_stack.stack import DAG_ID
from tests.e2e.probe import Run, aws

if TYPE_CHECKING:
    from local_stack.stack import Stack


def test_a_model_that_was_never_deployed_is_told_and_then_deleted(stack: Stack) -> None:
    """The first run is dry, as each weekly one is; the second one was asked to delete, and the image stays."""
    trained = Run.start(stack, DAG_ID, partition="2026-01-03", epochs=3, deploy=False)
    assert trained.wait() == "success"
    model = trained.xcom("create_model")
    sagemaker = aws(stack, "sagemaker")

    # A few seconds are past the retention; what other tests have deployed is kept as the endpoint's way back.
    told = Run.start(stack, "sagemaker_cleanup", retention_days=1e-6, keep_configs=1000)
    assert told.wait() == "success"
    result = told.xcom("clean_up")
    assert model in [row["name"] for row in result["rows"]]
    assert "image" not in result["found"]
    assert re.search(rf"\bmodel +{model}\b", told.log("clean_up"))
    assert sagemaker.describe_model(ModelName=model)["ModelName"] == model

    deleted = Run.start(stack, "sagemaker_cleanup", retention_days=1e-6, keep_configs=1000, delete=True)
    assert deleted.wait() == "success"
    assert deleted.xcom("clean_up")["outcomes"] == {"deleted": sum(result["found"].values())}
    assert model not in [each["ModelName"] for each in sagemaker.list_models(MaxResults=100)["Models"]]
