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
import structlog
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.traffic_shift import TrafficShift
from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.operators.traffic_shift import ShiftTrafficOperator
from sagemaker_byoc.restoration import Deployed
from sagemaker_byoc.traffic_shift import Tolerance
from sagemaker_byoc.triggers.claim import EndpointClaimTrigger
from tests.support.airflow_pipe import runs_are
from tests.support.classifier_account import REACHED, RECORDS, ClassifierAccount, create, wait
from tests.support.denied import denied
from tests.support.process_cloud import wait_until
from tests.support.task_run import TaskRun, event_of
from tests.support.traffic import Traffic, traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW, WRONG = 5, 4.5, 0
"""Thresholds of models: two that answer rightly, and one that calls everything long."""

AT_ONCE = {"bake_seconds": 0, "minimum_invocations": 1}


@dataclass
class Endpoint:
    """An endpoint that serves a model, and short ways to look at it."""

    account: ClassifierAccount
    name: str
    config: str

    def describe(self) -> dict[str, Any]:
        """Return what DescribeEndpoint says."""
        return dict(self.account.sagemaker.describe_endpoint(EndpointName=self.name))

    def is_the_old_models(self) -> bool:
        """Say whether it has its earlier configuration, and whether the earlier model is the one that answers."""
        runtime = self.account.cloud.client("sagemaker-runtime")
        body = f"length\n{(OLD + NEW) / 2}".encode()
        answers = [runtime.invoke_endpoint(EndpointName=self.name, Body=body)["Body"].read() for _ in range(20)]
        right = json.dumps({"predictions": [{"label": "short"}]}).encode()
        return set(answers) == {right} and self.describe()["EndpointConfigName"] == self.config

    def weights(self) -> dict[str, float]:
        """Return the weights of its variants."""
        return {each["VariantName"]: each["CurrentWeight"] for each in self.describe()["ProductionVariants"]}

    def tags(self, config_name: str) -> dict[str, str]:
        """Return the tags of an endpoint configuration."""
        sagemaker = self.account.sagemaker
        arn = sagemaker.describe_endpoint_config(EndpointConfigName=config_name)["EndpointConfigArn"]
        return {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}

    def beside(
        self, threshold: float, run: TaskRun | None = None, challenge: Any = None, **environment: str
    ) -> dict[str, Any]:
        """Put another model beside the live one, and wait until it is there."""
        model = self.account.model(threshold, **environment)
        deployed = create(self.name, model, run, strategy="candidate", challenge=challenge)
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
        deployed = endpoint.beside(WRONG, None, **environment)
        with pytest.raises(AirflowFailException, match=rf"(?s)Live now: {endpoint.config}.*4 of 4 right"):
            smoke_test(deployed)
        seen.wait_for(20)
    assert seen.failures == []
    assert {body for _, body in seen.answers} == {json.dumps({"predictions": [{"label": "short"}]})}
    assert endpoint.is_the_old_models()


@pytest.mark.way_back_row("a candidate fails more requests than it may, or is too slow, while it gets the traffic")
def test_a_candidate_that_fails_under_traffic_costs_its_share_alone(endpoint: Endpoint) -> None:
    """It passes the smoke test, and breaks down when clients ask: step, measure, limit and what is live are told."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW, TIRES_AFTER="6")
        smoke_test(deployed)
        before = seen.sent
        told = (
            rf"(?s)step 1 of 2 \(10% of the traffic\).*maximum_error_share.*Live now: {endpoint.config} \(InService\)"
        )
        with pytest.raises(AirflowFailException, match=told):
            TaskRun().of(shift_of(deployed, steps="10, 100", bake_seconds=30))
        during, failed = seen.sent - before, len(seen.failures)
        seen.wait_for(20)
    assert 0 < failed < 0.25 * during
    assert len(seen.failures) == failed
    assert endpoint.is_the_old_models()


@pytest.mark.way_back_row("a candidate fails more requests than it may, or is too slow, while it gets the traffic")
def test_a_candidate_that_is_too_slow_goes_back(endpoint: Endpoint) -> None:
    """Its answers are right, and no request is lost on the way."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW, SECONDS="0.3")
        smoke_test(deployed)
        with pytest.raises(AirflowFailException, match=r"ms on average over .* above maximum_latency_ms 100"):
            TaskRun().of(shift_of(deployed, maximum_latency_ms=100, bake_seconds=30))
        seen.wait_for(20)
    assert seen.failures == []
    assert endpoint.is_the_old_models()


