"""Calls that make and describe a SageMaker model. Knows nothing of tasks or templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.retry import aws_code
from sagemaker_byoc.s3_location import SCHEME, S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["ModelHook", "containers"]

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
        for artifact in artifacts(request):
            self._check_artifact(artifact)

    def _check_artifact(self, artifact: Artifact) -> None:
        """Refuse an artifact that S3 surely does not hold; one that may not be looked at is AWS's to judge."""
        client = self._connection.client("s3")
        try:
            held = self._holds(client, S3Location.parse(artifact.uri, artifact.field), is_prefix=artifact.is_prefix)
        except client.exceptions.ClientError as error:
            # HEAD has no body, so S3 says its status instead of a code; 403 also stands for "may not list"
            if aws_code(error) in ("403", "AccessDenied"):
                return
            if aws_code(error) not in ("404", "NoSuchBucket"):
                raise
            held = False
        if not held:
            allowed = "the beginning of keys that S3 holds" if artifact.is_prefix else "an object that S3 holds"
            remedy = "Was it deleted, or moved by a lifecycle rule? Clear the training tasks to make it anew."
            raise RequestError(artifact.field, artifact.uri, allowed, remedy)

    @staticmethod
    def _holds(client: Any, location: S3Location, *, is_prefix: bool) -> bool:
        if not is_prefix:
            client.head_object(Bucket=location.bucket, Key=location.key)
            return True
        return bool(client.list_objects_v2(Bucket=location.bucket, Prefix=location.key, MaxKeys=1).get("KeyCount"))


class Artifact(NamedTuple):
    """What a container is given from S3.

    :param field: where the request names it
    :param is_prefix: whether it is all that has keys beginning so, and no single object
    """

    field: str
    uri: str
    is_prefix: bool


def containers(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the containers of a CreateModel request, and where each stands in it."""
    if request.get("PrimaryContainer"):
        yield "config.PrimaryContainer", request["PrimaryContainer"]
    for index, container in enumerate(request.get("Containers", [])):
        yield f"config.Containers[{index}]", container


def artifacts(request: Mapping[str, Any]) -> Iterator[Artifact]:
    """Yield everything that the containers of a CreateModel request are given from S3."""
    for field, container in containers(request):
        named = [(f"{field}.ModelDataUrl", container.get("ModelDataUrl", ""), container.get("Mode") == "MultiModel")]
        sources = [(f"{field}.ModelDataSource", container.get("ModelDataSource", {}))]
        for index, source in enumerate(container.get("AdditionalModelDataSources", [])):
            sources.append((f"{field}.AdditionalModelDataSources[{index}]", source))
        for where, source in sources:
            told = source.get("S3DataSource", {})
            named.append((f"{where}.S3DataSource.S3Uri", told.get("S3Uri", ""), told.get("S3DataType") == "S3Prefix"))
        yield from (Artifact(*each) for each in named if each[1].startswith(SCHEME))
