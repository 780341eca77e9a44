"""Transform jobs over HTTP with real serving processes."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hosting import BUCKET, HostingAccount
from tests.support.process_cloud import is_alive, process_cloud, wait_until
from tests.support.transforming import TransformAccount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CLIENT_ERROR = "ClientError: See job logs for more information"
_ALGORITHM_ERROR = "AlgorithmError: See job logs for more information"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=3.0) as cloud:
        yield TransformAccount(HostingAccount(cloud))


@pytest.fixture(scope="module")
def model(account: TransformAccount) -> str:
    """A model that answers with this word, unless its input asks for something else."""
    return account.model("alpha")


def test_each_object_has_its_answers(account: TransformAccount, model: str) -> None:
    """One output object for each input object, at the same path below the output's prefix; folder markers have none."""
    job = account.run(model, {"": b"", "a.csv": b"echo 1,2\n", "deep/b.csv": b"echo 3,4\n", "deep/": b""})

    assert job["TransformJobStatus"] == "Completed"
    assert account.output(job["TransformJobName"]) == {"a.csv.out": b"echo 1,2\n", "deep/b.csv.out": b"echo 3,4\n"}
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert "FailureReason" not in job


def test_one_object_may_be_named_in_full(account: TransformAccount, model: str) -> None:
    """Its own key is the shortest prefix that has it; the output has its file name."""
    uri = account.input({"a.csv": b"echo 1", "b.csv": b"echo 2"})

    job = account.run(model, {}, S3Uri=f"{uri}a.csv")

    assert account.output(job["TransformJobName"]) == {"a.csv.out": b"echo 1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"BatchStrategy": "SingleRecord"}, b"echo 1\necho 2\n"),
        ({"BatchStrategy": "SingleRecord", "AssembleWith": "Line"}, b"echo 1\n\necho 2\n\n"),
        ({"BatchStrategy": "MultiRecord", "AssembleWith": "Line"}, b"echo 1\necho 2\n\n"),
        ({"AssembleWith": "Line"}, b"echo 1\necho 2\n\n"),
    ],
)
def test_lines_are_sent_alone_or_together(
    account: TransformAccount, model: str, changes: dict[str, Any], expected: bytes
) -> None:
    """The line ends that the assembly adds tell how many requests there were."""
    job = account.run(model, {"a": b"echo 1\necho 2\n"}, SplitType="Line", **changes)

    assert account.output(job["TransformJobName"]) == {"a.out": expected}


def test_the_request_has_the_types_of_the_job(account: TransformAccount, model: str) -> None:
    """ContentType and Accept are the container's Content-Type and Accept."""
    job = account.run(model, {"a": b"headers "}, ContentType="text/csv", Accept="application/json")

    headers = json.loads(account.output(job["TransformJobName"])["a.out"])
    assert (headers["Content-Type"], headers["Accept"]) == ("text/csv", "application/json")


def test_several_requests_are_under_way_at_a_time(account: TransformAccount, model: str) -> None:
    """As many as MaxConcurrentTransforms says; the second one arrives before the first one is answered."""
    first, second = account.hosting.name("first"), account.hosting.name("second")
    name = account.create(
        model,
        {"a": f"wait {first}\nwait {second}\n".encode()},
        SplitType="Line",
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=2,
    )

    account.arrived(first)
    account.release(second)
    account.release(first)

    assert account.finish(name)["TransformJobStatus"] == "Completed"
    assert account.output(name) == {"a.out": b"waitedwaited"}


def test_several_instances_share_the_objects(account: TransformAccount, model: str) -> None:
    """Each takes the next object when it is done with one, so that two are transformed at a time."""
    first, second = account.hosting.name("first"), account.hosting.name("second")
    name = account.create(
        model,
        {"a": f"wait {first}".encode(), "b": f"wait {second}".encode()},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )

    assert account.arrived(first).parent != account.arrived(second).parent
    account.release(first)
    account.release(second)

    assert account.finish(name)["TransformJobStatus"] == "Completed"
    assert sorted(account.output(name)) == ["a.out", "b.out"]


def test_a_manifest_names_the_objects(account: TransformAccount, model: str) -> None:
    """The paths of the output are those of the manifest."""
    uri = account.input({"x/1": b"echo 1", "x/2": b"echo 2", "x/3": b"echo 3"})
    manifest = json.dumps([{"prefix": uri}, "x/1", "x/3"]).encode()
    request = account.request(model, {"m.json": manifest})
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    source.update(S3DataType="ManifestFile", S3Uri=f"{source['S3Uri']}m.json")

    account.sagemaker.create_transform_job(**request)

    account.finish(request["TransformJobName"])
    assert account.output(request["TransformJobName"]) == {"x/1.out": b"echo 1", "x/3.out": b"echo 3"}


