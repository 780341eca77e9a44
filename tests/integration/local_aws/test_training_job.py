"""Training jobs over HTTP with small programs in place of containers."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.local_cloud import local_cloud
from tests.support.training import BUCKET, TrainingAccount, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAIT_FOR_SIGTERM = """
def on_term(*_):
    (model / "saved.txt").write_text("on SIGTERM")
    sys.exit(143)
signal.signal(signal.SIGTERM, on_term)
print("waiting", flush=True)
while True: time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingAccount]:
    """One local AWS for the tests of this module."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), stop_grace_seconds=1.0) as cloud:
        yield TrainingAccount(cloud)


def test_describe_shows_the_request_with_aws_defaults(account: TrainingAccount) -> None:
    """What was asked comes back, with the defaults that AWS fills in and without the tags."""
    job = account.run(
        HyperParameters={"epochs": "3"},
        Environment={"MODE": "fast"},
        StoppingCondition={},
        Tags=[{"Key": "team", "Value": "a"}],
    )

    assert job["HyperParameters"] == {"epochs": "3"}
    assert job["Environment"] == {"MODE": "fast"}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert job["EnableManagedSpotTraining"] is False
    assert "Tags" not in job
    assert account.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "a"}]


def test_compression_none_uploads_single_files(account: TrainingAccount) -> None:
    """With CompressionType NONE the model is a folder of objects."""
    job = account.run(
        "(model / 'weights').write_text('w')",
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out/", "CompressionType": "NONE"},
    )

    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri.endswith("/output/model/")
    assert account.text(f"{uri.removeprefix(f's3://{BUCKET}/')}weights") == "w"


def test_metric_definitions_become_final_metrics_and_cloudwatch_data(account: TrainingAccount) -> None:
    """The last match of each expression is final; every match is in CloudWatch under the job's name."""
    job = account.run(
        "print('loss=0.9; acc=10%'); print('loss=0.25; acc=95%'); print('loss=nan; acc=?')",
        algorithm={
            "MetricDefinitions": [
                {"Name": "loss", "Regex": "loss=([0-9.nai]+);"},
                {"Name": "acc", "Regex": "acc=([0-9]+)%"},
                {"Name": "never", "Regex": "never=([0-9]+)"},
            ]
        },
    )

    final = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert final == {"loss": 0.25, "acc": 95.0}
    assert job["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is True
    start = job["TrainingStartTime"].timestamp() - 60
    statistics = account.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=start,
        EndTime=start + 600,
        Period=600,
        Statistics=["SampleCount", "Minimum"],
    )
    points = statistics["Datapoints"]
    assert (sum(point["SampleCount"] for point in points), min(point["Minimum"] for point in points)) == (2, 0.25)


def test_an_ended_job_cannot_be_stopped(account: TrainingAccount) -> None:
    """StopTrainingJob of an ended job is refused with AWS's text."""
    job = account.run()

    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        account.sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])
    assert refusal.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The request was rejected because the training job is in status Completed.",
    }


def test_sharding_gives_each_host_its_part(account: TrainingAccount) -> None:
    """ShardedByS3Key divides the objects, first key to the first host; a replicated channel is whole on both."""
    account.put({f"shard/{letter}.csv": letter for letter in "abcd"})
    job = account.run(
        "print({p.name: sorted(q.name for q in p.iterdir()) for p in sorted((base / 'input/data').iterdir()) "
        "if p.is_dir()})",
        InputDataConfig=[
            account.channel("all", "shard/"),
            account.channel("part", "shard/", S3DataDistributionType="ShardedByS3Key"),
        ],
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10},
    )

    whole = ["a.csv", "b.csv", "c.csv", "d.csv"]
    first, second = (account.log(job["TrainingJobName"], host)[0] for host in ("algo-1", "algo-2"))
    assert first == str({"all": whole, "part": ["a.csv", "c.csv"]})
    assert second == str({"all": whole, "part": ["b.csv", "d.csv"]})


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("paths/train", "train-data.csv"),
        ("paths/folder", "x.csv"),
        ("paths/folder/", "x.csv"),
        ("paths/deep", "er/y.csv"),
        ("paths/folder/x.csv", "x.csv"),
    ],
)
def test_objects_land_under_the_paths_of_aws(account: TrainingAccount, prefix: str, path: str) -> None:
    """A folder prefix is taken away with or without its slash; part of a file name is kept."""
    account.put({"paths/train-data.csv": "1", "paths/folder/x.csv": "1", "paths/deep/er/y.csv": "1"})
    job = account.run(
        "d = base / 'input/data/train'\nprint(*[p.relative_to(d).as_posix() for p in d.rglob('*') if p.is_file()])",
        InputDataConfig=[account.channel("train", prefix)],
    )

    assert account.log(job["TrainingJobName"]) == [path]


