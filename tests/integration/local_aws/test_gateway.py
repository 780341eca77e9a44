"""The front door over HTTP: what goes to whom, and how the whole goes down."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.exceptions
import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.local_cloud import LocalCloud, local_cloud
from tests.support.training import TrainingAccount, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One local AWS for the tests of this module."""
    with local_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


def test_health_tells_engine_region_and_services(cloud: LocalCloud) -> None:
    """Whoever waits for the local AWS sees at once what it is."""
    with _OPENER.open(f"{cloud.endpoint_url}/_local/health") as answer:
        health = json.loads(answer.read())

    assert (health["status"], health["engine"], health["region"]) == ("ready", "fake", "us-east-1")
    assert "sagemaker" in health["services"]


def test_the_price_list_is_there_and_empty(cloud: LocalCloud) -> None:
    """Whoever asks what something costs learns that nothing here has a price."""
    answer = cloud.client("pricing").get_products(ServiceCode="AmazonSageMaker", Filters=[])
    assert (answer["FormatVersion"], answer["PriceList"]) == ("aws_v1", [])
    with pytest.raises(botocore.exceptions.ClientError, match="UnknownOperationException"):
        cloud.client("pricing").describe_services()


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/data.json", "/moto-api/reset", "/moto-api"])
def test_motos_control_route_is_closed(cloud: LocalCloud, path: str) -> None:
    """It would list secret keys and could wipe everything."""
    for method in ("GET", "POST"):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            _OPENER.open(urllib.request.Request(cloud.endpoint_url + path, method=method))
        assert refusal.value.code == 403
        refusal.value.close()


def test_objects_come_back_as_they_went(cloud: LocalCloud) -> None:
    """Odd keys, metadata with underscores and a body of several parts survive."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="objects")
    body = os.urandom(9 * 1024 * 1024)
    for key in ("plain", "a b+c/ü%2F.csv", "endpoints/x/invocations"):
        s3.put_object(Bucket="objects", Key=key, Body=b"1", Metadata={"my_key": "v"})
        assert s3.head_object(Bucket="objects", Key=key)["Metadata"] == {"my_key": "v"}
    path = Path(cloud.state_dir) / "large"
    path.write_bytes(body)

    s3.upload_file(str(path), "objects", "large")

    assert s3.get_object(Bucket="objects", Key="large")["Body"].read() == body


def test_many_writers_do_not_disturb_one_another(cloud: LocalCloud) -> None:
    """Logs, metrics and events written from sixteen threads at once are all there."""
    logs, cloudwatch, iam = (cloud.client(name) for name in ("logs", "cloudwatch", "iam"))
    logs.create_log_group(logGroupName="busy")

    def write(number: int) -> None:
        logs.create_log_stream(logGroupName="busy", logStreamName=f"s{number}")
        event = {"timestamp": 1_700_000_000_000, "message": "m"}
        logs.put_log_events(logGroupName="busy", logStreamName=f"s{number}", logEvents=[event])
        logs.describe_log_streams(logGroupName="busy")
        cloudwatch.put_metric_data(Namespace="busy", MetricData=[{"MetricName": f"m{number}", "Value": 1.0}])
        cloudwatch.list_metrics(Namespace="busy")
        iam.create_user(UserName=f"user{number}")
        iam.list_users()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(24)))

    assert len(logs.describe_log_streams(logGroupName="busy", limit=50)["logStreams"]) == 24
    assert len(iam.list_users()["Users"]) == 24


def test_an_operation_that_is_missing_is_named(cloud: LocalCloud) -> None:
    """A boto3 user learns what the local AWS lacks, without retries."""
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        cloud.client("sagemaker").list_hubs()

    error = refusal.value.response["Error"]
    assert error["Code"] == "UnknownOperationException"
    assert "ListHubs" in error["Message"]


def test_going_down_ends_running_jobs_quickly(tmp_path: Path) -> None:
    """A container that ignores SIGTERM is gone when the local AWS is, and nothing of the job stays on disk."""
    engine = FakeEngine(tmp_path)
    with local_cloud(tmp_path, engine=engine, stop_grace_seconds=120) as cloud:
        account = TrainingAccount(cloud)
        name = account.create("signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)")
        wait_for(lambda: account.log(name) == ["up"])

    assert [container.wait(0) is None for container in engine.containers] == [False]
    assert not (tmp_path / "state" / "training" / name).exists()


def test_a_second_local_aws_in_a_process_starts_empty(tmp_path: Path) -> None:
    """Nothing of an earlier one is left in moto."""
    for number in range(2):
        with local_cloud(tmp_path / str(number)) as cloud:
            assert cloud.client("s3").list_buckets()["Buckets"] == []
            cloud.client("s3").create_bucket(Bucket="left-over")
