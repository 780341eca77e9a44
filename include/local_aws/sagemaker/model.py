"""SageMaker models: an image, its data and its environment under one name.

Owns their operations and what a model may ask for here. Must not know endpoints.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.container import ContainerError
from local_aws.errors import AwsError, validation
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.model_data import ModelData
from local_aws.sagemaker.program_text import check_program_text
from local_aws.sagemaker.role import check_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.model_package import ModelPackages
    from local_aws.sagemaker.tag import TagRegistry
    from local_aws.service import Operation, Request, Response

__all__ = ["HostedContainer", "Models"]

_LISTING = Listing(result="Models", name="ModelName", members=("ModelName", "ModelArn", "CreationTime"))

_MOST_ENVIRONMENT_BYTES = 32 * 1024
"""All keys and values of a model's Environment together (API reference, ContainerDefinition)."""

_MISSING_HERE = {
    "InferenceSpecificationName": "give Image and ModelDataUrl",
    "AdditionalModelDataSources": "put everything into one model.tar.gz",
    "ImageConfig": "put the image into ECR",
    "ContainerMetricsConfig": "leave it out",
}


@dataclass(frozen=True)
class HostedContainer:
    """What an endpoint runs of a model.

    :param image: as the request gave it
    :param data: what lies in ``/opt/ml/model``, if anything
    :param is_isolated: EnableNetworkIsolation
    """

    image: str
    environment: Mapping[str, str]
    data: ModelData | None
    is_isolated: bool = False


class Models:
    """All models.

    :param engine: says whether an image exists
    :param tags: where the tags of a new model go
    :param packages: what a model is made of that names a model package
    """

    def __init__(self, cloud: Cloud, engine: Engine, tags: TagRegistry, packages: ModelPackages) -> None:
        self._cloud = cloud
        self._engine = engine
        self._tags = tags
        self._packages = packages
        self._models: dict[str, dict[str, Any]] = {}
        # Outlives its model, which may be deleted while an endpoint is asking for it.
        self._hosted: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateModel": self._create,
            "DescribeModel": self._describe,
            "ListModels": self._list,
            "DeleteModel": self._delete,
        }

    def close(self) -> None:
        """Nothing runs here."""

    def container(self, name: str) -> HostedContainer:
        """Return what an endpoint has to run.

        :raises AwsError: ``ValidationException`` when there is no such model
        """
        model = self._find(name)
        container = self._hosted[name]
        return HostedContainer(
            container["Image"],
            container.get("Environment", {}),
            ModelData.of(container),
            is_isolated=bool(model.get("EnableNetworkIsolation")),
        )

    def _create(self, request: Request) -> Response:
        name = request["ModelName"]
        arn = self._arn(name)
        self._refuse_duplicate(name)
        self._tags.check(request.get("Tags", []))
        hosted = self._hosted_container(_only_container(request))
        self._check_container(hosted)
        if "ExecutionRoleArn" in request:
            check_role(request["ExecutionRoleArn"], self._cloud)
        facts = {key: value for key, value in request.items() if key != "Tags"}
        with self._lock:
            self._refuse_duplicate(name)
            self._tags.register(arn, request.get("Tags", []))
            self._hosted[name] = hosted
            self._models[name] = {**facts, "ModelArn": arn, "CreationTime": dt.datetime.now(dt.timezone.utc)}
        return {"ModelArn": arn}

    def _describe(self, request: Request) -> Response:
        model = self._find(request["ModelName"])
        return {"EnableNetworkIsolation": False, **model}

    def _list(self, request: Request) -> Response:
        with self._lock:
            models = list(self._models.values())
        return _LISTING.answer(request, models)

    def _delete(self, request: Request) -> Response:
        model = self._find(request["ModelName"])
        with self._lock:
            self._models.pop(model["ModelName"], None)
        self._tags.forget(model["ModelArn"])
        return {}

    def _find(self, name: str) -> dict[str, Any]:
        with self._lock:
            model = self._models.get(name)
        if model is None:
            message = f'Could not find model "{self._arn(name)}".'
            raise validation(message)
        return model

    def _refuse_duplicate(self, name: str) -> None:
        if name in self._models:
            message = f'Cannot create already existing model "{self._arn(name)}".'
            raise validation(message)

    def _arn(self, name: str) -> str:
        # Lower case, as seen in ARNs that AWS gives.
        return self._cloud.arn("sagemaker", f"model/{name.lower()}")

    def _hosted_container(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return the container with what the model package that it names, if any, says of it.

        The package is read once: what becomes of it later does not change the model.
        """
        if "ModelPackageName" not in container:
            return container
        both = sorted({"Image", "ModelDataUrl", "ModelDataSource"} & container.keys())
        if both:
            # Guess.
            message = f"ModelPackageName and {', '.join(both)} cannot both be specified."
            raise validation(message)
        packaged = self._packages.container(container["ModelPackageName"])
        # That the model's variables are added to the package's, and win, is a guess.
        environment = {**packaged.get("Environment", {}), **container.get("Environment", {})}
        own = {member: value for member, value in container.items() if member != "ModelPackageName"}
        return {**packaged, **own, "Environment": environment}

    def _check_container(self, container: Mapping[str, Any]) -> None:
        for member, remedy in _MISSING_HERE.items():
            if member in container:
                message = f"The container has {member}, which the local AWS does not have: {remedy}"
                raise validation(message)
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise validation("Mode MultiModel is not supported by the local AWS: use SingleModel")
        if not container.get("Image"):
            # Guess.
            raise validation("The container must have an Image.")
        _check_environment(container.get("Environment", {}))
        try:
            self._engine.resolve(container["Image"])
        except ContainerError as error:
            message = f"Requested image {container['Image']} not found. ({error})"
            raise validation(message) from error
        data = ModelData.of(container)
        if data is not None:
            data.check(self._cloud.client("s3"))


def _only_container(request: Mapping[str, Any]) -> dict[str, Any]:
    containers = request.get("Containers", [])
    if ("PrimaryContainer" in request) == bool(containers):
        # Guess.
        raise validation("Give exactly one of PrimaryContainer and Containers.")
    if len(containers) > 1:
        message = f"Containers has {len(containers)} members: the local AWS runs models with one container only"
        raise AwsError("ValidationException", message)
    container: dict[str, Any] = request["PrimaryContainer"] if "PrimaryContainer" in request else containers[0]
    return container


def _check_environment(environment: Mapping[str, str]) -> None:
    check_program_text("primaryContainer.environment", environment.values())
    size = sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())
    if size > _MOST_ENVIRONMENT_BYTES:
        message = f"Environment has {size} bytes; all keys and values together may have {_MOST_ENVIRONMENT_BYTES}"
        raise validation(message)
