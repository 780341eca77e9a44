"""Runs that race for one endpoint of a local AWS, each a thread with the tasks of a DAG."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sagemaker_byoc.claim import Contender, Holder, name_filter
from sagemaker_byoc.hooks.claim import ClaimHook
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from tests.support.airflow_pipe import runs_are
from tests.support.process_cloud import wait_until
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.classifier_account import ClassifierAccount

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
DAYS = range(10)
NEWEST = max(DAYS)
RECORDS = [{"length": 1, "kind": "short"}, {"length": 9, "kind": "long"}]
REACHED: dict[str, Any] = {"aws_conn_id": None}
ON_WORKER: dict[str, Any] = {
    **REACHED,
    "deferrable": False,
    "execution_timeout": timedelta(hours=1),
    "poll_interval_seconds": 0.05,
}


@dataclass
class Race:
    """Runs of one DAG on one endpoint, known by the day of their data.

    :param states: of the runs, as Airflow has them
    :param bad: days whose model answers wrongly
    :param proven: days whose model passed the smoke test, in that order
    :param failed: what the smoke test of a bad day's model said
    """

    account: ClassifierAccount
    endpoint_name: str
    bad: Sequence[int] = ()
    states: dict[str, Any] = field(default_factory=dict)
    proven: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def run(self, day: int, *, label: str = "kind") -> None:
        """Be one run, from the deployment to the smoke test.

        :param label: a column that the records do not have makes the smoke test fail
        """
        name = f"day-{day}"
        self.states[name] = "running"
        try:
            self._deploy(TaskRun(run_id=name, logical_date=BEGIN + timedelta(days=day)), label)
            self.proven.append(day)
        except AirflowSkipException as skip:
            self.skipped[day] = str(skip)
        except AirflowFailException as failure:
            if day not in self.bad:
                raise
            self.failed[day], self.states[name] = str(failure), "failed"

    def _deploy(self, run: TaskRun, label: str) -> None:
        day = int(run.run_id.removeprefix("day-"))
        model = self.account.model(0 if day in self.bad else threshold(day))
        variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        settings = {"endpoint_name": self.endpoint_name, "model_name": model, **ON_WORKER}
        config = {"ProductionVariants": [variant]}
        deployed = run.of(CreateEndpointOperator(task_id="create_endpoint", config=config, **settings))
        run.of(EndpointSensor(task_id="wait_for_endpoint", endpoint=deployed, retries=1, **ON_WORKER))
        test = InvokeSmokeTestOperator(
            task_id="smoke_test",
            deployment=deployed,
            records=RECORDS,
            label_column=label,
            **ON_WORKER,
        )
        run.of(test)

    def all_at_once(self, days: list[int]) -> None:
        """Run these days at the same time; raise what one of them raised."""
        with runs_are(self.states), ThreadPoolExecutor(len(days)) as pool:
            list(pool.map(self.run, days))

    def answers_as(self, day: int) -> bool:
        """Ask the endpoint what the model of this day alone says, and look whether its data date says the same."""
        just_below, just_above = threshold(day) - 0.005, threshold(day) + 0.005
        body = f"length\n{just_below}\n{just_above}".encode()
        runtime = self.account.cloud.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=self.endpoint_name, Body=body, ContentType="text/csv")
        labels = [each["label"] for each in json.loads(answer["Body"].read())["predictions"]]
        return labels == ["short", "long"] and self.live_date() == f"{BEGIN + timedelta(days=day):%Y-%m-%d}"

    def live_date(self) -> str:
        """Return the date of the data of the model that serves."""
        sagemaker = self.account.sagemaker
        live = sagemaker.describe_endpoint(EndpointName=self.endpoint_name)["EndpointConfigName"]
        arn = sagemaker.describe_endpoint_config(EndpointConfigName=live)["EndpointConfigArn"]
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        return str(tags["data_date"][:10])

    def queue(self) -> list[str]:
        """Return the names of claims and tickets."""
        found = self.account.sagemaker.list_endpoint_configs(
            NameContains=name_filter(self.endpoint_name), MaxResults=100
        )
        return [config["EndpointConfigName"] for config in found["EndpointConfigs"]]

    @property
    def hook(self) -> ClaimHook:
        """The queue, for a run of another DAG."""
        return ClaimHook(AwsConnection(aws_conn_id=None), self.endpoint_name)


def threshold(day: int) -> float:
    """Return where the model of a day begins to call things long: no two days' models answer alike."""
    return 2 + day / 100


