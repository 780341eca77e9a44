"""The reader of state changes inside Airflow's own trigger runner."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.fake_queue import event
from tests.support.local_cloud import local_cloud
from tests.support.triggerer import Triggerer, triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def waiting_triggerer(directory: Path) -> Iterator[tuple[Triggerer, Any, str]]:
    """Yield a triggerer that waits for news of ``churn``, and SQS with the URL of the queue that it reads.

    Only an Airflow connection says where SQS is.
    """
    home = directory / "airflow"
    home.mkdir()
    with local_cloud(directory / "cloud") as cloud:
        sqs = cloud.client("sqs")
        queue_url = sqs.create_queue(QueueName="state-changes")["QueueUrl"]
        reach = {"endpoint_url": cloud.endpoint_url, "region_name": cloud.region}
        connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": json.dumps(reach)}
        with triggerer(home, {"aws_of_test": connection}) as running:
            running.run(
                "tests.support.event_trigger.EventTrigger", aws_conn_id="aws_of_test", queue_url=queue_url, name="churn"
            )
            yield running, sqs, queue_url


def test_a_plain_thread_reads_airflows_connection_and_news_come(tmp_path: Path) -> None:
    """The reader makes its client as a look in asyncio.to_thread does, by the pipe to Airflow's API."""
    with waiting_triggerer(tmp_path) as (running, sqs, queue_url):
        sqs.send_message(QueueUrl=queue_url, MessageBody=event(TrainingJobName="churn"))
        running.wait_until(lambda: running.fired, "the trigger has fired")

        assert running.fired == [{"name": "churn"}]
        assert running.asked == ["aws_of_test"]
        [line] = [line for line in running.output.read_text().splitlines() if "conn_id='aws_of_test'" in line]
        assert "trigger_id" not in line, "the reader's lines would land in the log of one task"


def test_a_long_poll_does_not_keep_the_triggerer_from_ending(tmp_path: Path) -> None:
    """SQS would answer after twenty seconds; a triggerer that is told to end is gone long before."""
    with waiting_triggerer(tmp_path) as (running, sqs, queue_url):
        other = event(TrainingJobName="other")
        sqs.send_message(QueueUrl=queue_url, MessageBody=other)
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

        def was_read() -> bool:
            found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
            return set(found.values()) == {"0"}

        running.wait_until(was_read, "the reader is at work")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=10) == 0
