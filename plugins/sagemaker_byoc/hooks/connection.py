"""Where boto3 clients come from.

Owns credentials, region and client settings by way of the Amazon provider's public ``AwsGenericHook``, which is
imported when the first client is needed: parsing a DAG must not import boto3. Owns how long a client is kept, too: a
triggerer lives for months, and meanwhile keys are rotated and connections edited.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.request import conform
from sagemaker_byoc.retry import CREDENTIAL_CODES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AwsConnection"]

CLIENT_LIFETIME_SECONDS = 600.0
"""How long an edited connection goes unnoticed; making a client costs a tenth of a second and a look into Airflow."""

_clients: dict[tuple[str, str], tuple[Any, float]] = {}
"""Client, and when it was made on the monotonic clock, by connection and service."""

_making: dict[tuple[str, str], threading.RLock] = {}
"""A lock for each client, so that none waits for another one's credentials. Reentrant, since on_kill runs in a signal
handler and may interrupt the making of a client."""


@dataclass(frozen=True)
class AwsConnection:
    """How AWS is reached; the parameters are those of every Amazon operator.

    :param aws_conn_id: Airflow connection; None for boto3's own credential chain
    :param region_name: AWS region; None for that of the connection or of boto3
    :param verify: whether, or with which CA bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    aws_conn_id: str | None = "aws_default"
    region_name: str | None = None
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    @classmethod
    def of(cls, task: Any) -> AwsConnection:
        """Read the four parameters off an operator or sensor, which keeps each under its own name for templates."""
        return cls(task.aws_conn_id, task.region_name, task.verify, task.botocore_config)

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, one for each connection in this process; safe in any thread.

        A client is made anew ten minutes after it was made, and after AWS has refused the key that it signs with: ask
        for it before each call.
        """
        key = (self.key, service)
        client = _fresh(key)
        if client is None:
            with _making.setdefault(key, threading.RLock()):
                client = _fresh(key)
                if client is None:
                    client = self._make_client(service)
                    client.meta.events.register("after-call", partial(_drop_if_refused, key[0]))
                    _clients[key] = client, time.monotonic()
        return client

    @property
    def region(self) -> str:
        """The region that calls go to."""
        # The client of SageMaker takes longest to make, and a task that only looks at ECR has no other use for it.
        service = "ecr" if (self.key, "ecr") in _clients else "sagemaker"
        region: str = self.client(service).meta.region_name
        return region

    def conform(
        self, service: str, operation: str, request: Mapping[str, Any], *, field: str = "config"
    ) -> dict[str, Any]:
        """Return the request as the API wants it, checked against botocore's model of the operation.

        :param field: how messages name the request
        :raises RequestError: what is not allowed, before any call is made
        """
        shape = self.client(service).meta.service_model.operation_model(operation).input_shape
        return conform(request, shape, field=field)

    def serialize(self) -> dict[str, Any]:
        """Return the parameters by name, for a trigger to carry; the values are those of the connection itself."""
        return dict(vars(self))

    @property
    def key(self) -> str:
        """What is the same for two connections that reach AWS in the same way."""
        return json.dumps(asdict(self), sort_keys=True)

    def _make_client(self, service: str) -> Any:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
        from botocore.config import Config

        try:
            config = Config(**self.botocore_config) if self.botocore_config else None
        except TypeError as error:
            allowed = "keyword arguments of botocore.config.Config"
            raise RequestError("botocore_config", self.botocore_config, allowed, f"{error}.") from error
        return AwsGenericHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            client_type=service,
            config=config,
        ).get_conn()


def _fresh(key: tuple[str, str]) -> Any:
    client, made_at = _clients.get(key, (None, 0.0))
    return client if time.monotonic() - made_at <= CLIENT_LIFETIME_SECONDS else None


def _drop_if_refused(connection: str, parsed: Mapping[str, Any], **_: Any) -> None:
    """Forget a connection's clients when AWS refused their key; botocore calls this with each parsed answer."""
    if parsed.get("Error", {}).get("Code") in CREDENTIAL_CODES:
        for key in [key for key in list(_clients) if key[0] == connection]:
            _clients.pop(key, None)
