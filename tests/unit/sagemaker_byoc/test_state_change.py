"""What events say, and which queues can hold them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.state_change import StateChange, check_queue_url, read_event
from tests.support.fake_queue import event

ENDPOINT = "SageMaker Endpoint State Change"
WORDS = st.sampled_from(["TrainingJobName", "EndpointName", "SageMaker Training Job State Change", ENDPOINT, ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
)


def test_an_event_names_what_changed() -> None:
    """Both kinds that the chain waits for are told apart."""
    job = event(TrainingJobName="churn-1", TrainingJobStatus="Completed")
    assert read_event(job) == StateChange("training_job", "churn-1")
    assert read_event(event(ENDPOINT, EndpointName="churn")) == StateChange("endpoint", "churn")


def test_capitals_make_no_difference() -> None:
    """AWS writes the names of endpoints in lower case in some places."""
    assert read_event(event(ENDPOINT, EndpointName="MyEndpoint")) == StateChange.of("endpoint", "myENDPOINT")


@pytest.mark.parametrize(
    "body",
    [
        event("SageMaker Processing Job State Change", ProcessingJobName="p"),
        event(EndpointName="the name of another kind"),
        event(TrainingJobName=7),
        json.dumps({"source": "aws.sagemaker", "detail-type": ["a list"], "detail": "text"}),
    ],
)
def test_an_event_of_sagemaker_about_nothing_waited_for_is_told_apart(body: str) -> None:
    """It belongs in this queue, so it may be deleted."""
    assert read_event(body) == StateChange(None, "")


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "7", "[" * 100_000, '{"source": "aws.s3", "detail": {}}'])
def test_what_is_no_event_of_sagemaker_is_told_apart(body: str) -> None:
    """It is somebody else's message, in a queue that was not meant."""
    assert read_event(body) is None


@given(
    st.fixed_dictionaries({}, optional={"source": st.just("aws.sagemaker") | JSON, "detail-type": JSON, "detail": JSON})
)
def test_no_message_does_harm(content: object) -> None:
    """Whatever somebody puts into the queue, reading it raises nothing."""
    read_event(json.dumps(content))


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.eu-west-1.amazonaws.com/111122223333/state-changes",
        "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/State_Changes",
        "https://vpce-0a1b-xyz.sqs.eu-west-1.vpce.amazonaws.com/111122223333/q",
        "http://127.0.0.1:4566/123456789012/sm-events-Queue-NEI2EYYVHOCM",
    ],
)
def test_urls_of_standard_queues_pass(url: str) -> None:
    """Public ones, those in a VPC and those of a local AWS."""
    check_queue_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("arn:aws:sqs:eu-west-1:111122223333:state-changes", "the URL of an SQS queue, such as https://"),
        ("state-changes", "the output QueueUrl"),
        ("https://sqs.eu-west-1.amazonaws.com/111122223333", "the URL of an SQS queue"),
        ("https://[sqs/111122223333/q", "the URL of an SQS queue"),
        ("https://user@sqs.eu-west-1.amazonaws.com/111122223333/q", "the URL of an SQS queue"),
        ("ftp://sqs.eu-west-1.amazonaws.com/111122223333/q", "the URL of an SQS queue"),
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/q.fifo", "FIFO.*make a standard one"),
    ],
)
def test_anything_else_is_refused_with_what_to_do(url: str, reason: str) -> None:
    """The message names field and value, and is there before any call."""
    with pytest.raises(RequestError, match=f"(?i){reason}") as refused:
        check_queue_url(url)
    assert str(refused.value).startswith(f"event_queue_url: got '{url}'")