def test_a_task_abandoned_in_the_middle_is_gone_on_with(endpoint: Endpoint) -> None:
    """The deferred task is cleared, and the one that creates the endpoint as well: the half share stays until then."""
    run = TaskRun()
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW, run)
        _kill_at_a_half(endpoint, deployed)
        assert create(endpoint.name, _model(deployed), run, strategy="candidate") == {**deployed, "operation": "none"}
        smoke_test(deployed)
        assert endpoint.weights() == {"AllTraffic": 0.5, "AllTraffic-candidate": 0.5}
        TaskRun(try_number=2).of(shift_of(deployed, steps=[50, 100]))
        seen.wait_for(20)
    assert seen.failures == []
    assert endpoint.describe()["EndpointConfigName"] == deployed["candidate"]["final_config"]["EndpointConfigName"]


WORKER = """\
import json, sys
from tests.integration.sagemaker_byoc.test_candidate import shift_of
from tests.support.task_run import TaskRun

TaskRun().of(shift_of(json.load(sys.stdin), steps=[50, 100], bake_seconds=600, deferrable=False))
"""


def _kill_at_a_half(endpoint: Endpoint, deployed: dict[str, Any]) -> None:
    """Start a process that shifts the traffic, and kill it at the first step."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, env=environment, text=True)
    try:
        assert worker.stdin is not None
        with worker.stdin as stdin:
            json.dump(deployed, stdin)
        wait_until(lambda: endpoint.weights()["AllTraffic-candidate"], "the candidate has its half", 60.0)
    finally:
        worker.kill()
        worker.wait()


def _model(deployed: dict[str, Any]) -> str:
    return str(deployed["candidate"]["final_config"]["ProductionVariants"][0]["ModelName"])


def test_a_way_back_that_was_begun_is_gone_on_with(endpoint: Endpoint) -> None:
    """The task is deferred for it and then lost; the next try neither shifts again nor forgets why."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW, TIRES_AFTER="6")
        smoke_test(deployed)
        operator = shift_of(deployed, steps="50, 100", bake_seconds=30)
        with pytest.raises(TaskDeferred) as deferral:
            operator.execute(TaskRun().context)
        event = event_of(deferral.value.trigger)
        assert endpoint.weights()["AllTraffic-candidate"] == 0
        with pytest.raises(TaskDeferred):
            operator.shift_complete(TaskRun().context, event)
        with pytest.raises(AirflowFailException, match=r"(?s)An earlier try ended so: .*step 1 of 2.*Live now: "):
            TaskRun(try_number=2).of(shift_of(deployed, steps="50, 100"))
        failed = len(seen.failures)
        seen.wait_for(20)
    assert len(seen.failures) == failed
    assert endpoint.is_the_old_models()


def test_a_later_deployment_stands_beside_what_has_traffic(endpoint: Endpoint) -> None:
    """A candidate that nobody shifted anything to is left out, so that they do not pile up."""
    endpoint.beside(4.4)
    deployed = endpoint.beside(4.6)
    assert endpoint.weights() == {"AllTraffic": 1.0, "AllTraffic-candidate": 0.0}
    smoke_test(deployed)
    TaskRun().of(shift_of(deployed))
    assert endpoint.weights() == {"AllTraffic": 1.0}


def test_the_champion_is_the_model_that_a_candidate_stands_beside(endpoint: Endpoint) -> None:
    """Until it has the endpoint; a version that was approved later and is not live is none, either."""
    group = endpoint.name
    endpoint.account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    live, candidate = (register(endpoint, job) for job in ("live", "candidate"))
    direct = create(endpoint.name, endpoint.account.model(4.8), exclusive=False, challenge=live)
    wait(direct)
    smoke_test(direct)
    deployed = endpoint.beside(NEW, challenge=candidate)
    smoke_test(deployed)
    approve(endpoint, register(endpoint, "elsewhere"))
    assert champion(endpoint) == arn_of(live)
    TaskRun().of(shift_of(deployed))
    assert champion(endpoint) == arn_of(candidate)