def test_compressed_objects_are_sent_as_they_were_before(account: TransformAccount, model: str) -> None:
    """The container sees no gzip; an object that is none fails the job, and the data log tells which one it was."""
    job = account.run(model, {"a.gz": gzip.compress(b"echo 1"), "b.gz": b"echo 2"}, CompressionType="Gzip")

    assert account.output(job["TransformJobName"]) == {"a.gz.out": b"echo 1"}
    assert job["FailureReason"] == _CLIENT_ERROR
    (line,) = account.lines(job["TransformJobName"], data_log=True)[1:]
    assert "/b.gz: ClientError: Not a gzipped file" in line


@pytest.mark.parametrize(
    ("status", "attempts", "reason", "line"),
    [
        (400, 1, _CLIENT_ERROR, "ClientError: 400"),
        (503, 4, _ALGORITHM_ERROR, "Bad HTTP status received from algorithm: 503"),
    ],
)
def test_a_bad_record_costs_its_object_the_output(
    account: TransformAccount, model: str, status: int, attempts: int, reason: str, line: str
) -> None:
    """The job fails, the other objects' answers are kept, and the data log has every attempt with the answer."""
    bad = f"echo 1\nstatus {status}".encode()
    job = account.run(
        model, {"a": b"echo 0", "bad": bad, "c": b"echo 2"}, SplitType="Line", BatchStrategy="SingleRecord"
    )
    name = job["TransformJobName"]

    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert account.output(name) == {"a.out": b"echo 0", "c.out": b"echo 2"}
    lines = account.lines(name, data_log=True)
    key = f"{job['TransformInput']['DataSource']['S3DataSource']['S3Uri']}bad".removeprefix("s3://")
    told = [f"{key}: {text}" for text in (line, "", "Message:", "because of you")]
    assert lines == ["MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD", *told * attempts]


@pytest.mark.parametrize(("retries", "status"), [(2, "Completed"), (1, "Failed")])
def test_a_failing_container_is_asked_again_as_often_as_the_job_says(
    account: TransformAccount, retries: int, status: str
) -> None:
    """Two failures are got over with two retries, and not with one."""
    job = account.run(account.model("flaky"), {"a": b"flaky 2"}, ModelClientConfig={"InvocationsMaxRetries": retries})

    assert job["TransformJobStatus"] == status


def test_a_container_that_takes_too_long_has_given_no_answer(account: TransformAccount, model: str) -> None:
    """The job's own limit counts, here one second."""
    config = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}

    job = account.run(model, {"a": b"wait for-ever"}, ModelClientConfig=config)

    assert job["FailureReason"] == _ALGORITHM_ERROR
    assert account.lines(job["TransformJobName"], data_log=True)[1].endswith(
        "/a: Unable to get response from algorithm"
    )


def test_a_container_that_ends_fails_the_job(account: TransformAccount, model: str) -> None:
    """Nobody starts another one, and what was answered before is kept."""
    job = account.run(model, {"a": b"echo 1", "b": b"exit", "c": b"echo 2"})

    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", _ALGORITHM_ERROR)
    assert account.output(job["TransformJobName"]) == {"a.out": b"echo 1"}


def test_an_object_that_is_too_large_for_a_request_fails_the_job(account: TransformAccount, model: str) -> None:
    """Unless it is split; the data log names the object."""
    large = b"echo " + b"x" * 1024 * 1024 + b"\n"
    job = account.run(model, {"a": large}, MaxPayloadInMB=1)

    assert job["FailureReason"] == _CLIENT_ERROR
    assert "/a: ClientError: more than 1048576 bytes" in account.lines(job["TransformJobName"], data_log=True)[1]
    assert account.output(job["TransformJobName"]) == {}


def test_answers_may_be_larger_than_those_of_an_endpoint(account: TransformAccount, model: str) -> None:
    """The six megabytes of an invocation are no limit here."""
    job = account.run(model, {"a": b"large 7000000"})

    assert len(account.output(job["TransformJobName"])["a.out"]) == 7_000_000


def test_the_container_advises_on_what_the_job_leaves_open(account: TransformAccount) -> None:
    """``GET /execution-parameters`` is asked, and what the job says itself goes first."""
    advice = {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 3}
    advising = account.model("alpha", ADVICE=json.dumps(advice))

    job = account.run(advising, {"a": b"echo 1\necho 2\n"}, SplitType="Line", AssembleWith="Line", MaxPayloadInMB=5)

    name = job["TransformJobName"]
    assert account.lines(name, data_log=True) == [
        "MaxConcurrentTransforms=2, MaxPayloadInMB=5, BatchStrategy=SINGLE_RECORD"
    ]
    assert account.output(name) == {"a.out": b"echo 1\n\necho 2\n\n"}


