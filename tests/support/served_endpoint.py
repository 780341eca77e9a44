"""An endpoint that serves a good model, what is done to it, and whether the good model answers in the end."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.operators.restore import RestoreEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from tests.support.classifier_account import REACHED, RECORDS, create, wait
from tests.support.process_cloud import wait_until
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.classifier_account import ClassifierAccount

__all__ = [
    "ANOTHER",
    "GOOD",
    "LIVE_AGAIN",
    "SILENT",
    "WRONG",
    "Served",
    "fails",
    "instances",
    "restore",
    "served_endpoint",
    "smoke_test_of",
]

GOOD, ANOTHER, WRONG, SILENT = 5, 4.5, 0, -1
"""Thresholds of models: two that answer the smoke test rightly, one half wrongly, and one not at all."""

ONLY_GOOD = {"4.9": "short", "5.1": "long"}
"""What of all these models the good one alone says."""

LIVE_AGAIN = r"(?s)Live now: {} \(InService\). It was live before this deployment. It answers: .*4 of 4 right"


@dataclass
class Served:
    """An endpoint that serves a good model.

    :param model: the model's name
    :param config: the endpoint configuration's name
    """

    account: ClassifierAccount
    name: str
    model: str
    config: str

    def answers_rightly(self) -> bool:
        """Ask the endpoint what only the good model knows, often enough to meet each of its instances."""
        answers = [self.ask() for _ in range(40)]
        return answers == [list(ONLY_GOOD.values())] * len(answers) and self.target() == self.config

    def ask(self) -> list[str]:
        """Ask once what tells the good model from every other."""
        body = "\n".join(["length", *ONLY_GOOD]).encode()
        runtime = self.account.cloud.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=self.name, Body=body, ContentType="text/csv")
        return [each["label"] for each in json.loads(answer["Body"].read())["predictions"]]

    def meets_another(self) -> bool:
        """Ask once, and tell whether it was another model that answered."""
        return self.ask() != list(ONLY_GOOD.values())

    def describe(self) -> dict[str, Any]:
        """Return what DescribeEndpoint says."""
        return dict(self.account.sagemaker.describe_endpoint(EndpointName=self.name))

    def target(self) -> str:
        """Return the configuration that the endpoint has, or is being given."""
        described = self.describe()
        return str(described.get("PendingDeploymentSummary", described)["EndpointConfigName"])

    def stage(self) -> str:
        """Return what the endpoint says about the variant that is being deployed; empty when none is."""
        pending = self.describe().get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
        return str(pending[0]["VariantStatus"][0]["StatusMessage"]) if pending else ""

    def until_settled(self) -> dict[str, Any]:
        """Wait until nothing changes the endpoint any more; return what DescribeEndpoint says then."""
        moving = ("Creating", "Updating", "RollingBack")

        def look() -> dict[str, Any] | None:
            described = self.describe()
            return described if described["EndpointStatus"] not in moving else None

        return dict(wait_until(look, f"{self.name} has settled", 60.0))

    def delete_all(self) -> None:
        """Delete configuration and model, as somebody does who cleans up."""
        self.account.sagemaker.delete_endpoint_config(EndpointConfigName=self.config)
        self.account.sagemaker.delete_model(ModelName=self.model)

    def delete_endpoint(self) -> None:
        """Delete the endpoint, and wait until it is gone."""
        self.account.sagemaker.delete_endpoint(EndpointName=self.name)
        wait_until(lambda: not self.exists(), f"{self.name} is gone")

    def exists(self) -> bool:
        """Say whether there is an endpoint of that name."""
        found = self.account.sagemaker.list_endpoints(NameContains=self.name)["Endpoints"]
        return self.name in [each["EndpointName"] for each in found]

    def deploy(self, threshold: float, run: TaskRun | None = None, **environment: str) -> dict[str, Any]:
        """Deploy another model, whoever has the endpoint to itself, and wait until it is live."""
        deployed = create(self.name, self.account.model(threshold, **environment), run, exclusive=False)
        wait(deployed)
        return deployed


def served_endpoint(account: ClassifierAccount, count: int = 1) -> Served:
    """Deploy the good model to an endpoint of its own.

    :param count: of instances
    """
    name, model = account.name(), account.model(GOOD)
    deployed = create(name, model, config=instances(count))
    wait(deployed)
    return Served(account, name, model, deployed["endpoint_config_name"])


def instances(count: int) -> dict[str, Any]:
    """Return the configuration of a variant with so many instances."""
    return {"ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": count}]}


def smoke_test_of(deployed: dict[str, Any], **changes: Any) -> InvokeSmokeTestOperator:
    """Make the smoke test of a deployment."""
    settings = {"records": RECORDS, "label_column": "kind", "deployment": deployed, **REACHED, **changes}
    return InvokeSmokeTestOperator(task_id="smoke_test", **settings)


def restore(deployed: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Run the task that puts back what was live."""
    settings = {"deployment": deployed, **REACHED, **changes}
    return TaskRun().of(RestoreEndpointOperator(task_id="restore_endpoint", **settings))


@contextmanager
def fails(message: str) -> Iterator[pytest.ExceptionInfo[AirflowFailException]]:
    """Expect a failure that no retry follows."""
    with pytest.raises(AirflowFailException, match=message) as caught:
        yield caught
