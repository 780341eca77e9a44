"""Which waits begin and end without a worker, as the DAG's author writes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Asset, Param, task, task_group
from jinja2 import Undefined

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.sensors.training_job import TrainingJobSensor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def dag() -> Iterator[DAG]:
    """Parse a DAG."""
    with DAG("retrain", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        yield dag


@task
def create() -> str:
    """Stand for the task that made what is waited for."""
    return "job"


def sensor(**changes: Any) -> TrainingJobSensor:
    """Make a sensor inside the DAG."""
    return TrainingJobSensor(**{"task_id": "wait", "training_job_name": "job", **changes})


def rendered_there(waiting: Any) -> dict[str, Any]:
    """Return what the trigger is made of."""
    assert waiting.start_from_trigger
    assert waiting.start_trigger_args is not None
    kwargs: dict[str, Any] = waiting.start_trigger_args.trigger_kwargs
    return kwargs


def test_a_plain_wait_begins_and_ends_in_the_triggerer() -> None:
    """No worker is started for it at all."""
    fields = rendered_there(sensor(region_name="eu-west-1", timeout=60))
    assert fields["training_job_name"] == "job"
    assert fields["region_name"] == "eu-west-1"
    assert fields["ends_task_on"] == ["success", "failure"]
    args = sensor(task_id="other", timeout=60).start_trigger_args
    assert args is not None
    assert args.timeout == timedelta(seconds=60)


def test_the_result_of_another_task_is_taken_in_the_triggerer() -> None:
    """There an XCom needs its map index, or Airflow refuses the question and the wait hangs."""
    waiting = sensor(training_job_name=create())
    template = rendered_there(waiting)["training_job_name"]
    assert template == "{{ ti.xcom_pull(task_ids='create', key='return_value', map_indexes=-1) | default('', true) }}"
    assert waiting.upstream_task_ids == {"create"}, "the dependency stays"


def test_a_result_with_members_is_taken_as_json() -> None:
    """The endpoint sensor is given the whole result of the task that deploys."""
    waiting = EndpointSensor(task_id="wait", endpoint=create())
    assert " | tojson }}" in rendered_there(waiting)["endpoint"]


@pytest.mark.parametrize(
    "template",
    [
        "{{ params.job }}",
        "{{ var.value.job }}-{{ ds_nodash }}",
        "{{ dag_run.run_id }}",
        "{{ logical_date | ds }}",
        "{{ var.json.settings.jobs | join('-') }}",
        "job-{% if params.gpu %}gpu{% endif %}",
    ],
)
def test_templates_of_settings_and_dates_are_rendered_in_the_triggerer(template: str) -> None:
    """Those are what a DAG usually has there."""
    assert rendered_there(sensor(training_job_name=template))["training_job_name"] == template


@pytest.mark.parametrize(
    "template",
    [
        "{{ ti.xcom_pull(task_ids='create') }}",
        "{{ task_instance.xcom_pull('create') }}",
        "{{ prev_start_date_success }}",
        "{{ macros.mine.job() }}",
        "{{ my_macro(ds) }}",
        "{{ ds | my_filter }}",
        "{{ unclosed",
        "{% include 'name.txt' %}",
        "{{ dag_run.consumed_asset_events }}",
    ],
)
def test_templates_that_only_a_worker_can_render_bring_a_worker(template: str) -> None:
    """The triggerer would refuse them, or wait for an answer for ever."""
    assert not sensor(training_job_name=template).start_from_trigger


def test_deferrable_off_keeps_the_wait_on_a_worker() -> None:
    """The user said so."""
    assert not sensor(deferrable=False).start_from_trigger
    assert not EndpointSensor(
        task_id="other", endpoint="e", endpoint_config_name="c", deferrable=False
    ).start_from_trigger


def test_outlets_need_a_worker_at_both_ends() -> None:
    """The triggerer emits no asset event."""
    waiting = sensor(outlets=[Asset("s3://bucket/model")])
    assert not waiting.start_from_trigger
    assert waiting.trigger_fields()["ends_task_on"] == []


@pytest.mark.parametrize("hook", ["pre_execute", "on_execute_callback"])
def test_what_is_to_happen_before_the_wait_needs_a_worker(hook: str) -> None:
    """Nothing in the scheduler calls it."""
    assert not sensor(**{hook: lambda *_: None}).start_from_trigger


@pytest.mark.parametrize(
    "setting",
    [
        {"post_execute": lambda *_: None},
        {"do_xcom_push": False},
        {"multiple_outputs": True},
        {"on_success_callback": lambda *_: None},
    ],
)
def test_what_is_to_happen_after_the_wait_needs_a_worker(setting: dict[str, Any]) -> None:
    """The wait begins without one all the same."""
    assert rendered_there(sensor(**setting))["ends_task_on"] == []


@pytest.mark.parametrize(
    "setting",
    [{"retries": 2}, {"soft_fail": True}, {"never_fail": True}, {"on_failure_callback": lambda *_: None}],
)
def test_a_failure_that_the_triggerer_cannot_tell_right_happens_on_a_worker(setting: dict[str, Any]) -> None:
    """There would be a retry, no skip, or a callback without the reason; success does not need a worker."""
    assert rendered_there(sensor(**setting))["ends_task_on"] == ["success"]


def test_a_run_that_fails_with_its_first_task_fails_on_a_worker() -> None:
    """Only there Airflow ends the other tasks."""
    with DAG("hasty", schedule=None, fail_fast=True):
        waiting = TrainingJobSensor(task_id="wait", training_job_name="job")
    assert rendered_there(waiting)["ends_task_on"] == ["success"]


def test_a_mapped_sensor_gets_a_worker(dag: DAG) -> None:
    """Airflow cannot map in the scheduler."""
    TrainingJobSensor.partial(task_id="wait").expand(training_job_name=["a", "b"])
    assert not dag.get_task("wait").start_from_trigger


def test_a_sensor_in_a_mapped_group_gets_a_worker(dag: DAG) -> None:
    """Its template would look for the XCom of no index."""

    @task_group
    def train(name: str) -> None:
        TrainingJobSensor(task_id="wait", training_job_name=name)

    train.expand(name=["a", "b"])
    assert not dag.get_task("train.wait").start_from_trigger


def test_the_result_of_a_mapped_task_gets_a_worker() -> None:
    """It is many results."""

    @task
    def one(name: str) -> str:
        return name

    assert not sensor(training_job_name=one.expand(name=["a", "b"])).start_from_trigger
    assert not sensor(task_id="second", training_job_name=create().map(str.upper)).start_from_trigger


def test_a_result_that_is_mapped_over_needs_a_worker() -> None:
    """Only a worker says how many items it has."""
    waiting = sensor()
    assert waiting.trigger_fields()["ends_task_on"] == ["success", "failure"]
    one_of.expand(item=waiting.output)
    assert waiting.trigger_fields()["ends_task_on"] == []


@task
def one_of(item: str) -> str:
    """Stand for a task that is mapped over a result."""
    return item


def test_the_decision_is_made_when_the_dag_is_serialized() -> None:
    """A cluster policy changes tasks after they were made."""
    waiting = sensor()
    assert waiting.start_from_trigger
    waiting.retries = 3
    assert rendered_there(waiting)["ends_task_on"] == ["success"]
    waiting.deferrable = False
    assert not waiting.start_from_trigger


@pytest.mark.parametrize("method", ["execute", "execute_complete", "pre_execute", "post_execute"])
def test_a_subclass_with_methods_of_its_own_gets_a_worker(method: str) -> None:
    """Nothing but a worker would call them."""
    kind = type("Mine", (TrainingJobSensor,), {method: lambda *_: None})
    waiting = kind(task_id="wait", training_job_name="job")
    assert not waiting.start_from_trigger
    assert waiting.trigger_fields()["ends_task_on"] == []


def test_a_subclass_that_names_its_job_later_watches_that_job() -> None:
    """What the constructor was given first does not count."""

    class Mine(TrainingJobSensor):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(training_job_name="placeholder", **kwargs)
            self.training_job_name = "job"

    assert rendered_there(Mine(task_id="wait"))["training_job_name"] == "job"


@pytest.mark.parametrize("where", ["dag", "task"])
def test_a_param_without_a_value_needs_a_worker(dag: DAG, where: str) -> None:
    """In the triggerer Airflow lets the whole process die of it."""
    settings: dict[str, Any] = {}
    if where == "dag":
        dag.params["n"] = Param(type="string")
    else:
        settings["params"] = {"n": Param(type="string")}
    assert not sensor(**settings).start_from_trigger
    assert sensor(task_id="other", params={"n": Param(None, type=["null", "string"])}).start_from_trigger == (
        where == "task"
    )


@pytest.mark.parametrize("setting", [{"pool": "gpu"}, {"max_active_tis_per_dag": 1}, {"max_active_tis_per_dagrun": 1}])
def test_a_limit_on_tasks_needs_a_worker(setting: dict[str, Any]) -> None:
    """The scheduler's way to the triggerer leads past it."""
    assert not sensor(**setting).start_from_trigger


@pytest.mark.parametrize(
    "settings",
    [
        {"render_template_as_native_obj": True},
        {"user_defined_filters": {"replace": str}},
        {"jinja_environment_kwargs": {"trim_blocks": True}},
        {"template_undefined": Undefined},
    ],
)
def test_a_dag_that_renders_in_its_own_way_needs_a_worker(settings: dict[str, Any]) -> None:
    """The triggerer does not know that way."""
    with DAG("unusual", schedule=None, **settings):
        assert not sensor().start_from_trigger


def test_triggerers_with_queues_need_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler would give the wait none, so that none of them took it."""
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    assert not sensor().start_from_trigger


def test_the_queues_url_may_be_another_tasks_result() -> None:
    """It is a template field like the others; a wrong one is refused when the file is parsed."""
    assert "xcom_pull" in rendered_there(sensor(event_queue_url=create()))["event_queue_url"]
    with pytest.raises(RequestError, match="event_queue_url"):
        sensor(task_id="other", event_queue_url="state-changes")
