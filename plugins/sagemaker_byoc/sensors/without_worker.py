"""Which sensors can begin and end their wait without a worker.

Owns the rules for that: what Airflow's scheduler and triggerer can do for a task, and what only a worker can. Knows no
AWS service. A sensor that needs a worker gets one, without the author of the DAG having to know.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import XComArg
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.definitions.xcom_arg import PlainXComArg
from airflow.triggers.base import StartTriggerArgs

from sagemaker_byoc.triggers.task_end import FAILURE, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.sdk import DAG, BaseSensorOperator, Param

__all__ = ["DecidedLate", "WorkerFree", "ends_in_triggerer", "first_limit", "start_args"]

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


OWN_METHODS = ("execute", "execute_complete", "poke", "post_execute", "pre_execute", "resume_execution")
"""Methods that a wait without a worker never calls, so that a subclass that brings its own needs one."""


_open_params: dict[tuple[str, str], bool] = {}
"""Whether a param is open, by value and schema as text."""


class WorkerNeededError(Exception):
    """Raised for what cannot be rendered in the triggerer."""


class WorkerFree(Protocol):
    """What a sensor has to offer so that its wait can do without a worker."""

    TRIGGER: str
    """Path of the trigger's class."""

    AS_JSON: Collection[str]
    """Fields that may be an XCom with members, and that the trigger reads as JSON."""

    def trigger_fields(self) -> dict[str, Any]:
        """Return what the trigger is made of; the sensor's template fields among them may be rendered there."""


class DecidedLate:
    """An attribute that is found out whenever it is asked for, which Airflow does when it serializes the DAG.

    By then cluster policies, subclasses and the rest of the DAG's file have said what they want.

    :param find: asked for the value
    :param of_class: what the class itself answers, by which Airflow judges mapped sensors
    """

    def __init__(self, find: Callable[[Any], Any], of_class: Any) -> None:
        self._find = find
        self._of_class = of_class

    def __get__(self, sensor: Any, owner: type) -> Any:
        """Find it out."""
        return self._of_class if sensor is None else self._find(sensor)


def start_args(sensor: Any) -> StartTriggerArgs | None:
    """Return how the scheduler hands the wait to the triggerer at once; None when something needs a worker.

    :param sensor: a ``WorkerFree`` one
    """
    if begins_on_worker(sensor):
        return None
    try:
        rendered_there = {
            name: as_template(value, as_json=name in sensor.AS_JSON) if name in sensor.template_fields else value
            for name, value in sensor.trigger_fields().items()
        }
    except WorkerNeededError:
        return None
    return StartTriggerArgs(
        trigger_cls=sensor.TRIGGER,
        next_method="execute_complete",
        trigger_kwargs=rendered_there,
        timeout=first_limit(sensor)[1],
    )


def first_limit(sensor: BaseSensorOperator) -> tuple[str, timedelta]:
    """Return the parameter that limits the wait in the triggerer, of the two that a task has, and its value."""
    timeout = timedelta(seconds=sensor.timeout)
    if sensor.execution_timeout is not None and sensor.execution_timeout <= timeout:
        return "execution_timeout", sensor.execution_timeout
    return "timeout", timeout


def ends_in_triggerer(sensor: BaseSensorOperator) -> list[str]:
    """Return which ends of the task may happen in the triggerer, of ``SUCCESS`` and ``FAILURE``.

    Airflow's triggerer emits no asset events, calls no success callback, and does not say how many items a result
    has. A task that has retries fails on a worker, since only there can a failure be final; one with a failure
    callback, since only there the callback is given the reason.
    """
    result = sensor.multiple_outputs or not sensor.do_xcom_push or sensor.returns_dag_result
    mapped_over = sensor.has_dag() and next(sensor.iter_mapped_dependants(), None) is not None
    hooks = sensor.outlets or sensor._post_execute_hook or sensor.on_success_callback
    if result or mapped_over or hooks or has_own_methods(sensor):
        return []
    told = sensor.on_failure_callback or (sensor.email_on_failure and sensor.email)
    if sensor.retries or sensor.soft_fail or sensor.never_fail or told or (sensor.has_dag() and sensor.dag.fail_fast):
        return [SUCCESS]
    return [SUCCESS, FAILURE]


def begins_on_worker(sensor: Any) -> bool:
    """Tell whether something has to be done before the wait that only a worker does, or that only it does right.

    In a mapped task group, and for a mapped sensor, which Airflow excludes itself, no template would find the XComs of
    its own index. The scheduler's way to the triggerer leads past pools and limits of tasks.
    """
    if not getattr(sensor, "deferrable", False):  # not said so, or not yet: Airflow asks while the sensor is being made
        return True
    hooks = sensor.outlets or sensor._pre_execute_hook or sensor.on_execute_callback or has_own_methods(sensor)
    limits = sensor.pool != "default_pool" or sensor.max_active_tis_per_dag or sensor.max_active_tis_per_dagrun
    mapped = sensor.get_closest_mapped_task_group() is not None
    context = has_open_param(sensor) or (sensor.has_dag() and is_unusual(sensor.dag))
    return bool(hooks or limits or mapped or context or has_triggerer_queues())


def has_own_methods(sensor: Any) -> bool:
    """Tell whether somebody's subclass does something of its own, which only a worker would call."""
    ours = ("airflow.sdk.", "sagemaker_byoc.")
    return not all(getattr(type(sensor), name).__module__.startswith(ours) for name in OWN_METHODS)


def has_open_param(sensor: Any) -> bool:
    """Tell whether a param has no valid default.

    A run without a value for it fails its tasks on workers. In the triggerer Airflow 3.3 lets the whole process die of
    it, and again after each restart.
    """
    of_dag = [sensor.dag.params] if sensor.has_dag() else []
    return any(is_open(params.get_param(name)) for params in (*of_dag, sensor.params) for name in params)


def is_open(param: Param) -> bool:
    """Tell whether a param has no valid default; each pair of value and schema is validated once in a process.

    A DAG's file asks several times for each sensor while it is parsed, and a form of a dozen params takes milliseconds.
    """
    from airflow.sdk.exceptions import ParamValidationError

    key = repr(param.value), repr(param.schema)
    if key not in _open_params:
        try:
            param.resolve()
        except ParamValidationError:
            _open_params[key] = True
        else:
            _open_params[key] = False
    return _open_params[key]


def is_unusual(dag: DAG) -> bool:
    """Tell whether a DAG renders templates in a way of its own, which the triggerer does not know."""
    undefined = dag.template_undefined.__name__ != "StrictUndefined"
    filters = dag.user_defined_filters or dag.jinja_environment_kwargs
    return bool(dag.render_template_as_native_obj or undefined or filters)


def has_triggerer_queues() -> bool:
    """Tell whether triggerers serve queues; the scheduler gives a wait that it hands over none."""
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean("triggerer", "queues_enabled", fallback=False))


def as_template(value: Any, *, as_json: bool = False) -> Any:
    """Return a value of a template field so that it can be rendered in the triggerer.

    :param as_json: bring an XCom as JSON; otherwise one that is None becomes empty text
    :raises WorkerNeededError: it cannot
    """
    if isinstance(value, XComArg):
        return f"{{{{ {pulled(value)} | default('', true){' | tojson' if as_json else ''} }}}}"
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
        tree = environment.parse(template)
        names = meta.find_undeclared_variables(tree)
    except TemplateError as error:
        raise WorkerNeededError from error
    if names - NAMES or any(True for _ in meta.find_referenced_templates(tree)) or "consumed_asset_events" in template:
        raise WorkerNeededError
