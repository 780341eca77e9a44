"""Calls that make and describe a SageMaker model. Knows nothing of tasks or templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.retry import aws_code
from sagemaker_byoc.s3_location import SCHEME, S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["ModelHook"]

_EXISTS = "Cannot create already existing model"
_ABSENT = "Could not find model"


class ModelHook:
    """Models of one connection."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def ensure(self, request: Mapping[str, Any]) -> bool:
        """Make a model; one of that name holds the same content already, since the name says so.

        :param request: CreateModel request, named by its content
        :return: whether it was made now
        :raises RequestError: an artifact is gone; a model can be made without, but an endpoint would never start
        """
        self.check_artifacts(request)
        client = self._connection.client("sagemaker")
        try:
            client.create_model(**request)
        except client.exceptions.ClientError as error:
            if _EXISTS in str(error):
                return False
            raise
        return True

    def describe(self, model_name: str) -> Mapping[str, Any] | None:
        """Return what DescribeModel says; None when there is no such model (any more)."""
        client = self._connection.client("sagemaker")
        try:
            model: Mapping[str, Any] = client.describe_model(ModelName=model_name)
        except client.exceptions.ClientError as error:
            if _ABSENT in str(error):
                return None
            raise
        return model

    def check_artifacts(self, request: Mapping[str, Any]) -> None:
        """Refuse a CreateModel request one of whose artifacts S3 does not hold.

        :raises RequestError: which, with its URI as ``given``
        """
        for field, uri in artifacts(request):
            self._check_artifact(field, uri)

    def _check_artifact(self, field: str, uri: str) -> None:
        """Refuse an artifact that S3 surely does not hold; one that may not be looked at is AWS's to judge."""
        location = S3Location.parse(uri, field)
        client = self._connection.client("s3")
        try:
            client.head_object(Bucket=location.bucket, Key=location.key)
        except client.exceptions.ClientError as error:
            # HEAD has no body, so S3 says its status instead of a code; 403 also stands for "may not list"
            if aws_code(error) == "404":
                remedy = "Was it deleted, or moved by a lifecycle rule? Clear the training tasks to make it anew."
                raise RequestError(field, uri, "an object that S3 holds", remedy) from error
            if aws_code(error) != "403":
                raise


def artifacts(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield where the request names a packed artifact, and its URI."""
    named = [("config.PrimaryContainer", request.get("PrimaryContainer", {}))]
    named += [(f"config.Containers[{index}]", one) for index, one in enumerate(request.get("Containers", []))]
    for field, container in named:
        if container.get("ModelDataUrl", "").startswith(SCHEME):
            yield f"{field}.ModelDataUrl", container["ModelDataUrl"]
