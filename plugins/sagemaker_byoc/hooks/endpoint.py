"""Calls that make, change, watch and ask an endpoint.

Owns every call about endpoints. Decides nothing: what a look means stands in ``endpoint_status`` and ``deployment``.
Knows nothing of tasks, deferral or templates.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.endpoint_status import EndpointLook
from sagemaker_byoc.errors import EndpointRollbackFailedError
from sagemaker_byoc.hooks.watched import PAGE_SIZE, Page, answered_at
from sagemaker_byoc.retry import aws_code
from sagemaker_byoc.traffic_shift import TrafficLook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.state_change import Kind

__all__ = ["EndpointHook", "mix_explained"]

# The quote keeps "Could not find endpoint configuration" apart, which no second look cures.
_ABSENT = 'Could not find endpoint "'
_EXISTS = 'Cannot create already existing endpoint "'
_BUSY = 'Cannot update in-progress endpoint "'


class EndpointHook:
    """Endpoints of one connection."""

    KIND: Kind = "endpoint"
    LIST_ACTION = "sagemaker:ListEndpoints"

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def look(self, endpoint_name: str) -> EndpointLook | None:
        """Describe an endpoint; None when there is none of that name."""
        client = self._connection.client("sagemaker")
        try:
            return EndpointLook.of(client.describe_endpoint(EndpointName=endpoint_name))
        except client.exceptions.ClientError as error:
            if _says(error, _ABSENT):
                return None
            raise

    def traffic(self, endpoint_name: str) -> TrafficLook | None:
        """Describe an endpoint with the weights and instances of its variants; None when there is none."""
        client = self._connection.client("sagemaker")
        try:
            answer = client.describe_endpoint(EndpointName=endpoint_name)
        except client.exceptions.ClientError as error:
            if _says(error, _ABSENT):
                return None
            raise
        variants = {
            each["VariantName"]: (each.get("CurrentWeight", 0.0), each.get("DesiredInstanceCount", 0))
            for each in answer.get("ProductionVariants", [])
        }
        return TrafficLook(EndpointLook.of(answer), variants, answer["LastModifiedTime"], answered_at(answer))

    def variant_names(self, endpoint_name: str) -> list[str]:
        """Name the production variants that an endpoint has now; none when it does not exist."""
        client = self._connection.client("sagemaker")
        try:
            endpoint = client.describe_endpoint(EndpointName=endpoint_name)
        except client.exceptions.ClientError as error:
            if _says(error, _ABSENT):
                return []
            raise
        return [variant["VariantName"] for variant in endpoint.get("ProductionVariants", [])]

    def page_of_changes(self, since: datetime, token: str | None) -> Page[EndpointLook | None]:
        """List endpoints that were modified after a time, one page of them."""
        more = {"NextToken": token} if token else {}
        answer = self._connection.client("sagemaker").list_endpoints(
            LastModifiedTimeAfter=since, MaxResults=PAGE_SIZE, **more
        )
        looks: dict[str, EndpointLook | None] = {
            each["EndpointName"]: EndpointLook.of(each) for each in answer["Endpoints"]
        }
        return Page(looks, answer.get("NextToken"), answered_at(answer))

    def is_changing(self, seen: EndpointLook | None) -> bool:
        """Say whether the endpoint is on its way to a state that a list will show, which its end is not."""
        return seen is not None and seen.changing and seen.status != "Deleting"

    def create(self, request: Mapping[str, Any]) -> bool:
        """Create an endpoint.

        :return: False when another run was faster, so that one should look again
        """
        return self._change("create_endpoint", request)

    def update(self, request: Mapping[str, Any]) -> bool:
        """Move an endpoint to another configuration.

        :return: False when the endpoint is busy or gone, so that one should look again
        """
        return self._change("update_endpoint", request)

    def shift(self, endpoint_name: str, weights: Sequence[Mapping[str, Any]]) -> bool:
        """Give the variants of an endpoint other weights.

        :return: False when the endpoint is busy or gone, so that one should look again
        """
        request = {"EndpointName": endpoint_name, "DesiredWeightsAndCapacities": list(weights)}
        return self._change("update_endpoint_weights_and_capacities", request)

    def delete(self, endpoint_name: str) -> bool:
        """Delete an endpoint.

        :return: False when the endpoint is busy or gone, so that one should look again
        """
        return self._change("delete_endpoint", {"EndpointName": endpoint_name})

    def _change(self, operation: str, request: Mapping[str, Any]) -> bool:
        client = self._connection.client("sagemaker")
        try:
            getattr(client, operation)(**request)
        except client.exceptions.ClientError as error:
            if _says(error, _EXISTS, _BUSY, _ABSENT):
                return False
            raise
        return True


@contextmanager
def mix_explained(look: EndpointLook | None, config_name: str) -> Iterator[None]:
    """Say what to do where AWS refuses to make a mix of old and new instances whole with the configuration it names.

    :raises EndpointRollbackFailedError: it does not
    """
    try:
        yield
    except Exception as error:
        if look is None or look.status != "UpdateRollbackFailed" or look.live_config != config_name:
            raise
        if aws_code(error) != "ValidationException":
            raise
        message = (
            f"Endpoint {look.endpoint_name} serves a mix of {config_name} and what came after it, since AWS's own way "
            f"back failed, and AWS does not update it to {config_name} again: {error} Deploy another configuration, or "
            "delete the endpoint and clear this task, which then creates it with this one."
        )
        raise EndpointRollbackFailedError(message) from error


def _says(error: Any, *beginnings: str) -> bool:
    """Tell refusals apart by their text: SageMaker answers all of them with ValidationException."""
    return str(error.response["Error"].get("Message", "")).startswith(beginnings)
