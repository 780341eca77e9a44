"""One deployment of a model to an endpoint, step by step.

Owns the requests that it consists of and the doing of each step. The order of steps is decided in ``deployment``;
waiting between them is the caller's. Knows nothing of tasks, deferral or templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.candidate import CANDIDATE_FOR, RETAIN
from sagemaker_byoc.config_history import DATA_DATE, ENDPOINT, MODEL_PACKAGE, REPLACED, SMOKE_TEST, without_candidate
from sagemaker_byoc.deployment import Step, data_date, fill_in_variants, is_older, next_step
from sagemaker_byoc.errors import EndpointFailedError, NoWayBackError, RequestError
from sagemaker_byoc.guardrail import check_guardrails
from sagemaker_byoc.hooks.candidate import plan_beside
from sagemaker_byoc.hooks.endpoint import EndpointHook, mix_explained
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.restore_point import take_restore_point
from sagemaker_byoc.naming import content_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagemaker_byoc.candidate import Candidate
    from sagemaker_byoc.endpoint_status import EndpointLook
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.restore_point import RestorePoint
    from sagemaker_byoc.run import RunIdentity

__all__ = ["Deployment", "DeploymentPlan", "ensure_config"]


@dataclass(frozen=True)
class DeploymentPlan:
    """Everything that a deployment sends, checked before any of it is sent.

    :param config: CreateEndpointConfig request
    :param create: CreateEndpoint request
    :param update: UpdateEndpoint request
    :param data_date: ISO 8601, of the data that the model was trained on; None when that is unknown
    :param candidate: what stands beside the live model in this configuration; None when the model is to have the
        endpoint to itself
    """

    endpoint_name: str
    config: Mapping[str, Any]
    create: Mapping[str, Any]
    update: Mapping[str, Any]
    data_date: str | None = None
    candidate: Candidate | None = None

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
        model_package: str | None = None,
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
        known = {DATA_DATE: date, MODEL_PACKAGE: model_package}
        facts = {ENDPOINT: endpoint_name, **{key: value for key, value in known.items() if value}}
        # Templated text becomes numbers before the name is made: "1" and 1 are the same content.
        named = {**filled, "EndpointConfigName": content_name(base, {}), "Tags": _tagged(tags, facts)}
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

    :param run: whose deployment it is, so that a retry knows its own again
    :param replace_failed: delete an endpoint that serves nothing and cannot be updated, to create it again
    :param require_way_back: do not replace what could not be put back
    :param beside: stand beside the live model, if there is one, instead of replacing it
    :param gate: is called with the live configuration's name before the endpoint is changed, and raises what speaks
        against that
    """

    def __init__(
        self,
        connection: AwsConnection,
        plan: DeploymentPlan,
        run: RunIdentity,
        *,
        replace_failed: bool,
        require_way_back: bool = True,
        beside: bool = False,
        gate: Callable[[str | None], None] | None = None,
    ) -> None:
        self._connection = connection
        self._hook = EndpointHook(connection)
        self._configs = EndpointConfigHook(connection)
        self._plan = plan
        self._run = run
        self._replace_failed = replace_failed
        self._require_way_back = require_way_back
        self._beside = beside
        self._gate = gate
        self._sent = False

    def newer_live_config(self, look: EndpointLook | None) -> str | None:
        """Return the live configuration's name and date, if its model was trained on later data than the plan's."""
        if look is None or look.live_config in (None, self._plan.config_name) or look.status == "Failed":
            return None
        # a candidate that was left behind beside it says nothing about what clients have
        config = without_candidate(str(look.live_config), self._configs.known)
        live_date = config.data_date if config is not None else None
        return f"{look.live_config} of {live_date}" if is_older(self._plan.data_date, live_date) else None

    def has_begun(self) -> bool:
        """Say whether the endpoint has, or is being given, what the plan deploys, alone or beside what was live.

        What was sent a moment ago may not be seen yet, nor its answer have come.
        """
        if self._sent:
            return True
        look = self._hook.look(self._plan.endpoint_name)
        target = look.target_config if look is not None else None
        if target is None or target == self._plan.config_name:
            return target is not None
        return self._configs.tags(target).get(CANDIDATE_FOR) == self._plan.config_name

    def advance(self, look: EndpointLook | None) -> dict[str, Any] | None:
        """Do the next step.

        :return: the result when the configuration is live or on its way; None when one has to look again after a
            pause
        :raises EndpointFailedError: the endpoint serves nothing, cannot be updated and must not be replaced
        :raises NoWayBackError: what it serves could not be put back, and nothing was changed
        """
        plan = plan_beside(self._connection, self._plan, look) if self._beside else self._plan
        step = next_step(look, plan.config_name)
        if self._gate is not None and step in (Step.DELETE, Step.CREATE, Step.UPDATE):
            self._gate(look.live_config if look is not None else None)
        if step is Step.DELETE:
            self._delete_failed(look)
        if step in (Step.WAIT, Step.DELETE):
            return None
        previous = self._previous(plan, step, look)
        # an endpoint that serves nothing loses nothing
        needed = step is Step.UPDATE and look is not None and look.status != "OutOfService" and self._require_way_back
        point = self._way_back(previous, needed=needed) if previous else None
        with mix_explained(look, plan.config_name):
            done = self._do(plan, step, previous)
        if not done:
            return None
        return {
            "endpoint_name": plan.endpoint_name,
            "endpoint_config_name": plan.config_name,
            "previous_endpoint_config_name": previous,
            "operation": step.value,
            "restore_point": point.as_json() if point else None,
            **({"candidate": plan.candidate.as_json()} if plan.candidate else {}),
            **({"retain": retained} if (retained := _retained(plan)) else {}),
        }

    def _previous(self, plan: DeploymentPlan, step: Step, look: EndpointLook | None) -> str | None:
        """Return the configuration that this deployment replaces, or has replaced when an earlier try did it.

        A candidate that is there already has the earlier model beside it, whichever run put it there.
        """
        live = look.live_config if look is not None else None
        if live != plan.config_name:
            return live
        tags = self._configs.tags(plan.config_name) if step is Step.NONE else {}
        own = {tag["Key"]: tag["Value"] for tag in self._run.tags()}
        is_own = all(tags.get(key) == own[key] for key in ("airflow:dag_id", "airflow:run_id"))
        return (tags.get(REPLACED) or None) if is_own or plan.candidate else None

    def _way_back(self, config_name: str, *, needed: bool) -> RestorePoint | None:
        try:
            return take_restore_point(self._connection, config_name)
        except NoWayBackError as error:
            if not needed:
                return None
            message = (
                f"There would be no way back: endpoint {self._plan.endpoint_name} serves {config_name}. {error} "
                "Nothing was changed, it goes on serving. Make what is missing again under the same name, or set "
                "require_way_back=False to deploy without a way back, and clear this task."
            )
            raise NoWayBackError(message) from error

    def _do(self, plan: DeploymentPlan, step: Step, previous: str | None) -> bool:
        """Send the step's requests; False when another run was faster."""
        if step is Step.CREATE:
            ensure_config(self._configs, plan.config, None)
            return self._send(self._hook.create, plan.create)
        if step is Step.UPDATE:
            ensure_config(self._configs, plan.config, previous)
            return self._send(self._hook.update, plan.update)
        return True

    def _send(self, call: Callable[[Mapping[str, Any]], bool], request: Mapping[str, Any]) -> bool:
        self._sent = True
        try:
            self._sent = call(request)
        except Exception:
            # no time limit that was over while AWS thought about it
            self._sent = False
            raise
        return self._sent

    def _delete_failed(self, look: EndpointLook | None) -> None:
        name, status, reason = self._plan.endpoint_name, "gone", ""
        if look is not None:
            status, reason = look.status, look.failure_reason
        if not self._replace_failed:
            allows = "nothing but DeleteEndpoint then" if status == "Failed" else "no update to what it has already"
            message = (
                f"Endpoint {name} is {status} ({reason or 'no reason given'}), and AWS allows {allows}. Delete it, or "
                "set replace_failed=True, and clear this task."
            )
            raise EndpointFailedError(message)
        self._hook.delete(name)