@pytest.fixture
def race(account: ClassifierAccount) -> Race:
    """An endpoint that nobody has deployed to."""
    return Race(account, account.name())


def test_of_ten_racing_runs_the_newest_is_live_at_the_end(race: Race) -> None:
    """None is overtaken between its deployment and its smoke test, and none is replaced by an older one."""
    days = random.sample(DAYS, len(DAYS))
    race.all_at_once(days)
    assert sorted([*race.proven, *race.skipped]) == list(DAYS), days
    assert race.proven == sorted(race.proven), days
    assert race.proven[-1] == NEWEST
    assert race.answers_as(NEWEST)
    assert len(race.queue()) == 1, "the last claim"


@pytest.mark.way_back_row("ten runs of a backfill race, and the newest model is bad")
def test_of_ten_racing_runs_whose_newest_is_bad_the_next_one_is_live_at_the_end(race: Race) -> None:
    """The bad one puts back what it replaced, whichever that was; those that were skipped tell the newer model."""
    race.all_at_once([min(DAYS)])
    race.bad = [NEWEST]
    days = random.sample(DAYS[1:], len(DAYS) - 1)
    race.all_at_once(days)
    assert sorted([*race.proven, *race.skipped, *race.failed]) == list(DAYS), days
    assert race.proven == sorted(race.proven), days
    assert race.answers_as(NEWEST - 1), days
    assert "accuracy 0.500" in race.failed[NEWEST]
    assert "It was live before this deployment. It answers: " in race.failed[NEWEST]
    assert all("2026-01-" in why for why in race.skipped.values())


def test_of_ten_runs_that_wait_only_the_newest_deploys(race: Race) -> None:
    """The others find its model live when their turn has come, and are skipped."""
    other = Holder.of_run("other_dag", "its run")
    race.states["its run"] = "running"
    model = race.account.model(3)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    contender = Contender.of(race.endpoint_name, other, {"ProductionVariants": [variant]}, [], None)
    assert race.hook.take(contender, race.hook.look()) == 1
    with ThreadPoolExecutor(1) as pool:
        racing = pool.submit(race.all_at_once, list(DAYS))
        wait_until(lambda: len(race.queue()) == 1 + len(DAYS), "all runs have put up their tickets")
        race.hook.give_back(other.key)
        racing.result()
    assert race.proven == [NEWEST]
    assert sorted(race.skipped) == list(DAYS)[:-1]
    assert race.answers_as(NEWEST)


def test_a_run_that_was_killed_holds_up_nobody(race: Race) -> None:
    """Its claim is left behind as soon as Airflow says that the run is over."""
    with runs_are(race.states), ThreadPoolExecutor(1) as pool:
        with pytest.raises(AirflowFailException):
            race.run(1, label="no such column")
        race.states["day-1"] = "failed"
        # As if the worker had died in the smoke test: nothing was given back.
        race.states["day-2"] = "running"
        model = race.account.model(4)
        variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        killed = CreateEndpointOperator(
            task_id="create_endpoint",
            endpoint_name=race.endpoint_name,
            model_name=model,
            config={"ProductionVariants": [variant]},
            **ON_WORKER,
        )
        TaskRun(run_id="day-2", logical_date=BEGIN + timedelta(days=2)).of(killed)
        waiting = pool.submit(race.run, 3)
        wait_until(lambda: any("-wait-" in name for name in race.queue()), "the next run waits")
        assert not waiting.done()
        race.states["day-2"] = "failed"
        waiting.result()
    assert race.proven == [3]
    assert race.answers_as(3)
