"""A container that takes more memory than it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_aws.engine_docker import DockerEngine
from local_aws.sagemaker.training_run import TrainingRun
from local_aws.sagemaker.training_state import TrainingState
from tests.support.docker_cloud import BUCKET
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from tests.support.docker_cloud import DockerCloud

_LIMIT_BYTES = 32 * 1024 * 1024
# A line without an end has to be kept whole to be the last.
_GREEDY = "#!/bin/sh\nhead -c 200000000 /dev/zero | tail -n 1 > /dev/null\n"


def _ended(cloud: DockerCloud, name: str, program: str) -> dict[str, Any]:
    """Run a job on an engine with a limit and return its description."""
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": cloud.push(name, {"train": program}), "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    engine = DockerEngine(cloud.cloud, cloud.registry, memory_bytes=_LIMIT_BYTES)
    state = TrainingState(request, "arn", f"s3://{BUCKET}/out", lambda _: None)
    TrainingRun(request, state, cloud.cloud, engine, stop_grace_seconds=1.0).start()
    wait_until(lambda: state.describe()["TrainingJobStatus"] != "InProgress", f"{name} has ended", 60.0)
    return state.describe()


def test_a_job_that_is_killed_for_want_of_memory_says_so(cloud: DockerCloud) -> None:
    """In the words that were seen on AWS."""
    job = _ended(cloud, "greedy", _GREEDY)

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an "
        "instance."
    )


def test_a_job_within_its_limit_is_not_touched(cloud: DockerCloud) -> None:
    """SIGKILL alone is no want of memory."""
    job = _ended(cloud, "modest", "#!/bin/sh\nsh -c 'kill -9 $$'\nexit $?\n")

    assert job["FailureReason"] == "AlgorithmError: , exit code: 137"
