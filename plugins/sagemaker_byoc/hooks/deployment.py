"""One deployment of a model to an endpoint, step by step.

Owns the requests that it consists of and the doing of each step. The order of steps is decided in ``deployment``;
waiting between them is the caller's. Knows nothing of tasks, deferral or templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.deployment import Step, data_date, fill_in_variants, is_older, next_step
from sagemaker_byoc.errors import EndpointFailedError, RequestError
from sagemaker_byoc.guardrail import check_guardrails
from sagemaker_byoc.naming import content_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.endpoint_status import EndpointLook
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.endpoint import EndpointHook
    from sagemaker_byoc.run import RunIdentity

__all__ = ["Deployment", "DeploymentPlan"]

_DATA_DATE_TAG = "data_date"
"""Tag of an endpoint configuration: which data its model was trained on, for later runs to compare with theirs."""


@dataclass(frozen=True)
class DeploymentPlan:
    """Everything that a deployment sends, checked before any of it is sent.

    :param config: CreateEndpointConfig request
    :param create: CreateEndpoint request
    :param update: UpdateEndpoint request
    :param data_date: ISO 8601, of the data that the model was trained on; None when that is unknown
    """

    endpoint_name: str
    config: Mapping[str, Any]
    create: Mapping[str, Any]
    update: Mapping[str, Any]
    data_date: str | None = None

    @property
    def config_name(self) -> str:
        """Return the name of the endpoint configuration."""
        return str(self.config["EndpointConfigName"])

    @classmethod
    def make(
        cls,
        connection: AwsConnection,
        run: RunIdentity,
        *,
        endpoint_name: str,
        model_name: str | None,
        config: Mapping[str, Any],
        update_config: Mapping[str, Any],
        given_data_date: str | None = None,
    ) -> DeploymentPlan:
        """Complete the user's requests and check them against AWS's own description.

        The name of the configuration is made of its content without the tags, since those differ from run to run.

        :raises RequestError: a member is not allowed
        """
        filled = fill_in_variants(config, model_name)
        base = filled.pop("EndpointConfigName", None) or endpoint_name
        tags = run.tags(filled.pop("Tags", None))
        date = data_date(given_data_date, run.data_date)
        # Of the configuration alone: the tags of the endpoint stay those of its creation.
        dated = [*tags, {"Key": _DATA_DATE_TAG, "Value": date}] if date else tags
        # Templated text becomes numbers before the name is made: "1" and 1 are the same content.
        named = {**filled, "EndpointConfigName": content_name(base, {}), "Tags": dated}
        checked = connection.conform("sagemaker", "CreateEndpointConfig", named)
        content = {name: value for name, value in checked.items() if name not in ("EndpointConfigName", "Tags")}
        names = {"EndpointName": endpoint_name, "EndpointConfigName": content_name(base, content)}
        _refuse(update_config, names)
        create = connection.conform("sagemaker", "CreateEndpoint", {**names, "Tags": tags}, field="endpoint")
        update = connection.conform("sagemaker", "UpdateEndpoint", {**update_config, **names}, field="update_config")
        check_guardrails(update, checked)
        return cls(
            endpoint_name=endpoint_name,
            config={**checked, "EndpointConfigName": names["EndpointConfigName"]},
            create=create,
            update=update,
            data_date=date,
        )


class Deployment:
    """A plan on its way.

    :param replace_failed: delete an endpoint that is Failed, to create it again
    """

    def __init__(self, hook: EndpointHook, plan: DeploymentPlan, *, replace_failed: bool) -> None:
        self._hook = hook
        self._plan = plan
        self._replace_failed = replace_failed

    def newer_live_config(self, look: EndpointLook | None) -> str | None:
        """Return the live configuration's name and date, if its model was trained on later data than the plan's."""
        if look is None or look.live_config in (None, self._plan.config_name) or look.status == "Failed":
            return None
        live_date = self._hook.config_tags(str(look.live_config)).get(_DATA_DATE_TAG)
        return f"{look.live_config} of {live_date}" if is_older(self._plan.data_date, live_date) else None

    def advance(self, look: EndpointLook | None) -> dict[str, Any] | None:
        """Do the next step.

        :return: the result when the configuration is live or on its way; None when one has to look again after a
            pause
        :raises EndpointFailedError: the endpoint is Failed and must not be replaced
        """
        step = next_step(look, self._plan.config_name)
        if step is Step.DELETE:
            self._delete_failed(look)
        if step in (Step.WAIT, Step.DELETE) or not self._do(step):
            return None
        live = look.live_config if look is not None else None
        return {
            "endpoint_name": self._plan.endpoint_name,
            "endpoint_config_name": self._plan.config_name,
            "previous_endpoint_config_name": live if live != self._plan.config_name else None,
            "operation": step.value,
        }

    def _do(self, step: Step) -> bool:
        """Send the step's requests; False when another run was faster."""
        if step is Step.CREATE:
            self._hook.ensure_config(self._plan.config)
            return self._hook.create(self._plan.create)
        if step is Step.UPDATE:
            self._hook.ensure_config(self._plan.config)
            return self._hook.update(self._plan.update)
        return True

    def _delete_failed(self, look: EndpointLook | None) -> None:
        reason = look.failure_reason if look is not None else ""
        name = self._plan.endpoint_name
        if not self._replace_failed:
            message = (
                f"Endpoint {name} is Failed ({reason or 'no reason given'}), and AWS allows nothing but DeleteEndpoint "
                "then. Delete it, or set replace_failed=True, and clear this task."
            )
            raise EndpointFailedError(message)
        self._hook.delete(name)


def _refuse(update_config: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for name in names:
        if name in update_config:
            field = f"update_config.{name}"
            raise RequestError(field, update_config[name], "nothing: the operator fills this member in")
