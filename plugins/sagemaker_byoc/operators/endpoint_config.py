"""Shows which configurations an endpoint had, so that a person, or the next task, can choose one to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sagemaker_byoc.config_history import before, table
from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.limit import count
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.naming import safe_base
from sagemaker_byoc.request import require_text
from sagemaker_byoc.retry import fail_fast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from sagemaker_byoc.config_history import KnownConfig

__all__ = ["ListEndpointConfigsOperator"]

_CERTAIN_LENGTH = 40
"""How much of an endpoint's name its configurations' names surely begin with; longer ones are cut."""


class ListEndpointConfigsOperator(BaseOperator):
    """List the configurations that ``CreateEndpointOperator`` made for an endpoint, newest first.

    They are known by the tag ``endpoint``. Beside them are always listed, whoever made them and however old they are:
    the live one, the one to go back to, and ``endpoint_config_name``. The table is in the task's log.

    Returns ``{"endpoint_name", "live", "before_live", "configs": [{"name", "created", "endpoint", "data_date",
    "models", "run_id", "replaced", "smoke_test", "model_package", "candidate_for", "candidate_package"}]}``.
    ``before_live`` is the one to go back to: what the live one replaced when it was deployed, else the newest of those
    listed that is older than it; one that failed its smoke test, or that AWS could not make live, is passed over. While
    a candidate stands beside a model, it is the configuration that this model had to itself. None if there is none. Of
    an endpoint that does not exist it is the newest one. Where age decides, one that passed its smoke test comes before
    all that were not tested.

    :param endpoint_name: the endpoint (templated)
    :param maximum_configs: how many to list of those that were made for the endpoint (templated)
    :param endpoint_config_name: a configuration to list beside them; None or empty for none (templated)
    :param name_contains: what is in the configurations' names, where ``config.EndpointConfigName`` of their deployment
        said so; None is the endpoint's name (templated)
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "endpoint_name",
        "maximum_configs",
        "endpoint_config_name",
        "name_contains",
        "aws_conn_id",
        "region_name",
    )
    operator_extra_links = (EndpointLink(),)
    ui_color = "#d5e8d4"

    def __init__(
        self,
        *,
        endpoint_name: str,
        maximum_configs: int | str = 10,
        endpoint_config_name: str | None = None,
        name_contains: str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.maximum_configs = maximum_configs
        self.endpoint_config_name = endpoint_config_name
        self.name_contains = name_contains
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at the endpoint and at what it had."""
        with fail_fast():
            name = require_text(self.endpoint_name, "endpoint_name", "the name of the endpoint")
            most = count("maximum_configs", self.maximum_configs)
            connection = AwsConnection.of(self)
            EndpointLink().push(context, endpoint_url(connection.region, name))
            look = EndpointHook(connection).look(name)
            live = look.target_config if look is not None else None
            part = self.name_contains or safe_base(name)[:_CERTAIN_LENGTH].rstrip("-")
            configs = EndpointConfigHook(connection)
            known = configs.deployed_to(name, most, name_contains=part)
            known = _with(known, configs, live, self.endpoint_config_name)
            before_live = before(live, known, configs.known)
            known = _with(known, configs, before_live)
            self.log.info("Endpoint %s serves, or is being given, %s.\n%s", name, live, table(known, live))
            return {
                "endpoint_name": name,
                "live": live,
                "before_live": before_live,
                "configs": [config.as_json() for config in known],
            }


def _with(known: list[KnownConfig], configs: EndpointConfigHook, *names: str | None) -> list[KnownConfig]:
    """Return the configurations and those of these names that are not among them, newest first."""
    listed = {config.name for config in known}
    more = [configs.known(name) for name in dict.fromkeys(names) if name and name not in listed]
    return sorted([*known, *filter(None, more)], key=lambda config: config.created, reverse=True)
