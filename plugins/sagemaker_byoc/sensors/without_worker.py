"""Which sensors can begin and end their wait without a worker.

Owns the rules for that: what Airflow's scheduler and triggerer can do for a task, and what only a worker can. Knows no
AWS service. A sensor that needs a worker gets one, without the author of the DAG having to know.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg
from airflow.triggers.base import StartTriggerArgs

from sagemaker_byoc.triggers.task_end import FAILURE, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow.sdk import BaseSensorOperator

__all__ = ["ends_in_triggerer", "longest_wait", "start_in_triggerer"]

NAMES = frozenset(
    {
        "conn",
        "dag_run",
        "data_interval_end",
        "data_interval_start",
        "ds",
        "ds_nodash",
        "logical_date",
        "params",
        "run_id",
        "ts",
        "ts_nodash",
        "var",
    }
)
"""What a template may use there. Much else asks Airflow a question that is not answered to a triggerer, and the wait
would hang: ``ti.xcom_pull`` without ``map_indexes``, for one."""

FILTERS = frozenset({"ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"})
"""Airflow's own, besides those of Jinja."""


class WorkerNeededError(Exception):
    """Raised for what cannot be rendered in the triggerer."""


def start_in_triggerer(
    sensor: BaseSensorOperator, trigger: str, fields: Mapping[str, Any], *, as_json: Collection[str] = ()
) -> None:
    """Have the scheduler hand the wait to the triggerer at once, if nothing about the sensor needs a worker.

    :param trigger: path of the trigger's class
    :param fields: what the trigger is made of; the sensor's template fields among them are rendered in the triggerer
    :param as_json: fields that may be an XCom with members, and that the trigger reads as JSON
    """
    if begins_on_worker(sensor):
        return
    try:
        rendered_there = {
            name: as_template(value, " | tojson" if name in as_json else "")
            if name in sensor.template_fields
            else value
            for name, value in fields.items()
        }
    except WorkerNeededError:
        return
    sensor.start_trigger_args = StartTriggerArgs(
        trigger_cls=trigger,
        next_method="execute_complete",
        trigger_kwargs=rendered_there,
        timeout=longest_wait(sensor),
    )
    sensor.start_from_trigger = True


def longest_wait(sensor: BaseSensorOperator) -> timedelta:
    """Return after which time Airflow ends the wait in the triggerer: the first of the two limits that a task has."""
    limits = [timedelta(seconds=sensor.timeout), sensor.execution_timeout]
    return min(limit for limit in limits if limit is not None)


def ends_in_triggerer(sensor: BaseSensorOperator) -> list[str]:
    """Return which ends of the task may happen in the triggerer, of ``SUCCESS`` and ``FAILURE``.

    A task that has retries fails on a worker, since only there can a failure be final; one with a failure callback,
    since only there the callback is given the reason.
    """
    needs_worker = sensor.outlets or sensor._post_execute_hook or sensor.multiple_outputs or not sensor.do_xcom_push
    if needs_worker:
        return []
    told = sensor.on_failure_callback or (sensor.email_on_failure and sensor.email)
    if sensor.retries or sensor.soft_fail or sensor.never_fail or told or fails_fast(sensor):
        return [SUCCESS]
    return [SUCCESS, FAILURE]


def begins_on_worker(sensor: BaseSensorOperator) -> bool:
    """Tell whether something has to be done before the wait that only a worker does.

    In a mapped task group, and for a mapped sensor, which Airflow excludes itself, no template would find the XComs of
    its own index.
    """
    mapped = sensor.get_closest_mapped_task_group() is not None
    return bool(mapped or sensor.outlets or sensor._pre_execute_hook or sensor.on_execute_callback)


def fails_fast(sensor: BaseSensorOperator) -> bool:
    """Tell whether the failure of one task ends the whole run, which only a worker's failure does."""
    return sensor.has_dag() and bool(sensor.dag.fail_fast)


def as_template(value: Any, form: str = "") -> Any:
    """Return a value of a template field so that it can be rendered in the triggerer.

    :param form: filters for an XCom
    :raises WorkerNeededError: it cannot
    """
    if isinstance(value, XComArg):
        return f"{{{{ {pulled(value)}{form} }}}}"
    if isinstance(value, dict):
        return {key: as_template(item) for key, item in value.items()}
    if isinstance(value, str):
        require_readable(value)
    elif value is not None and not isinstance(value, bool | int | float):
        raise WorkerNeededError
    return value


def pulled(argument: XComArg) -> str:
    """Return the Jinja expression that takes an XCom in the triggerer, where it must name the one map index."""
    if not isinstance(argument, PlainXComArg) or not isinstance(argument.operator, BaseOperator):
        raise WorkerNeededError
    if argument.operator.get_closest_mapped_task_group() is not None:
        raise WorkerNeededError
    return f"ti.xcom_pull(task_ids={argument.operator.task_id!r}, key={argument.key!r}, map_indexes=-1)"


@cache
def require_readable(template: str) -> None:
    """Raise ``WorkerNeededError`` unless a template uses only what the triggerer has."""
    if "{" not in template:
        return
    from jinja2 import Environment, TemplateError, meta

    environment = Environment(autoescape=False)  # noqa: S701 - nothing is rendered, and an address is no HTML
    environment.filters.update(dict.fromkeys(FILTERS, str))
    try:
        names = meta.find_undeclared_variables(environment.parse(template))
    except TemplateError as error:
        raise WorkerNeededError from error
    if names - NAMES:
        raise WorkerNeededError
