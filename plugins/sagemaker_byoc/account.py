"""A picture of what an account has: endpoints, endpoint configurations, models and images, and who refers to whom.

Owns the picture and the reading of AWS's answers into it. Makes no call, and does not decide what may go. Knows neither
Airflow nor boto3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.restore_point import model_names, variants_of
from sagemaker_byoc.run import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

__all__ = ["Account", "Endpoint", "EndpointConfig", "Image", "ImageUse", "Model", "is_ours", "package_images"]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint, and all that it refers to.

    :param changed: when it was modified last
    :param configs: the live configuration, and the one that is being deployed
    :param images: what its containers were started from, as AWS resolved it
    :param counts: present number of instances by variant
    :param models: of its inference components
    """

    name: str
    arn: str
    status: str
    changed: datetime
    configs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, described: Mapping[str, Any], tags: Mapping[str, str]) -> Endpoint:
        """Read an answer of DescribeEndpoint."""
        pending = described.get("PendingDeploymentSummary", {})
        named = [described.get("EndpointConfigName"), pending.get("EndpointConfigName")]
        variants = variants_of(described)
        deployed = [image for each in [*variants, *variants_of(pending)] for image in each.get("DeployedImages", ())]
        return cls(
            name=described["EndpointName"],
            arn=described["EndpointArn"],
            status=described["EndpointStatus"],
            changed=described["LastModifiedTime"],
            configs=tuple(dict.fromkeys(filter(None, named))),
            images=_deployed_images(deployed),
            counts={each["VariantName"]: each.get("CurrentInstanceCount", 0) for each in variants},
            tags=tags,
        )

    def with_components(self, described: Iterable[Mapping[str, Any]]) -> Endpoint:
        """Return the endpoint with models and images of its inference components.

        :param described: answers of DescribeInferenceComponent
        """
        parts = [
            part for each in described for part in (each.get("Specification", {}), *each.get("Specifications", ()))
        ]
        deployed = [part.get("Container", {}).get("DeployedImage", {}) for part in parts]
        models = tuple(part["ModelName"] for part in parts if part.get("ModelName"))
        return replace(self, models=models, images=(*self.images, *_deployed_images(deployed)))


def _deployed_images(deployed: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    named = [image.get(member) for image in deployed for member in ("SpecifiedImage", "ResolvedImage")]
    return tuple(filter(None, named))


@dataclass(frozen=True)
class EndpointConfig:
    """An endpoint configuration.

    :param models: of its variants, shadow variants as well
    :param instance_types: by variant
    :param has_components: a variant names no model, so that its models are inference components of the endpoint
    """

    name: str
    arn: str
    created: datetime
    models: tuple[str, ...] = ()
    instance_types: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    has_components: bool = False

    @classmethod
    def of(cls, described: Mapping[str, Any], tags: Mapping[str, str]) -> EndpointConfig:
        """Read an answer of DescribeEndpointConfig."""
        variants = variants_of(described)
        return cls(
            name=described["EndpointConfigName"],
            arn=described["EndpointConfigArn"],
            created=described["CreationTime"],
            models=tuple(model_names(described)),
            instance_types={each["VariantName"]: each["InstanceType"] for each in variants if each.get("InstanceType")},
            tags=tags,
            has_components=any(not each.get("ModelName") for each in variants),
        )


@dataclass(frozen=True)
class Model:
    """A SageMaker model.

    :param images: of its containers
    :param packages: ARNs of the model packages that containers are made of
    """

    name: str
    arn: str
    created: datetime
    images: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, described: Mapping[str, Any], tags: Mapping[str, str]) -> Model:
        """Read an answer of DescribeModel."""
        containers = [described.get("PrimaryContainer", {}), *described.get("Containers", ())]
        return cls(
            name=described["ModelName"],
            arn=described["ModelArn"],
            created=described["CreationTime"],
            images=tuple(each["Image"] for each in containers if each.get("Image")),
            packages=tuple(each["ModelPackageName"] for each in containers if each.get("ModelPackageName")),
            tags=tags,
        )


