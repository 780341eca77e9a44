"""The queue of SageMaker's state changes, made in the local AWS from the template that a user deploys.

Owns which of the template's resources matter here: nobody checks permissions in the local AWS, so its policies are left
out. Made by the calls that CloudFormation would make: the local one needs 100 MB and three seconds before its first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local_stack.home import CHECKOUT

if TYPE_CHECKING:
    import boto3

__all__ = ["TEMPLATE", "create_event_queue"]

TEMPLATE = CHECKOUT / "include" / "events" / "state-changes.json"
QUEUE = "sagemaker-retrain-state-changes"


def create_event_queue(session: boto3.Session, endpoint_url: str) -> str:
    """Make queue and rules, unless they are there; return the queue's URL."""
    resources = json.loads(TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    sqs = session.client("sqs", endpoint_url=endpoint_url)
    attributes = {name: json.dumps(value) for name, value in resources["Queue"]["Properties"].items()}
    queue_url = str(sqs.create_queue(QueueName=QUEUE, Attributes=attributes)["QueueUrl"])
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]
    events = session.client("events", endpoint_url=endpoint_url)
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Events::Rule":
            create_rule(events, f"{QUEUE}-{name}", resource["Properties"], found["QueueArn"])
    return queue_url


def create_rule(events: Any, name: str, properties: dict[str, Any], queue_arn: str) -> None:
    """Make a rule of the template, with the queue in place of what the template refers to."""
    pattern = json.dumps(properties["EventPattern"])
    events.put_rule(Name=name, EventPattern=pattern, Description=properties["Description"], State=properties["State"])
    events.put_targets(Rule=name, Targets=[{**target, "Arn": queue_arn} for target in properties["Targets"]])
