"""Endpoint configurations in the table of answers that stands for AWS."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.claim import HOLDER_TAG, OVER_TAG
from tests.support.fake_aws import AwsSays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fake_aws import FakeAws

__all__ = ["BEGIN", "FakeConfigs"]

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/"


@dataclass
class FakeConfigs:
    """The configurations of an account; a name is given once, and each is a second younger than the one before.

    :param before_call: called before each call takes effect
    :param tags: by name
    """

    aws: FakeAws
    before_call: Callable[[], None] = lambda: None
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    _made: dict[str, datetime] = field(default_factory=dict)
    _count: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for operation, answer in {
            "CreateEndpointConfig": self.create,
            "DescribeEndpointConfig": self.describe,
            "ListEndpointConfigs": self.listed,
            "DeleteEndpointConfig": self.delete,
            "ListTags": self.list_tags,
            "AddTags": self.add_tags,
        }.items():
            self.aws.on(operation, answer)

    @property
    def names(self) -> list[str]:
        """The names, oldest first."""
        return list(self._made)

    def make(self, name: str, **tags: str) -> None:
        """Make one with these tags."""
        self.create(EndpointConfigName=name, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def claims(self) -> list[str]:
        """Return the claims that nobody has given back, as the keys of their runs."""
        claims = [self.tags[name] for name in self.names if "-claim-" in name]
        return [tags[HOLDER_TAG] for tags in claims if OVER_TAG not in tags]

    def tickets(self) -> list[str]:
        """Return the names of the tickets."""
        return [name for name in self.names if "-wait-" in name]

    def create(self, **request: Any) -> dict[str, Any]:
        """Answer CreateEndpointConfig."""
        self.before_call()
        name = request["EndpointConfigName"]
        with self._lock:
            if name in self._made:
                text = f'Cannot create already existing endpoint configuration "{_ARN}{name}".'
                raise AwsSays("ValidationException", text)
            self._count += 1
            self._made[name] = BEGIN + timedelta(seconds=self._count)
            self.tags[name] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        return {"EndpointConfigArn": _ARN + name}

    def describe(self, **request: Any) -> dict[str, Any]:
        """Answer DescribeEndpointConfig."""
        self.before_call()
        name = self._existing(request["EndpointConfigName"])
        variants = [{"VariantName": "AllTraffic"}]
        return {**self._summary(name, self._made[name]), "ProductionVariants": variants}

    def listed(self, **request: Any) -> dict[str, Any]:
        """Answer ListEndpointConfigs, newest first, two on a page."""
        self.before_call()
        with self._lock:
            made = [each for each in self._made.items() if request["NameContains"] in each[0]]
        first = int(request.get("NextToken", 0))
        page = [self._summary(*each) for each in made[::-1][first : first + 2]]
        more = {"NextToken": str(first + 2)} if len(made) > first + 2 else {}
        return {"EndpointConfigs": page, **more}

    def delete(self, **request: Any) -> dict[str, Any]:
        """Answer DeleteEndpointConfig."""
        self.before_call()
        with self._lock:
            name = self._existing(request["EndpointConfigName"])
            del self._made[name], self.tags[name]
        return {}

    def list_tags(self, **request: Any) -> dict[str, Any]:
        """Answer ListTags."""
        self.before_call()
        with self._lock:
            tags = self.tags.get(request["ResourceArn"].removeprefix(_ARN))
        if tags is None:
            raise AwsSays("ValidationException", "Requested resource not found.")
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def add_tags(self, **request: Any) -> dict[str, Any]:
        """Answer AddTags."""
        self.before_call()
        with self._lock:
            name = request["ResourceArn"].removeprefix(_ARN)
            if name not in self.tags:
                raise AwsSays("ValidationException", "Requested resource not found.")
            self.tags[name] |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {}

    def _existing(self, name: str) -> str:
        if name not in self._made:
            raise AwsSays("ValidationException", f'Could not find endpoint configuration "{_ARN}{name}".')
        return name

    def _summary(self, name: str, made: datetime) -> dict[str, Any]:
        return {"EndpointConfigName": name, "EndpointConfigArn": _ARN + name, "CreationTime": made}