def ensure_config(
    configs: EndpointConfigHook, config: Mapping[str, Any], previous: str | None, verdict: str = ""
) -> None:
    """Make the configuration; one that exists gets the tags of this deployment in place of an earlier one's.

    :param previous: what it replaces
    :param verdict: how its smoke test ended, if there was one before it was made
    """
    tags = _tagged(config["Tags"], {REPLACED: previous or ""})
    told = _tagged(tags, {SMOKE_TEST: verdict})
    request = {**config, "Tags": told if verdict else tags}
    found = not configs.ensure(request)
    if found and not configs.tag(str(config["EndpointConfigName"]), told):
        # Somebody who cleans up was faster; from the new tags on, it is known to be in use.
        configs.ensure(request)


def _retained(plan: DeploymentPlan) -> dict[str, Any]:
    """Return what the user has said about the size of the fleet, so that the way back does not undo a scaling."""
    update = plan.candidate.promotion if plan.candidate else plan.update
    return {name: update[name] for name in RETAIN if name in update}


def _refuse(update_config: Mapping[str, Any], names: Mapping[str, str]) -> None:
    for name in names:
        if name in update_config:
            field = f"update_config.{name}"
            raise RequestError(field, update_config[name], "nothing: the operator fills this member in")


def _tagged(tags: list[dict[str, str]], facts: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tags with those of our own; a tag of the user's wins over ours of the same key."""
    taken = {tag.get("Key") for tag in tags if isinstance(tag, dict)}
    return [*tags, *({"Key": key, "Value": value} for key, value in facts.items() if key not in taken)]