def test_a_manifest_names_the_objects(account: TrainingAccount) -> None:
    """Only what the manifest lists comes, under its relative paths."""
    account.put({"m/one.csv": "1", "m/two/b.csv": "2", "m/three.csv": "3"})
    account.put({"lists/manifest.json": json.dumps([{"prefix": f"s3://{BUCKET}/m/"}, "one.csv", "two/b.csv"])})
    job = account.run(
        "d = base / 'input/data/train'\n"
        "print(*sorted(p.relative_to(d).as_posix() for p in d.rglob('*') if p.is_file()))",
        InputDataConfig=[account.channel("train", "lists/manifest.json", S3DataType="ManifestFile")],
    )

    assert account.log(job["TrainingJobName"]) == ["one.csv two/b.csv"]


def test_data_that_vanishes_after_the_check_fails_the_job(account: TrainingAccount) -> None:
    """A manifest entry without an object is a ClientError of the download."""
    account.put({"lists/broken.json": json.dumps([{"prefix": f"s3://{BUCKET}/m/"}, "missing.csv"])})
    job = account.run(
        InputDataConfig=[account.channel("train", "lists/broken.json", S3DataType="ManifestFile")],
    )

    assert job["FailureReason"].startswith("ClientError: Data download failed:Failed to download data.")
    assert "missing.csv" in job["FailureReason"]


def test_an_output_bucket_that_does_not_exist_fails_the_job(account: TrainingAccount) -> None:
    """The failure says where the artifact was to go."""
    job = account.run(
        "(model / 'm').write_text('1')", OutputDataConfig={"S3OutputPath": "s3://no-such-bucket-anywhere/out"}
    )

    assert job["FailureReason"].startswith("ClientError: Artifact upload failed:")
    assert "no-such-bucket-anywhere" in job["FailureReason"]


def test_two_racing_creates_make_one_job(account: TrainingAccount) -> None:
    """Of several creates with one name at once exactly one succeeds; the others get ResourceInUse."""
    request = account.request()
    outcomes: list[str] = []

    def create() -> None:
        try:
            account.sagemaker.create_training_job(**request)
            outcomes.append("created")
        except account.sagemaker.exceptions.ResourceInUse as error:
            outcomes.append(error.response["Error"]["Message"])

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("created") == 1
    refusal = next(outcome for outcome in outcomes if outcome != "created")
    assert refusal.startswith("Training job names must be unique within an AWS account and region, and a training job")
    engine = account.cloud.engine
    assert isinstance(engine, FakeEngine)
    account.finish(request["TrainingJobName"])
    started = [launch for launch in engine.launches if request["TrainingJobName"] in launch.name]
    assert len(started) == 1


def test_an_ended_job_can_be_deleted_and_a_running_one_cannot(account: TrainingAccount) -> None:
    """Deleting takes the job and its tags away; a running job is kept."""
    running = account.create(_WAIT_FOR_SIGTERM)
    with pytest.raises(account.sagemaker.exceptions.ResourceInUse):
        account.sagemaker.delete_training_job(TrainingJobName=running)
    account.sagemaker.stop_training_job(TrainingJobName=running)
    job = account.finish(running)

    account.sagemaker.delete_training_job(TrainingJobName=running)

    for call in (
        lambda: account.describe(running),
        lambda: account.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"]),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as refusal:
            call()
        assert refusal.value.response["Error"] == {
            "Code": "ValidationException",
            "Message": "Requested resource not found.",
        }


def test_the_waiter_of_botocore_works(account: TrainingAccount) -> None:
    """A plain boto3 user's waiter sees the end of the job."""
    name = account.create()

    account.sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 15}
    )

    assert account.describe(name)["TrainingJobStatus"] == "Completed"


def test_every_status_change_is_an_event(account: TrainingAccount) -> None:
    """EventBridge rules get AWS's event for each change, in order."""
    sqs, events = account.cloud.client("sqs"), account.cloud.client("events")
    queue = sqs.create_queue(QueueName="changes")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="changes", Targets=[{"Id": "1", "Arn": queue_arn}])

    job = account.run(Tags=[{"Key": "run", "Value": "7"}])
    received: list[dict[str, Any]] = []

    def all_received() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if event["resources"] == [job["TrainingJobArn"]]:
                received.append(event["detail"])
        return len(received) == len(job["SecondaryStatusTransitions"])

    wait_for(all_received)
    by_length = sorted(received, key=lambda detail: len(detail["SecondaryStatusTransitions"]))
    assert [detail["SecondaryStatus"] for detail in by_length] == [
        step["Status"] for step in job["SecondaryStatusTransitions"]
    ]
    last = by_length[-1]
    assert last["TrainingJobStatus"] == "Completed"
    assert last["TrainingEndTime"] == str(round(job["TrainingEndTime"].timestamp() * 1000))
    assert last["Tags"] == {"run": "7"}
