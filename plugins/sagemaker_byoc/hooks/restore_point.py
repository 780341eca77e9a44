"""Takes down what is needed to make an endpoint configuration and its models again.

Owns the gathering of AWS's descriptions, and the refusal where one of them is missing. What is kept of them is decided
in ``restore_point``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.base_image import EcrImage
from sagemaker_byoc.errors import NoWayBackError, RequestError
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.model import ModelHook, containers
from sagemaker_byoc.hooks.repository import ecr_lacks
from sagemaker_byoc.restore_point import RestorePoint, creation_request, model_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["take_restore_point"]


def take_restore_point(connection: AwsConnection, config_name: str) -> RestorePoint:
    """Return all that it takes to make a configuration and its models again under the same names.

    :raises NoWayBackError: the configuration, a model of it, or a model's artifact or image does not exist (any more)
    """
    configs = EndpointConfigHook(connection)
    config = configs.describe(config_name)
    if config is None:
        message = f"The endpoint configuration {config_name} does not exist (any more)."
        raise NoWayBackError(message)
    tags = configs.tags_of(config["EndpointConfigArn"])
    request = _request(connection, "CreateEndpointConfig", config, tags)
    return RestorePoint(request, [_model(connection, name, config_name) for name in model_names(config)])


def _model(connection: AwsConnection, name: str, config_name: str) -> dict[str, Any]:
    models = ModelHook(connection)
    model = models.describe(name)
    if model is None:
        message = f"The model {name}, which the endpoint configuration {config_name} names, does not exist any more."
        raise NoWayBackError(message)
    tags = EndpointConfigHook(connection).tags_of(model["ModelArn"])
    request = _request(connection, "CreateModel", model, tags)
    try:
        models.check_artifacts(request)
    except RequestError as error:
        message = f"S3 does not hold {error.given} any more, the artifact of the model {name} of {config_name}."
        raise NoWayBackError(message) from error
    _check_images(connection, request, f"the model {name} of {config_name}")
    return request


def _check_images(connection: AwsConnection, request: Mapping[str, Any], whose: str) -> None:
    """Refuse a model whose image nobody could pull any more; of a registry other than ECR nothing is known."""
    for _, container in containers(request):
        image = EcrImage.of(container.get("Image", ""))
        if image is not None and ecr_lacks(connection, image):
            message = f"ECR does not hold {container['Image']} any more, the image of {whose}."
            raise NoWayBackError(message)


def _request(
    connection: AwsConnection, operation: str, described: Mapping[str, Any], tags: Mapping[str, str]
) -> dict[str, Any]:
    shape = connection.client("sagemaker").meta.service_model.operation_model(operation).input_shape
    return creation_request(described, shape, [{"Key": key, "Value": value} for key, value in tags.items()])