def package_images(described: Mapping[str, Any]) -> list[str]:
    """Return the images that a model package names, by an answer of DescribeModelPackage."""
    specifications = [described.get("InferenceSpecification", {})]
    specifications += described.get("AdditionalInferenceSpecifications", ())
    containers = [each for one in specifications for each in one.get("Containers", ())]
    named = [each["Image"] for each in containers if each.get("Image")]
    pinned = [f"{each.get('Image', '')}@{each['ImageDigest']}" for each in containers if each.get("ImageDigest")]
    return [*named, *pinned]


@dataclass(frozen=True)
class Image:
    """An image in a repository of ECR.

    :param repository: its name, without the registry
    :param used: when it was pushed, or pulled last, as far as ECR tells
    :param size_bytes: what its layers take, those included that other images share
    """

    repository: str
    digest: str
    tags: tuple[str, ...]
    pushed: datetime
    used: datetime
    size_bytes: int = 0

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> Image:
        """Read an ``ImageDetail`` of DescribeImages."""
        pushed = detail["imagePushedAt"]
        return cls(
            repository=detail["repositoryName"],
            digest=detail["imageDigest"],
            tags=tuple(sorted(detail.get("imageTags", ()))),
            pushed=pushed,
            used=max(pushed, detail.get("lastRecordedPullTime", pushed)),
            size_bytes=detail.get("imageSizeInBytes", 0),
        )

    @property
    def name(self) -> str:
        """Return ``<repository>@sha256:…``."""
        return f"{self.repository}@{self.digest}"


class ImageUse:
    """Which images a number of references mean.

    A reference means an image by its digest, in whatever repository, or by a tag in a repository of that name, in
    whatever registry: rather one too many.

    :param references: as requests name images, for example ``<registry>/<repository>:<tag>@<digest>``
    """

    def __init__(self, references: Iterable[str]) -> None:
        self._digests: set[str] = set()
        self._tags: set[tuple[str, str]] = set()
        for reference in references:
            name, _, digest = reference.partition("@")
            if digest:
                self._digests.add(digest)
            path = name.partition("/")[2] or name
            repository, _, tag = path.partition(":")
            if tag or not digest:
                self._tags.add((repository, tag or "latest"))

    def __contains__(self, image: Image) -> bool:
        return image.digest in self._digests or any((image.repository, tag) in self._tags for tag in image.tags)


@dataclass
class Account:
    """Everything that there is, by name, whoever made it.

    :param used_images: references by what is no model: training jobs that run, and the model registry
    :param asked_models: models that transform jobs ask which run
    :param unsure: by kind, why nothing of that kind may go: what refers to it could not be looked up
    """

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    configs: dict[str, EndpointConfig] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    used_images: set[str] = field(default_factory=set)
    asked_models: set[str] = field(default_factory=set)
    unsure: dict[str, str] = field(default_factory=dict)

    def live_configs(self) -> set[str]:
        """Return the configurations that endpoints have, or are being given."""
        return {name for endpoint in self.endpoints.values() for name in endpoint.configs}

    def used_models(self) -> set[str]:
        """Return the models that endpoint configurations, inference components and running transform jobs name."""
        users: Iterator[EndpointConfig | Endpoint] = iter([*self.configs.values(), *self.endpoints.values()])
        return {name for user in users for name in user.models} | self.asked_models

    def image_use(self) -> ImageUse:
        """Return what models, endpoints, jobs and registry refer to."""
        users: Iterator[Model | Endpoint] = iter([*self.models.values(), *self.endpoints.values()])
        return ImageUse([*(name for user in users for name in user.images), *self.used_images])

    def without(self, configs: Iterable[str] = (), models: Iterable[str] = ()) -> Account:
        """Return the account as it will be when these are deleted."""
        gone_configs, gone_models = set(configs), set(models)
        return Account(
            self.endpoints,
            {name: config for name, config in self.configs.items() if name not in gone_configs},
            {name: model for name, model in self.models.items() if name not in gone_models},
            self.images,
            self.used_images,
            self.asked_models,
            self.unsure,
        )


def is_ours(thing: Endpoint | EndpointConfig | Model) -> bool:
    """Say whether this package made it."""
    return thing.tags.get("project") == PROJECT
