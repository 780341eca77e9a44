"""A model beside the live one on a local AWS whose containers really serve: what clients see meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.operators.traffic_shift import ShiftTrafficOperator
from tests.support.classifier_account import REACHED, RECORDS, ClassifierAccount, create, wait
from tests.support.operator_cloud import operator_cloud
from tests.support.process_cloud import wait_until
from tests.support.task_run import TaskRun
from tests.support.traffic import Traffic, traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW, WRONG = 5, 4.5, 0
"""Thresholds of models: two that answer rightly, and one that calls everything long."""

AT_ONCE = {"bake_seconds": 0, "minimum_invocations": 1}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClassifierAccount]:
    """One local AWS for the tests of this module."""
    with operator_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield ClassifierAccount(cloud)


@dataclass
class Endpoint:
    """An endpoint that serves a model, and short ways to look at it."""

    account: ClassifierAccount
    name: str
    config: str

    def describe(self) -> dict[str, Any]:
        """Return what DescribeEndpoint says."""
        return dict(self.account.sagemaker.describe_endpoint(EndpointName=self.name))

    def weights(self) -> dict[str, float]:
        """Return the weights of its variants."""
        return {each["VariantName"]: each["CurrentWeight"] for each in self.describe()["ProductionVariants"]}

    def beside(self, threshold: float, run: TaskRun | None = None, **environment: str) -> dict[str, Any]:
        """Put another model beside the live one, and wait until it is there."""
        deployed = create(self.name, self.account.model(threshold, **environment), run, strategy="candidate")
        wait(deployed)
        return deployed

    @contextmanager
    def asked(self) -> Iterator[Traffic]:
        """Let clients ask it until the block ends."""
        with traffic(lambda: self.account.cloud.client("sagemaker-runtime"), self.name) as seen:
            seen.wait_for(5)
            yield seen


@pytest.fixture
def endpoint(account: ClassifierAccount) -> Endpoint:
    """An endpoint of its own for each test."""
    name = account.name()
    deployed = create(name, account.model(OLD), strategy="candidate")
    wait(deployed)
    return Endpoint(account, name, deployed["endpoint_config_name"])


def smoke_test(deployed: dict[str, Any], **changes: Any) -> Any:
    """Run the smoke test of a deployment."""
    settings = {"records": RECORDS, "label_column": "kind", "deployment": deployed, **REACHED, **changes}
    return TaskRun().of(InvokeSmokeTestOperator(task_id="smoke_test", **settings))


def shift_of(deployed: dict[str, Any], **changes: Any) -> ShiftTrafficOperator:
    """Make the task that shifts the traffic of a deployment."""
    return ShiftTrafficOperator(task_id="shift_traffic", deployment=deployed, **{**REACHED, **AT_ONCE, **changes})


def test_a_first_deployment_is_direct(endpoint: Endpoint) -> None:
    """There was nothing to stand beside, and nothing is left to shift."""
    assert endpoint.weights() == {"AllTraffic": 1.0}
    deployed = create(endpoint.name, "", strategy="direct", config=_same_as(endpoint))
    assert TaskRun().of(shift_of(deployed))["operation"] == "none"


def _same_as(endpoint: Endpoint) -> dict[str, Any]:
    described = endpoint.account.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint.config)
    [variant] = described["ProductionVariants"]
    del variant["InitialVariantWeight"]
    return {"ProductionVariants": [variant]}


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_good_candidate_takes_over_without_a_lost_request(endpoint: Endpoint, deferrable: bool) -> None:
    """Before the shift no client sees it; after it there is nothing else, under the name that it was meant to have."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW)
        report = smoke_test(deployed)
        assert (report["variant"], report["accuracy"]) == ("AllTraffic-candidate", 1.0)
        seen.wait_for(20)
        assert seen.variants() == {"AllTraffic"}
        result = TaskRun().of(shift_of(deployed, steps=[50, 100], deferrable=deferrable))
        seen.wait_for(20)
    assert seen.failures == []
    assert result["endpoint_config_name"] == deployed["candidate"]["final_config"]["EndpointConfigName"]
    assert endpoint.weights() == {"AllTraffic": 1.0}
    assert endpoint.describe()["EndpointConfigName"] == result["endpoint_config_name"]


@pytest.mark.parametrize("environment", [{}, {"BROKEN": "yes"}], ids=["wrong answers", "errors"])
def test_a_bad_candidate_is_seen_by_no_client(endpoint: Endpoint, environment: dict[str, str]) -> None:
    """The smoke test alone asks it, and the endpoint has its earlier configuration back."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(WRONG, **environment)
        with pytest.raises(AirflowFailException, match=rf"(?s)Live now: {endpoint.config}.*4 of 4 right"):
            smoke_test(deployed)
        seen.wait_for(20)
    assert seen.failures == []
    assert {body for _, body in seen.answers} == {json.dumps({"predictions": [{"label": "short"}]})}
    assert endpoint.describe()["EndpointConfigName"] == endpoint.config
