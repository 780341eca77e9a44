"""Models that tell who they are, runs that deploy them, and what the endpoint answers in the end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_stack.errors import StackError
from tests.e2e.probe import Run, aws, until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local_stack.stack import Stack

VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


@dataclass
class Models:
    """Makes models of one image.

    :param image: of ``tests/e2e/container``
    """

    stack: Stack
    image: str

    def of_days(self, base: str, days: Iterable[int], kind: str = "short") -> str:
        """Make a model for the data of each of these days of January, as ``deploy_probe.py`` names it.

        :param kind: what they answer; ``none`` keeps them from serving
        :return: the base
        """
        for day in days:
            self.make(f"{base}-202601{day:02d}", kind)
        return base

    def make(self, name: str, kind: str = "short") -> None:
        """Make a model."""
        container = {"Image": self.image, "Environment": {"NAME": name, "KIND": kind}}
        role: str = self.stack.account.settings["role_arn"]
        aws(self.stack, "sagemaker").create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)


def answering_model(stack: Stack, endpoint: str) -> str:
    """Ask an endpoint, and return the name of the model that answered."""
    answer = aws(stack, "sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"length\n1")
    [prediction] = json.loads(answer["Body"].read())["predictions"]
    return str(prediction["model"])


def answering_models(stack: Stack, endpoint: str) -> set[str]:
    """Ask an endpoint so often that whoever has half of its traffic answers."""
    return {answering_model(stack, endpoint) for _ in range(40)}


def backfill(stack: Stack, dag_id: str, first: int, last: int, **params: Any) -> None:
    """Start runs for the data of these days of January, ten at once."""
    until(lambda: stack.airflow.has_dag(dag_id), f"the DAG {dag_id} is found")
    body = {
        "dag_id": dag_id,
        "from_date": f"2026-01-{first:02d}T00:00:00Z",
        "to_date": f"2026-01-{last:02d}T00:00:00Z",
        "max_active_runs": 10,
        "dag_run_conf": params,
    }

    def begins() -> bool:
        try:
            stack.airflow.call("POST", "/backfills", json=body)
        except StackError as error:
            # The scheduler was writing to SQLite, or has not yet closed an earlier backfill; Airflow has made nothing.
            if "Database is locked" not in str(error) and "already a running backfill" not in str(error):
                raise
            return False
        return True

    until(begins, f"a backfill of {dag_id} begins")


def ended(stack: Stack, dag_id: str, *states: str) -> list[Run]:
    """Return the DAG's runs in the order of their data, once there are so many and all have ended in these states."""

    def look() -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = stack.airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        over = [run for run in runs if run["state"] in ("success", "failed")]
        return over if len(over) == len(states) else []

    what = f"{len(states)} runs of {dag_id} end"
    runs = sorted(until(look, what, 400), key=lambda run: str(run["logical_date"]))
    assert [run["state"] for run in runs] == list(states)
    return [Run(stack, dag_id, run["dag_run_id"]) for run in runs]


@dataclass
class Shift:
    """A run that shifts the traffic of an endpoint of its own from the model ``old`` to the model ``new``.

    :param endpoint: name of the endpoint, and of the configuration that it had before
    """

    run: Run
    endpoint: str

    @classmethod
    def start(cls, stack: Stack, endpoint: str) -> Shift:
        """Create the endpoint as somebody else would, and start a run of ``shift_probe.py``."""
        sagemaker = aws(stack, "sagemaker")
        variants = [{**VARIANT, "ModelName": "old"}]
        sagemaker.create_endpoint_config(EndpointConfigName=endpoint, ProductionVariants=variants)
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
        return cls(Run.start(stack, "shift_probe", endpoint=endpoint, model="new"), endpoint)

    def until_half(self) -> Shift:
        """Wait until the candidate has its half of the traffic, and the task waits in the triggerer."""
        self.run.wait_for_task("shift_traffic", "deferred")
        until(lambda: self.half(), f"the traffic of {self.endpoint} is at half")
        return self

    def half(self) -> bool:
        """Say whether each of the two models has half of the traffic."""
        variants = self.describe()["ProductionVariants"]
        weights = {each["VariantName"]: each["CurrentWeight"] for each in variants}
        return weights == {"AllTraffic": 0.5, "AllTraffic-candidate": 0.5}

    def stays_at_half(self) -> bool:
        """Say whether both models answer, and nothing is about to change that."""
        settled = self.describe()["EndpointStatus"] == "InService" and self.half()
        return settled and answering_models(self.run.stack, self.endpoint) == {"old", "new"}

    def is_over(self) -> bool:
        """Say whether the new model has the endpoint to itself."""
        alone = [each["VariantName"] for each in self.describe()["ProductionVariants"]] == ["AllTraffic"]
        return alone and answering_models(self.run.stack, self.endpoint) == {"new"}

    def describe(self) -> dict[str, Any]:
        """Return what DescribeEndpoint says."""
        return dict(aws(self.run.stack, "sagemaker").describe_endpoint(EndpointName=self.endpoint))
