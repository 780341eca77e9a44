"""Adoption: one run, one paid job, whatever happens in between."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sagemaker_byoc.errors import JobMismatchError, RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.run import RunIdentity
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.fake_training import FakeTraining

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = RunIdentity("retrain", "manual__1", "create_training_job", max_tries=2)
REQUEST: dict[str, Any] = {
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "HyperParameters": {"epochs": "5"},
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/2026-01-02/train/"}},
        }
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "RoleArn": "arn:aws:iam::123456789012:role/SageMaker",
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS, with a client made already: Airflow sets logging up when the first one is, and pytest has to come after."""
    with fake_aws() as aws:
        AwsConnection(None).client("sagemaker")
        yield aws


@pytest.fixture
def training(aws: FakeAws) -> FakeTraining:
    """SageMaker without any job."""
    return FakeTraining(aws)


def hook() -> TrainingJobHook:
    """Return the hook, as a new process would make it."""
    return TrainingJobHook(AwsConnection(None))


def adopt_or_create(run: RunIdentity = RUN, **changes: Any) -> tuple[str, bool]:
    """Ask for the run's job."""
    return hook().adopt_or_create({**REQUEST, **changes}, "retrain", run)


@pytest.mark.parametrize(("status", "secondary"), [("InProgress", "Training"), ("Completed", "Completed")])
def test_a_retry_adopts_the_job_of_the_try_before(training: FakeTraining, status: str, secondary: str) -> None:
    """A worker that died right after the call left a job, running or completed by now."""
    name, created = adopt_or_create()
    training.ends(name, status, secondary)
    assert created
    assert adopt_or_create() == (name, False)
    assert list(training.jobs) == [name]


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Stopping"])
def test_a_retry_goes_past_a_job_that_will_not_complete(training: FakeTraining, status: str) -> None:
    """The ordinal in the name moves on by one."""
    first, _ = adopt_or_create()
    training.ends(first, status)
    second, created = adopt_or_create()
    assert created
    assert (first[-2:], second[-2:]) == ("-1", "-2")
    assert adopt_or_create() == (second, False)


def test_a_cleared_task_gets_a_fresh_job(training: FakeTraining) -> None:
    """Clearing raises max_tries, and with it every name is a new one."""
    first, _ = adopt_or_create()
    training.ends(first, "Completed")
    second, created = adopt_or_create(replace(RUN, max_tries=5))
    assert created
    assert second != first


def cleared(max_tries: int = 3, try_number: int = 2) -> RunIdentity:
    """Return the run's task as it is after a person cleared it."""
    return replace(RUN, max_tries=max_tries, try_number=try_number)