def register(endpoint: Endpoint, job: str) -> dict[str, Any]:
    """Register what a job made in the endpoint's group; return the verdict of a gate that let it pass."""
    properties = {"training_job": job, "metric:accuracy": "0.9"}
    container = {"Image": endpoint.account.image, "ModelDataUrl": "s3://models/model.tar.gz"}
    answer = endpoint.account.sagemaker.create_model_package(
        ModelPackageGroupName=endpoint.name,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties=properties,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": [],
            "SupportedResponseMIMETypes": [],
        },
    )
    challenger = {"training_job_name": job, "model_package_group": endpoint.name}
    challenger["model_package_arn"] = answer["ModelPackageArn"]
    return {"reasons": [], "champion": None, "challenger": challenger, "comparison": []}


def arn_of(verdict: dict[str, Any]) -> str:
    """Return the version that a verdict is about."""
    return str(verdict["challenger"]["model_package_arn"])


def approve(endpoint: Endpoint, verdict: dict[str, Any]) -> None:
    """Approve a version without deploying it."""
    changed = {"ModelPackageArn": arn_of(verdict), "ModelApprovalStatus": "Approved"}
    endpoint.account.sagemaker.update_model_package(**changed)


def champion(endpoint: Endpoint) -> str:
    """Return the version that the next run has to beat."""
    operator = EvaluateChallengerOperator(
        task_id="evaluate",
        training_job={"training_job_name": "next", "metrics": {"accuracy": 0.9}},
        model_package_group=endpoint.name,
        criteria={"accuracy": "maximize"},
        endpoint_name=endpoint.name,
        aws_conn_id=None,
    )
    return str(TaskRun().of(operator)["champion"]["model_package_arn"])


def test_the_next_run_waits_until_the_shift_is_over(endpoint: Endpoint) -> None:
    """The endpoint stays this run's after the smoke test, until the candidate has it or has lost it."""
    with runs_are({TaskRun().run_id: "running", "later": "running"}):
        deployed = endpoint.beside(NEW)
        smoke_test(deployed)
        with pytest.raises(TaskDeferred) as deferral:
            _create_later(endpoint)
        assert isinstance(deferral.value.trigger, EndpointClaimTrigger)
        TaskRun().of(shift_of(deployed))
        assert _create_later(endpoint)["previous_endpoint_config_name"] == endpoint.describe()["EndpointConfigName"]


def _create_later(endpoint: Endpoint) -> Any:
    """Deploy for another run, up to where the task waits."""
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    operator = CreateEndpointOperator(
        task_id="create_endpoint",
        endpoint_name=endpoint.name,
        model_name=endpoint.account.model(4.7),
        config={"ProductionVariants": [variant]},
        **REACHED,
    )
    return operator.execute(TaskRun(run_id="later").context)


