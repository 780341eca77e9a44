"""Takes down what is needed to make an endpoint configuration and its models again.

Owns the gathering of AWS's descriptions, and the refusal where one of them is missing. What is kept of them is decided
in ``restore_point``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.base_image import EcrImage
from sagemaker_byoc.errors import NoWayBackError, RequestError
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.model import ModelHook, containers
from sagemaker_byoc.hooks.model_package import ModelPackageHook
from sagemaker_byoc.hooks.repository import ecr_lacks
from sagemaker_byoc.restore_point import RestorePoint, creation_request, model_names
from sagemaker_byoc.retry import is_denied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["take_restore_point"]

log = logging.getLogger(__name__)


def take_restore_point(connection: AwsConnection, config_name: str) -> RestorePoint:
    """Return all that it takes to make a configuration and its models again under the same names.

    :raises NoWayBackError: the configuration, a model of it, or a model's version in the registry, artifact or image
        does not exist (any more)
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
    whose = f"the model {name} of {config_name}"
    resolved = {"Containers": [each for _, one in containers(request) for each in _resolved(connection, one, whose)]}
    try:
        models.check_artifacts(resolved)
    except RequestError as error:
        raise NoWayBackError(f"S3 does not hold {error.given} any more, the artifact of {whose}.") from error
    _check_images(connection, resolved, whose)
    return request


def _resolved(connection: AwsConnection, container: Mapping[str, Any], whose: str) -> Sequence[Mapping[str, Any]]:
    """Return the containers that a model's container stands for: its own, or those of a version in the registry.

    A version that may not be looked at counts as there, which the log tells.
    """
    version = container.get("ModelPackageName")
    if not version:
        return [container]
    client = connection.client("sagemaker")
    try:
        found = ModelPackageHook(connection).containers(version, container.get("InferenceSpecificationName"))
    except client.exceptions.ClientError as error:
        if not is_denied(error):
            raise
        log.warning("Whether image and artifact of the model package %s still exist cannot be told: %s", version, error)
        return []
    if found is None:
        raise NoWayBackError(f"The model package {version}, of which {whose} is made, does not exist any more.")
    return found


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
