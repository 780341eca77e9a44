"""What has to be kept of an endpoint configuration and its models, so that both can be made again.

Owns the way from what AWS describes to what it takes to create the same. Makes no call: the shapes of the requests come
in from outside. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.request import read_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RestorePoint", "creation_request", "model_names", "variants_of"]

_AWS_TAG = "aws:"
"""What tags begin with that nobody but AWS may give (service model, ``TagKey``)."""


@dataclass(frozen=True)
class RestorePoint:
    """An endpoint configuration with the models that its variants name.

    :param config: CreateEndpointConfig request
    :param models: CreateModel requests
    """

    config: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, given: Any, field_name: str = "restore_point") -> RestorePoint | None:
        """Read what ``as_json`` wrote, also as the text that a template makes of it; None stands for none.

        :raises RequestError: it is something else
        """
        found = read_mapping(given, field_name)
        if found is None:
            return None
        config, models = found.get("config"), found.get("models", [])
        if not isinstance(config, Mapping) or not config.get("EndpointConfigName") or not isinstance(models, list):
            raise RequestError(field_name, given, "the member restore_point of what CreateEndpointOperator returns")
        return cls(config, models)

    @property
    def config_name(self) -> str:
        """Return the name of the endpoint configuration."""
        return str(self.config["EndpointConfigName"])

    def as_json(self) -> dict[str, Any]:
        """Return it as an XCom holds it."""
        return {"config": dict(self.config), "models": [dict(model) for model in self.models]}


def creation_request(
    described: Mapping[str, Any], shape: Any, tags: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """Return the request that makes what was described, as JSON data.

    :param described: AWS's answer; what the request has no member for is left out, and so is what is empty
    :param shape: botocore's input shape of the operation that creates
    :param tags: of what was described; those of AWS itself are left out, since nobody else may give them
    """
    own = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags if not tag["Key"].startswith(_AWS_TAG)]
    return {**_kept(described, shape), **({"Tags": own} if own else {})}


def model_names(config: Mapping[str, Any]) -> list[str]:
    """Return the models of a configuration's variants, shadow variants as well, each once."""
    return list(dict.fromkeys(variant["ModelName"] for variant in variants_of(config) if variant.get("ModelName")))


def variants_of(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the variants of a configuration or an endpoint, shadow variants behind the others."""
    members = ("ProductionVariants", "ShadowProductionVariants")
    return [variant for member in members for variant in described.get(member, ())]


def _kept(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return _without_echo(dict(_members(value, shape)))
    if shape.type_name == "list":
        return [_kept(item, shape.member) for item in value]
    if shape.type_name == "map":
        return {key: _kept(item, shape.value) for key, item in value.items()}
    return value.isoformat() if isinstance(value, date) else value


def _members(value: Mapping[str, Any], shape: Any) -> Iterator[tuple[str, Any]]:
    for name, member in shape.members.items():
        if value.get(name) not in (None, [], {}):
            yield name, _kept(value[name], member)


def _without_echo(container: dict[str, Any]) -> dict[str, Any]:
    """Leave out the ModelDataSource that only repeats a ModelDataUrl.

    DescribeModel gives both for a model that was made of the latter (observed by others, promised nowhere); that
    CreateModel refuses both together is a guess, but each alone says everything.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    if source and source.get("S3Uri") == container.get("ModelDataUrl"):
        del container["ModelDataSource"]
    return container