def test_tasks_that_are_cleared_after_the_promotion_find_it(endpoint: Endpoint) -> None:
    """The wait and the test take what it has become for what they were to see; the shift has nothing to do."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW)
        smoke_test(deployed)
        final = TaskRun().of(shift_of(deployed))["endpoint_config_name"]
        assert wait(deployed)["endpoint_config_name"] == final
        report = smoke_test(deployed)
        assert (report["variant"], report["accuracy"]) == ("AllTraffic", 1.0)
        assert TaskRun(max_tries=5, try_number=4).of(shift_of(deployed))["operation"] == "shift"
        seen.wait_for(20)
    assert seen.failures == []
    assert endpoint.describe()["EndpointConfigName"] == final


def test_a_promoted_model_whose_test_is_cleared_and_fails_goes_back(endpoint: Endpoint) -> None:
    """To what was live before the candidate came."""
    deployed = endpoint.beside(NEW)
    smoke_test(deployed)
    final = TaskRun().of(shift_of(deployed))["endpoint_config_name"]
    told = rf"(?s)accuracy 0.500.*Live now: {endpoint.config} \(InService\)"
    with pytest.raises(AirflowFailException, match=told):
        smoke_test(deployed, records=[{"length": 1, "kind": "short"}, {"length": 2, "kind": "long"}])
    assert endpoint.describe()["EndpointConfigName"] == endpoint.config
    assert endpoint.tags(final)["smoke_test"].startswith("failed: ")


@pytest.mark.way_back_row("the shift of a candidate's traffic breaks off, or AWS takes its last update back")
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_promotion_that_aws_takes_back_takes_the_candidate_away(endpoint: Endpoint, deferrable: bool) -> None:
    """Its new instances do not start; no request is lost, and one fleet is left."""
    with endpoint.asked() as seen:
        deployed = _beside_for_once(endpoint)
        told = rf"(?s)update of endpoint .* failed.*had 100% of the traffic.*Live now: {endpoint.config} \(InService\)"
        with pytest.raises(AirflowFailException, match=told):
            TaskRun().of(shift_of(deployed, deferrable=deferrable))
        seen.wait_for(20)
    assert seen.failures == []
    assert endpoint.weights() == {"AllTraffic": 1.0}
    final = deployed["candidate"]["final_config"]["EndpointConfigName"]
    assert endpoint.tags(final)["smoke_test"].startswith("failed: traffic shift: ")


def test_another_try_finds_that_aws_took_the_promotion_back(endpoint: Endpoint) -> None:
    """The one that sent it was lost, and the endpoint looks as it did before; it is not told the same again."""
    deployed = _beside_for_once(endpoint)
    shift = _shift_hook(deployed)
    wait_until(lambda: shift.advance() or "PendingDeploymentSummary" in endpoint.describe(), "it is promoted", 60.0)
    wait_until(lambda: endpoint.describe()["EndpointStatus"] == "InService", "AWS takes it back", 60.0)
    assert endpoint.weights()["AllTraffic"] == 0.0
    with pytest.raises(AirflowFailException, match=rf"(?s)update of endpoint .* failed.*Live now: {endpoint.config}"):
        TaskRun(try_number=2).of(shift_of(deployed))
    assert endpoint.weights() == {"AllTraffic": 1.0}


def _beside_for_once(endpoint: Endpoint) -> dict[str, Any]:
    """Put a model beside the live one that cannot be started a second time."""
    deployed = endpoint.beside(NEW)
    smoke_test(deployed)
    endpoint.account.cloud.client("s3").delete_object(Bucket="models", Key=f"{_model(deployed)}/model.tar.gz")
    return deployed


def _shift_hook(given: dict[str, Any]) -> TrafficShift:
    """Return what shifts the traffic, without the task around it."""
    deployed = Deployed.of(given)
    assert deployed is not None
    assert deployed.candidate is not None
    log = structlog.get_logger()
    return TrafficShift(AwsConnection(aws_conn_id=None), deployed, deployed.candidate, Tolerance(), log)


DENIED = ["GetMetricData", "UpdateEndpointWeightsAndCapacities"]


@pytest.mark.way_back_row("the shift of a candidate's traffic breaks off, or AWS takes its last update back")
@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("operation", DENIED)
def test_a_shift_without_a_permission_goes_back(endpoint: Endpoint, operation: str, deferrable: bool) -> None:
    """The half that the candidate has would be watched by nobody; no request is lost."""
    with endpoint.asked() as seen:
        deployed = endpoint.beside(NEW)
        smoke_test(deployed)
        _kill_at_a_half(endpoint, deployed)
        told = rf"(?s)broke off.*not authorized to perform: {operation}.*Live now: {endpoint.config} \(InService\)"
        with denied(operation), pytest.raises(AirflowFailException, match=told):
            TaskRun(try_number=2).of(shift_of(deployed, steps=[50, 100], deferrable=deferrable))
        seen.wait_for(20)
    assert seen.failures == []
    assert endpoint.weights() == {"AllTraffic": 1.0}


def test_a_shift_that_may_not_update_takes_the_traffic_back(endpoint: Endpoint) -> None:
    """That needs another permission; what is live is told, with the share that the candidate has left."""
    deployed = endpoint.beside(NEW)
    smoke_test(deployed)
    _kill_at_a_half(endpoint, deployed)
    told = rf"(?s)way back failed: .*UpdateEndpoint.*Live now: {deployed['endpoint_config_name']} .* gets 0% of the"
    with denied("GetMetricData", "UpdateEndpoint"), pytest.raises(AirflowFailException, match=told):
        TaskRun(try_number=2).of(shift_of(deployed, steps=[50, 100]))
    assert endpoint.weights() == {"AllTraffic": 1.0, "AllTraffic-candidate": 0.0}