def test_a_cleared_task_stops_what_it_left_running(training: FakeTraining, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for the jobs of earlier generations, whatever their ordinal; those that ended are left alone."""
    first, _ = adopt_or_create()
    training.ends(first, "Failed")
    second, _ = adopt_or_create()
    third, created = adopt_or_create(cleared())
    assert created
    statuses = [training.jobs[name]["TrainingJobStatus"] for name in (first, second, third)]
    assert statuses == ["Failed", "Stopping", "InProgress"]
    assert f"Training job {second}, from before this task was cleared, still ran" in caplog.text
    fourth, _ = adopt_or_create(cleared(max_tries=4, try_number=3))
    assert training.jobs[third]["TrainingJobStatus"] == "Stopping"
    assert training.jobs[fourth]["TrainingJobStatus"] == "InProgress"


def test_the_old_job_is_stopped_before_the_new_one_is_made(aws: FakeAws, training: FakeTraining) -> None:
    """Two of them at a time would be paid for, and a quota of one instance would refuse the second."""
    adopt_or_create()
    adopt_or_create(cleared())
    made_or_stopped = [name for name, _ in aws.calls if name in ("CreateTrainingJob", "StopTrainingJob")]
    assert made_or_stopped == ["CreateTrainingJob", "StopTrainingJob", "CreateTrainingJob"]


def test_a_first_try_asks_for_no_earlier_jobs(aws: FakeAws, training: FakeTraining) -> None:
    """There cannot be any, and each question is a call."""
    adopt_or_create()
    assert len(aws.asked("DescribeTrainingJob")) == 1


def test_earlier_jobs_may_be_left_running(training: FakeTraining) -> None:
    """Who switched stop_on_kill off wants them to go on."""
    first, _ = adopt_or_create()
    hook().adopt_or_create(REQUEST, "retrain", cleared(), stop_earlier=False)
    assert training.jobs[first]["TrainingJobStatus"] == "InProgress"


def test_an_earlier_job_that_may_not_be_stopped_is_told(
    aws: FakeAws, training: FakeTraining, caplog: pytest.LogCaptureFixture
) -> None:
    """The task goes on without the right to stop jobs; a failure that passes is left to the next try."""
    first, _ = adopt_or_create()
    aws.on("StopTrainingJob", AwsSays("ThrottlingException", "Rate exceeded"))
    with pytest.raises(ClientError, match="Rate exceeded"):
        adopt_or_create(cleared())
    assert list(training.jobs) == [first]
    aws.on("StopTrainingJob", AwsSays("AccessDeniedException", "not authorized to stop"))
    assert adopt_or_create(cleared())[1]
    assert f"Training job {first}, from before this task was cleared, goes on" in caplog.text


@pytest.mark.parametrize(("status", "warnings"), [("Completed", 1), ("Training", 0)])
def test_taking_a_completed_job_is_a_warning(
    training: FakeTraining, caplog: pytest.LogCaptureFixture, status: str, warnings: int
) -> None:
    """A clear after ``retries`` was lowered looks like a retry: the log says that nothing is trained."""
    name, _ = adopt_or_create()
    training.ends(name, "Completed" if warnings else "InProgress", status)
    adopt_or_create(cleared(max_tries=2))
    told = [record.getMessage() for record in caplog.records if record.name == "sagemaker_byoc.hooks.training_job"]
    assert len(told) == warnings
    assert all(name in line and "clear it once more" in line for line in told)


def test_the_loser_of_a_race_adopts_the_winners_job(aws: FakeAws, training: FakeTraining) -> None:
    """Two tries that both saw no job make one: the name decides on AWS."""

    def overtaken(**request: Any) -> dict[str, Any]:
        if not training.jobs:
            training.create(**request)
        return training.create(**request)

    aws.on("CreateTrainingJob", overtaken)
    name, created = adopt_or_create()
    assert not created
    assert list(training.jobs) == [name]


def test_a_job_that_aws_does_not_show_yet_is_no_reason_for_another(aws: FakeAws, training: FakeTraining) -> None:
    """The name is taken but not found: the task is tried again later, and nothing is made under another name."""
    aws.on("CreateTrainingJob", AwsSays("ResourceInUse", "taken"))
    with pytest.raises(ClientError, match="ResourceInUse"):
        adopt_or_create()
    assert len(aws.asked("CreateTrainingJob")) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"HyperParameters": {"epochs": "6"}}, "HyperParameters.epochs: the job has '5', the request '6'"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "other", "TrainingInputMode": "File"}},
            "AlgorithmSpecification.TrainingImage: the job has 'image', the request 'other'",
        ),
        ({"InputDataConfig": []}, "InputDataConfig"),
    ],
)
def test_another_job_than_the_one_asked_for_is_never_adopted(
    training: FakeTraining, changes: dict[str, Any], told: str
) -> None:
    """The message names the job, each difference and the ways out; nothing is made."""
    name, _ = adopt_or_create()
    with pytest.raises(JobMismatchError) as raised:
        adopt_or_create(**changes)
    for text in (name, told, "Clear the task"):
        assert text in str(raised.value)
    assert list(training.jobs) == [name]


def test_a_failed_job_may_differ(training: FakeTraining) -> None:
    """Who changes the request after a failure wants the new one."""
    name, _ = adopt_or_create()
    training.ends(name, "Failed")
    assert adopt_or_create(HyperParameters={"epochs": "6"})[1]


def test_an_empty_channel_is_refused_before_a_job_is_made(aws: FakeAws, training: FakeTraining) -> None:
    """Channel, URI and what to do stand in the message; S3 is asked for one key."""
    aws.on("ListObjectsV2", {"KeyCount": 0})
    with pytest.raises(RequestError) as raised:
        adopt_or_create()
    for text in ("config.InputDataConfig[0]", "s3://bucket/2026-01-02/train/", "'train'", "upload the data"):
        assert text in str(raised.value)
    [listed] = aws.asked("ListObjectsV2")
    assert listed == {"Bucket": "bucket", "Prefix": "2026-01-02/train/", "MaxKeys": 1}
    assert not training.jobs


def test_a_bucket_that_does_not_exist_is_refused(aws: FakeAws, training: FakeTraining) -> None:
    """It is named, since a typing error in it is the likely cause."""
    aws.on("ListObjectsV2", AwsSays("NoSuchBucket", "The specified bucket does not exist", 404))
    with pytest.raises(RequestError, match="Create the bucket bucket"):
        adopt_or_create()
    assert not training.jobs


def test_aws_decides_about_a_bucket_that_may_not_be_listed(aws: FakeAws, training: FakeTraining) -> None:
    """The worker's role need not have the rights that the job's role has."""
    aws.on("ListObjectsV2", AwsSays("AccessDenied", "no", 403))
    assert adopt_or_create()[1]


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix"),
    [
        ("s3://bucket/run#7/a?b/", "bucket", "run#7/a?b/"),
        ("s3://bucket", "bucket", ""),
        ("s3://bucket//a", "bucket", "/a"),
    ],
)
def test_a_prefix_is_looked_into_as_it_is_written(
    aws: FakeAws, training: FakeTraining, uri: str, bucket: str, prefix: str
) -> None:
    """A key is no web address: nothing behind ``#`` or ``?`` is cut off."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    hook().check_inputs({"InputDataConfig": [{"ChannelName": "a", "DataSource": source}]})
    assert aws.asked("ListObjectsV2") == [{"Bucket": bucket, "Prefix": prefix, "MaxKeys": 1}]


def test_only_prefixes_are_looked_into(aws: FakeAws, training: FakeTraining) -> None:
    """A manifest or a file system is AWS's to judge."""
    manifest = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list"}}
    disk = {"FileSystemDataSource": {"FileSystemId": "fs-12345678901"}}
    channels = [{"ChannelName": "a", "DataSource": manifest}, {"ChannelName": "b", "DataSource": disk}]
    training.create(**{**REQUEST, "TrainingJobName": "other"})
    hook().check_inputs({"InputDataConfig": channels})
    assert not aws.asked("ListObjectsV2")


def test_an_adopted_job_needs_its_data_no_more(aws: FakeAws, training: FakeTraining) -> None:
    """The partition may have been cleaned up while the job ran."""
    name, _ = adopt_or_create()
    aws.on("ListObjectsV2", {"KeyCount": 0})
    assert adopt_or_create() == (name, False)


def test_stopping_a_job_twice_is_no_failure(training: FakeTraining) -> None:
    """The first call stops it, the second finds it stopping."""
    name, _ = adopt_or_create()
    assert hook().stop(name)
    assert not hook().stop(name)


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFound"])
def test_a_job_that_is_gone_is_named(aws: FakeAws, code: str) -> None:
    """Region and name are what a user has to check; AWS words it in two ways."""
    aws.on("DescribeTrainingJob", AwsSays(code, "Requested resource not found."))
    aws.on("StopTrainingJob", AwsSays(code, "Requested resource not found."))
    with pytest.raises(RequestError, match=r"training_job_name: got 'gone'.*eu-west-1"):
        hook().look("gone")
    assert not hook().stop("gone")


@pytest.mark.parametrize("call", ["look", "stop"])
def test_any_other_refusal_is_passed_on(aws: FakeAws, call: str) -> None:
    """Throttling is not taken for a job that does not exist."""
    aws.on("DescribeTrainingJob", AwsSays("ThrottlingException", "Rate exceeded"))
    aws.on("StopTrainingJob", AwsSays("ThrottlingException", "Rate exceeded"))
    with pytest.raises(ClientError, match="Rate exceeded"):
        getattr(hook(), call)("job")


class Adoption(RuleBasedStateMachine):
    """Tries, clears, ends and races of one task, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._around = fake_aws()
        self.aws = self._around.__enter__()
        self.training = FakeTraining(self.aws)
        self.max_tries = 2
        self.generations = itertools.count(3)
        self.of_generation: list[str] = []

    @initialize()
    def begin(self) -> None:
        """The first try."""
        self.attempt()

    @rule()
    def attempt(self) -> None:
        """A try makes a job exactly when the last one of this generation cannot complete any more."""
        last = self.of_generation[-1] if self.of_generation else None
        wanted = last is None or self.training.jobs[last]["TrainingJobStatus"] not in ("InProgress", "Completed")
        name, created = adopt_or_create(replace(RUN, max_tries=self.max_tries))
        assert created == wanted
        if created:
            self.of_generation.append(name)
        assert name == self.of_generation[-1]

    @rule()
    def race(self) -> None:
        """Another process makes the job between our look and our call."""

        def overtaken(**request: Any) -> dict[str, Any]:
            self.aws.on("CreateTrainingJob", self.training.create)
            self.training.create(**request)
            self.of_generation.append(request["TrainingJobName"])
            return self.training.create(**request)

        self.aws.on("CreateTrainingJob", overtaken)
        name, created = adopt_or_create(replace(RUN, max_tries=self.max_tries))
        self.aws.on("CreateTrainingJob", self.training.create)
        assert not created
        assert name == self.of_generation[-1]

    @rule()
    def clear(self) -> None:
        """A person clears the task."""
        self.max_tries = next(self.generations)
        self.of_generation = []

    @precondition(lambda self: self.of_generation)
    @rule(status=st.sampled_from(["Completed", "Failed", "Stopping", "Stopped"]))
    def end(self, status: str) -> None:
        """The job comes to an end, unless it has."""
        job = self.training.jobs[self.of_generation[-1]]
        if job["TrainingJobStatus"] in ("InProgress", "Stopping"):
            self.training.ends(self.of_generation[-1], status)

    @invariant()
    def at_most_one_job_is_alive_in_a_generation(self) -> None:
        """Never are two jobs of one generation running or completed."""
        statuses = [self.training.jobs[name]["TrainingJobStatus"] for name in self.of_generation]
        assert sum(status in ("InProgress", "Completed") for status in statuses) <= 1

    def teardown(self) -> None:
        """Take the table of answers away."""
        self._around.__exit__(None, None, None)


TestAdoption = Adoption.TestCase
TestAdoption.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
