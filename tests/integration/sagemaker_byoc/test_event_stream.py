"""News of state changes on the whole way: SageMaker, EventBridge, SQS, reader, loop."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from local_stack.event_queue import TEMPLATE
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.triggers import event_stream
from sagemaker_byoc.triggers.event_stream import EventStream
from tests.support.fake_queue import event
from tests.support.hosting import HostingAccount
from tests.support.operator_cloud import operator_cloud
from tests.support.process_cloud import wait_until
from tests.support.training import BuiltTrainingAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sagemaker_byoc.state_change import Kind
    from tests.support.process_cloud import ProcessCloud

# moto leaves the queue's policy out of the stack: it knows no such resource, and checks no permissions anyway.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS..SQS..QueuePolicy")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCloud]:
    """One local AWS for the tests of this module."""
    with operator_cloud(tmp_path_factory.mktemp("cloud")) as cloud, mock.patch.dict(event_stream._streams, clear=True):
        yield cloud


@pytest.fixture(scope="module")
def queue_url(cloud: ProcessCloud) -> str:
    """The queue of the stack that CloudFormation makes from the template, as a user does."""
    cloudformation = cloud.client("cloudformation")
    template = TEMPLATE.read_text(encoding="utf-8")
    cloudformation.create_stack(StackName="events", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    [stack] = cloudformation.describe_stacks(StackName="events")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return str(outputs["QueueUrl"])


@pytest.fixture(scope="module")
def training(cloud: ProcessCloud) -> BuiltTrainingAccount:
    """An account in which jobs really run."""
    return BuiltTrainingAccount(cloud)


async def hears(queue_url: str, kind: Kind, name: str, act: Callable[[], object]) -> None:
    """Return when news about a resource have come after something was done."""
    news = asyncio.Event()
    leave = EventStream.of(AwsConnection(None), queue_url).subscribe(kind, name, news.set)
    try:
        await asyncio.to_thread(act)
        await asyncio.wait_for(news.wait(), 60)
    finally:
        leave()


def is_empty(cloud: ProcessCloud, queue_url: str) -> bool:
    """Say whether the queue holds nothing, seen or unseen."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return set(found.values()) == {"0"}


@pytest.mark.parametrize(("program", "status"), [("", "Completed"), ("sys.exit(1)", "Failed")])
def test_the_end_of_a_job_is_news(training: BuiltTrainingAccount, queue_url: str, program: str, status: str) -> None:
    """The job really runs; when the news come, AWS says how it ended."""
    request = training.request(program, TrainingJobName=f"Churn-{status}")
    create = partial(training.sagemaker.create_training_job, **request)
    asyncio.run(hears(queue_url, "training_job", f"churn-{status}", create))
    assert training.describe(f"Churn-{status}")["TrainingJobStatus"] == status


def test_an_endpoint_that_serves_is_news(cloud: ProcessCloud, queue_url: str) -> None:
    """Capitals in its name are no obstacle."""
    account = HostingAccount(cloud)
    config = account.simple_config("alpha")
    create = partial(account.sagemaker.create_endpoint, EndpointName="Churn", EndpointConfigName=config)
    asyncio.run(hears(queue_url, "endpoint", "churn", create))
    assert account.sagemaker.describe_endpoint(EndpointName="Churn")["EndpointStatus"] == "InService"


def test_news_that_nobody_waits_for_leave_the_queue(cloud: ProcessCloud, queue_url: str) -> None:
    """They are offered a few times and then deleted."""

    def send_and_watch() -> None:
        cloud.client("sqs").send_message(QueueUrl=queue_url, MessageBody=event(TrainingJobName="nobody's"))
        wait_until(lambda: is_empty(cloud, queue_url), "the queue is empty", 60.0)

    async def wait_for_another() -> None:
        leave = EventStream.of(AwsConnection(None), queue_url).subscribe("training_job", "another", lambda: None)
        await asyncio.to_thread(send_and_watch)
        leave()

    asyncio.run(wait_for_another())
