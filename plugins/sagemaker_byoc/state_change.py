"""What an event of EventBridge says about a training job or an endpoint, and which queues can hold such events.

Owns the events' form and the rule for queue URLs. An event is a hint that something is worth a look, so that losing,
doubling or misreading one harms nothing: what has become of the resource only AWS's own answer says.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from sagemaker_byoc.errors import RequestError

__all__ = ["Kind", "StateChange", "check_queue_literal", "check_queue_url", "read_event"]

Kind = Literal["training_job", "endpoint"]

_NAMED_BY: dict[str, tuple[Kind, str]] = {
    "SageMaker Training Job State Change": ("training_job", "TrainingJobName"),
    "SageMaker Endpoint State Change": ("endpoint", "EndpointName"),
}
"""Kind, and the member of the event's detail with the name, by detail-type. Source:
https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html"""

# Source: QueueName of SQS's CreateQueue, and "Queue and message identifiers" of its Developer Guide.
_QUEUE_PATH = re.compile(r"/\d{12}/[A-Za-z0-9_-]{1,80}")
_FIFO = ".fifo"
_EXAMPLE = "https://sqs.eu-west-1.amazonaws.com/111122223333/state-changes"


@dataclass(frozen=True)
class StateChange:
    """The resource that changed.

    :param kind: None for what nobody here waits for, such as a processing job
    :param name: in lower case, as AWS compares the names of endpoints and writes them in ARNs
    """

    kind: Kind | None
    name: str

    @classmethod
    def of(cls, kind: Kind | None, name: str) -> StateChange:
        """Return the change of a resource whose name may have capitals."""
        return cls(kind, name.lower())


def read_event(body: str) -> StateChange | None:
    """Return what a message says; None when it is no event of SageMaker at all.

    :param body: of an SQS message to which EventBridge wrote the event as it is, without an input transformer
    """
    event = _json(body)
    if not isinstance(event, dict) or event.get("source") != "aws.sagemaker":
        return None
    kind, member = _NAMED_BY.get(str(event.get("detail-type")), (None, ""))
    detail = event.get("detail")
    name = detail.get(member) if isinstance(detail, dict) else None
    return StateChange.of(kind, name) if isinstance(name, str) else StateChange(None, "")


def check_queue_url(url: str, *, field: str = "event_queue_url") -> None:
    """Refuse what cannot be the URL of a standard queue; no call is made.

    :param field: how the message names the URL
    :raises RequestError: when it is an ARN, a name, a FIFO queue or anything else
    """
    if url.endswith(_FIFO):
        remedy = "A FIFO queue holds back all events behind one that is being looked at: make a standard one."
        raise RequestError(field, url, "the URL of a standard SQS queue", remedy)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    known = parts.scheme in ("https", "http") and parts.hostname and not (parts.username or parts.query)
    if not known or not _QUEUE_PATH.fullmatch(parts.path):
        remedy = "The output QueueUrl of the stack made from include/events/state-changes.json is one."
        raise RequestError(field, url, f"the URL of an SQS queue, such as {_EXAMPLE}", remedy)


def check_queue_literal(event_queue_url: Any) -> None:
    """Refuse a URL that cannot be one while the DAG's file is parsed; what a task renders is checked when it waits.

    :raises RequestError: it is not the URL of a standard queue
    """
    if isinstance(event_queue_url, str) and event_queue_url and "{" not in event_queue_url:
        check_queue_url(event_queue_url)


def _json(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
