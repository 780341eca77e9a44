"""The template that the README hands to a user does what the triggerer's reader needs, and nothing more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from local_stack.event_queue import TEMPLATE as FILE
from local_stack.home import CHECKOUT

TEMPLATE = json.loads(FILE.read_text())
RESOURCES = TEMPLATE["Resources"]
RULES = {name: found["Properties"] for name, found in RESOURCES.items() if found["Type"] == "AWS::Events::Rule"}
QUEUE_ARN = {"Fn::GetAtt": ["Queue", "Arn"]}
TRAINING_JOB, ENDPOINT = "SageMaker Training Job State Change", "SageMaker Endpoint State Change"


def reach_the_queue(detail_type: str, **detail: str) -> list[str]:
    """Return the rules that let an event through, by moto's reading of EventBridge's patterns."""
    event: Any = {"source": "aws.sagemaker", "detail-type": detail_type, "detail": detail}
    return [name for name, rule in RULES.items() if EventPattern(None, rule["EventPattern"]).matches_event(event)]


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_every_end_of_a_job_reaches_the_queue(status: str) -> None:
    """Each is news for a wait."""
    assert reach_the_queue(TRAINING_JOB, TrainingJobStatus=status) == ["TrainingJobRule"]


@pytest.mark.parametrize("status", ["IN_SERVICE", "FAILED", "OUT_OF_SERVICE", "UPDATE_ROLLBACK_FAILED", "DELETING"])
def test_every_end_of_a_deployment_reaches_the_queue(status: str) -> None:
    """Each is news for a wait."""
    assert reach_the_queue(ENDPOINT, EndpointStatus=status) == ["EndpointRule"]


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        (TRAINING_JOB, {"TrainingJobStatus": "InProgress"}),
        (TRAINING_JOB, {"TrainingJobStatus": "Stopping"}),
        (ENDPOINT, {"EndpointStatus": "CREATING"}),
        (ENDPOINT, {"EndpointStatus": "ROLLING_BACK"}),
        ("SageMaker Processing Job State Change", {"ProcessingJobStatus": "Completed"}),
    ],
)
def test_what_ends_no_wait_is_not_sent(detail_type: str, detail: dict[str, str]) -> None:
    """Every message costs three requests."""
    assert reach_the_queue(detail_type, **detail) == []


def test_every_rule_sends_to_the_queue_and_nobody_else_may() -> None:
    """The queue believes what it gets, so only these rules of EventBridge may write into it."""
    assert [rule["Targets"] for rule in RULES.values()] == [[{"Id": "queue", "Arn": QUEUE_ARN}]] * 2
    policy = RESOURCES["QueuePolicy"]["Properties"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert policy["Queues"] == [{"Ref": "Queue"}]
    assert (statement["Effect"], statement["Principal"]) == ("Allow", {"Service": "events.amazonaws.com"})
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", QUEUE_ARN)
    arns = [{"Fn::GetAtt": [name, "Arn"]} for name in RULES]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": arns}}


def test_the_queue_forgets_soon_and_is_encrypted() -> None:
    """News of an hour ago are worth nothing, and a queue that nobody reads must not fill up."""
    queue = RESOURCES["Queue"]["Properties"]
    assert queue["MessageRetentionPeriod"] == 300
    assert queue["SqsManagedSseEnabled"] is True
    assert queue.keys().isdisjoint({"FifoQueue", "KmsMasterKeyId"})


def test_the_readers_rights_are_those_of_the_airflow_policy() -> None:
    """A user attaches one or the other."""
    [reads] = RESOURCES["ReaderPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    policy = json.loads((CHECKOUT / "include" / "iam" / "airflow.json").read_text())
    [same] = [found for found in policy["Statement"] if found["Sid"] == reads["Sid"]]
    assert reads["Action"] == same["Action"]
    assert reads["Resource"] == QUEUE_ARN


def test_the_outputs_are_what_the_readme_asks_for() -> None:
    """The URL goes into the Airflow Variable, the ARN into a policy of one's own."""
    assert TEMPLATE["Outputs"]["QueueUrl"]["Value"] == {"Ref": "Queue"}
    assert TEMPLATE["Outputs"]["QueueArn"]["Value"] == QUEUE_ARN