def test_output_that_s3_does_not_take_fails_the_job(account: TransformAccount, model: str) -> None:
    """AWS does not look at the bucket before."""
    job = account.run(model, {"a": b"1"}, TransformOutput={"S3OutputPath": "s3://no-such-bucket/out"})

    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to upload to s3://no-such-bucket/out: ")


def test_a_model_may_be_deleted_when_its_job_runs(account: TransformAccount) -> None:
    """The job has what it needs of it."""
    token, doomed = account.hosting.name("token"), account.model("doomed")
    name = account.create(doomed, {"a": f"wait {token}".encode(), "b": b"name"})
    account.arrived(token)
    account.sagemaker.delete_model(ModelName=doomed)
    account.release(token)

    assert account.finish(name)["TransformJobStatus"] == "Completed"
    assert account.output(name)["b.out"] == b"doomed"


def test_files_of_an_earlier_life_are_in_nobodys_way(account: TransformAccount, model: str) -> None:
    """A local AWS that was killed leaves them in its state directory."""
    request = account.request(model, {"a": b"echo 1"})
    left = account.hosting.cloud.state_dir / "transform-data" / request["TransformJobName"] / "0"
    left.mkdir(parents=True)

    account.sagemaker.create_transform_job(**request)

    assert account.finish(request["TransformJobName"])["TransformJobStatus"] == "Completed"
    assert not left.exists()


def test_a_job_leaves_no_files_of_its_own(account: TransformAccount, model: str) -> None:
    """Neither when it was completed nor when it failed."""
    for body in (b"echo 1", b"status 400"):
        account.run(model, {"a": body})

    state_dir = account.hosting.cloud.state_dir
    assert [*(state_dir / "transforms").iterdir(), *(state_dir / "transform-data").iterdir()] == []


def test_a_stop_ends_a_job_whose_container_is_still_starting(account: TransformAccount) -> None:
    """Nobody waits for the container to become healthy or not."""
    name = account.create(account.model("alpha", MODE="unhealthy"), {"a": b"1"})
    wait_until(lambda: "TransformStartTime" in account.describe(name), "its instances are being started")

    account.sagemaker.stop_transform_job(TransformJobName=name)

    job = account.finish(name)
    assert (job["TransformJobStatus"], job.get("FailureReason")) == ("Stopped", None)


def test_state_changes_reach_eventbridge(account: TransformAccount, model: str) -> None:
    """A rule on the documented event gets every status with the documented detail."""
    events, sqs = account.hosting.cloud.client("events"), account.hosting.cloud.client("sqs")
    queue = sqs.create_queue(QueueName="transform-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Transform Job State Change"]}
    events.put_rule(Name="transforms", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="transforms", Targets=[{"Id": "queue", "Arn": arn}])

    job = account.run(model, {"a": b"status 400"}, Tags=[{"Key": "team", "Value": "blue"}])
    seen: list[dict[str, Any]] = []

    def receive() -> bool:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"])["detail"] for message in messages)
        return len(seen) > 1

    wait_until(receive, "both events have arrived")
    assert [detail["TransformJobStatus"] for detail in seen] == ["InProgress", "Failed"]
    assert seen[-1]["TransformJobName"] == job["TransformJobName"]
    assert seen[-1]["FailureReason"] == _CLIENT_ERROR
    assert seen[-1]["Tags"] == {"team": "blue"}
    assert seen[-1]["TransformEndTime"] == job["TransformEndTime"].strftime("%Y-%m-%dT%H:%M:%SZ")


def test_jobs_end_with_the_local_aws(tmp_path: Path) -> None:
    """The container of a job that is being transformed is ended, and its files go."""
    with process_cloud(tmp_path) as cloud:
        account = TransformAccount(HostingAccount(cloud))
        account.create(account.model("alpha"), {"a": b"wait for-ever"})
        pid = int(wait_until(account.arrived("for-ever").read_text, "the container has written its number"))
        state_dir = cloud.state_dir
        assert is_alive(pid)

    assert not is_alive(pid)
    assert [*(state_dir / "transforms").iterdir(), *(state_dir / "transform-data").iterdir()] == []


def test_the_bucket_of_the_input_may_be_another_one(account: TransformAccount, model: str) -> None:
    """Output goes where the request says, whatever the input's bucket is."""
    account.s3.create_bucket(Bucket="held-out")
    account.s3.put_object(Bucket="held-out", Key="set/a", Body=b"echo 1")

    job = account.run(model, {}, S3Uri="s3://held-out/set/")

    assert account.output(job["TransformJobName"]) == {"a.out": b"echo 1"}
    assert job["TransformOutput"]["S3OutputPath"].startswith(f"s3://{BUCKET}/")
