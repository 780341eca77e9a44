"""Buttons that lead from a task to the AWS console."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.comms import XComResult
from airflow.serialization.serialized_objects import DagSerialization

from sagemaker_byoc.links import EndpointLink, LogLink, ModelLink, TrainingJobLink
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.model import CreateModelOperator
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator
from sagemaker_byoc.sensors.training_job import TrainingJobSensor

LINKS = [TrainingJobLink, ModelLink, EndpointLink, LogLink]


@pytest.mark.parametrize("link", LINKS)
def test_an_address_is_pushed_where_airflow_looks_for_it(link: type[TrainingJobLink]) -> None:
    """The button works while the task still runs: Airflow's web server reads this XCom."""
    pushed: dict[str, Any] = {}
    context = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}
    link().push(context, "https://console")
    assert pushed == {f"_link_{link.__name__}": "https://console"}


def test_the_texts_on_the_buttons_differ() -> None:
    """Airflow keeps buttons by their text."""
    assert len({link().name for link in LINKS}) == len(LINKS)


@pytest.mark.parametrize("stored", ["https://console", None])
def test_airflow_gets_the_pushed_address_at_the_end_of_the_task(
    stored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow stores what the link returns over what was pushed; a task that pushed nothing gives no address."""
    asked: list[dict[str, Any]] = []

    def send(message: Any) -> Any:
        asked.append(message.model_dump())
        return XComResult(key=message.key, value=stored)

    pipe = SimpleNamespace(send=send)
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", pipe, raising=False)
    key: Any = SimpleNamespace(dag_id="retrain", task_id="wait", run_id="manual__1", map_index=-1)
    operator: Any = None
    assert TrainingJobLink().get_link(operator, ti_key=key) == (stored or "")
    assert asked[0]["key"] == "_link_TrainingJobLink"
    assert asked[0]["task_id"] == "wait"


def test_the_buttons_survive_serialisation_without_a_registered_provider() -> None:
    """Airflow 3 keeps text and XCom key only, so a deployment that ships just the plugins folder shows them too."""
    with DAG("retrain", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        CreateTrainingJobOperator(task_id="create", config={})
        TrainingJobSensor(task_id="wait", training_job_name="job")
        CreateModelOperator(task_id="model", training_job="job", config={})
        CreateEndpointOperator(task_id="endpoint", endpoint_name="iris", model_name="model", config={})
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    buttons = {task.task_id: {link.name for link in task.operator_extra_links} for task in again.tasks}
    assert buttons["create"] == buttons["wait"] == {"SageMaker training job", "CloudWatch log"}
    assert buttons["model"] == {"SageMaker model"}
    assert "SageMaker endpoint" in buttons["endpoint"]


def test_operators_serialise_with_their_templates() -> None:
    """The web server shows the rendered config, and a config is templated in every corner."""
    with DAG("retrain", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc)) as dag:
        CreateTrainingJobOperator(task_id="create", config={"RoleArn": "{{ var.value.role }}"})
    [task] = DagSerialization.from_dict(DagSerialization.to_dict(dag)).tasks
    assert "config" in task.template_fields
    assert task.template_fields_renderers["config"] == "json"
