"""How a training job ends: by itself, by a fault, by a stop, by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.docker_cloud import STOP_GRACE_SECONDS
from tests.support.hosting import refusal
from tests.support.training import wait_for

if TYPE_CHECKING:
    from tests.support.training import BuiltTrainingAccount

_TWO_HOSTS = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}
_WAIT_FOR_SIGTERM = """
def on_term(*_):
    (model / "saved.txt").write_text("on SIGTERM")
    sys.exit(143)
signal.signal(signal.SIGTERM, on_term)
print("waiting", flush=True)
while True: time.sleep(0.05)
"""


def test_a_job_walks_through_the_secondary_statuses_of_aws(account: BuiltTrainingAccount) -> None:
    """A finished job shows AWS's statuses in AWS's order, each with times and AWS's message."""
    job = account.run("(model / 'm').write_text('1')", InputDataConfig=[account.channel("train", "data/train")])

    transitions = job["SecondaryStatusTransitions"]
    assert [(step["Status"], step["StatusMessage"]) for step in transitions] == [
        ("Starting", "Starting the training job"),
        ("Pending", "Training job waiting for capacity"),
        ("Pending", "Preparing the instances for training"),
        ("Downloading", "Downloading input data"),
        ("Downloading", "Downloading the training image"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert all(step["EndTime"] >= step["StartTime"] for step in transitions)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] in {1, 2, 3}


def test_a_failure_file_becomes_the_failure_reason(account: BuiltTrainingAccount) -> None:
    """A non-zero exit fails the job with the text that the program left."""
    job = account.run("(base / 'output/failure').write_text('no column label'); sys.exit(1)")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == "AlgorithmError: no column label, exit code: 1"
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job failed"
    assert account.keys(f"out/{job['TrainingJobName']}/") == []


def test_a_long_failure_file_is_cut_to_the_limit_of_the_api(account: BuiltTrainingAccount) -> None:
    """FailureReason never has more than 1,024 characters."""
    job = account.run("(base / 'output/failure').write_text('é' * 5000, encoding='utf-8'); sys.exit(7)")

    assert len(job["FailureReason"]) == 1024
    assert job["FailureReason"].startswith("AlgorithmError: ééé")
    assert job["FailureReason"].endswith(", exit code: 7")


def test_an_exit_code_without_a_failure_file_is_named(account: BuiltTrainingAccount) -> None:
    """The reason is AWS's text for a program that says nothing."""
    assert account.run("sys.exit(3)")["FailureReason"] == "AlgorithmError: , exit code: 3"


def test_stopping_a_job_sends_sigterm_and_keeps_the_model(account: BuiltTrainingAccount) -> None:
    """The program may save on SIGTERM; what it saved is uploaded and the job is Stopped, whatever its exit code."""
    name = account.create(_WAIT_FOR_SIGTERM)
    wait_for(lambda: "waiting" in account.log(name))

    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.describe(name)["TrainingJobStatus"] in {"Stopping", "Stopped"}
    job = account.finish(name)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in job
    messages = [step["StatusMessage"] for step in job["SecondaryStatusTransitions"]][-3:]
    assert messages == ["Stopping the training job", "Uploading generated training model", "Training job stopped"]
    assert account.archive(f"out/{name}/output/model.tar.gz") == {"saved.txt": "on SIGTERM"}


def test_a_program_that_ignores_sigterm_is_killed(account: BuiltTrainingAccount) -> None:
    """After the grace period comes SIGKILL."""
    name = account.create("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(600)")
    wait_for(lambda: "deaf" in account.log(name))

    account.sagemaker.stop_training_job(TrainingJobName=name)

    assert account.finish(name)["TrainingJobStatus"] == "Stopped"


def test_max_runtime_stops_the_job_and_keeps_the_model(account: BuiltTrainingAccount) -> None:
    """When the time is up the job ends as Stopped / MaxRuntimeExceeded, with its model."""
    name = account.create(_WAIT_FOR_SIGTERM, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = account.finish(name)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert account.archive(f"out/{name}/output/model.tar.gz") == {"saved.txt": "on SIGTERM"}


def test_one_failing_host_fails_the_job_and_ends_the_others(account: BuiltTrainingAccount) -> None:
    """The other host, which would run for ten minutes, is gone with the job."""
    job = account.run(
        "time.sleep(600) if host == 'algo-1' else sys.exit(9)",
        ResourceConfig=_TWO_HOSTS,
    )

    assert job["FailureReason"] == "AlgorithmError: , exit code: 9"
    assert (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds() < 60
    # A file in the directory that both hosts of a job have would go on growing.
    assert not (account.cloud.state_dir / "training" / job["TrainingJobName"]).exists()


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import ctypes\nctypes.string_at(0)", 139),
        ("import threading\nthreading.Timer(0.1, os._exit, [42]).start()\ntime.sleep(600)", 42),
        ("raise RuntimeError('x')", 1),
    ],
)
def test_the_exit_code_is_the_programs(account: BuiltTrainingAccount, program: str, code: int) -> None:
    """However the program ends, by a signal, a call or an exception, its code is what the reason names."""
    assert account.run(program)["FailureReason"] == f"AlgorithmError: , exit code: {code}"


def test_a_program_that_is_not_there_is_the_reason(account: BuiltTrainingAccount) -> None:
    """The reason has AWS's words, the command that has to work, and what the container runtime says."""
    image = account.image_of({})

    job = account.run(algorithm={"TrainingImage": image})

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "AlgorithmError: CannotStartContainerError. Please make sure the container can be run with "
        f"'docker run {image} train'. Please refer SageMaker documentation for details. "
        '(exec: "train": executable file not found in $PATH)'
    )


@pytest.mark.parametrize(
    ("program", "reason"),
    [("#!/no/such/interpreter\n", "no such file or directory"), ("#!\n", "exec format error")],
)
def test_a_program_that_the_kernel_refuses_says_so_in_the_log(
    account: BuiltTrainingAccount, program: str, reason: str
) -> None:
    """The container has started by then, so it is its exit code that fails the job."""
    job = account.run(algorithm={"TrainingImage": account.image_of({"train": program})})

    assert job["FailureReason"] == "AlgorithmError: , exit code: 1"
    assert account.log(job["TrainingJobName"]) == [f"exec /opt/program/train: {reason}"]


def test_an_image_that_ecr_does_not_have_is_refused_at_once(account: BuiltTrainingAccount) -> None:
    """No job is made, and the text is AWS's with the reason after it."""
    image = account.image("") + "-never-pushed"
    request = account.request(algorithm={"TrainingImage": image})

    refused = refusal(lambda: account.sagemaker.create_training_job(**request))

    assert refused.startswith("ValidationException: Invalid training image. Please provide a valid Amazon Elastic")
    assert f"there is no image {image}" in refused


def test_a_program_that_hears_nothing_of_sigterm_is_killed(account: BuiltTrainingAccount) -> None:
    """The first process of a container has no default action for SIGTERM: without a handler it runs on."""
    name = account.create("print('deaf', flush=True)\nwhile True: time.sleep(0.05)")
    wait_for(lambda: "deaf" in account.log(name))

    account.sagemaker.stop_training_job(TrainingJobName=name)
    job = account.finish(name)

    assert job["TrainingJobStatus"] == "Stopped"
    stopping = next(step for step in job["SecondaryStatusTransitions"] if step["Status"] == "Stopping")
    assert (stopping["EndTime"] - stopping["StartTime"]).total_seconds() >= STOP_GRACE_SECONDS


def test_the_children_of_a_program_end_with_it(account: BuiltTrainingAccount) -> None:
    """A container ends with its first process, and a child that holds the output open does not keep the job."""
    job = account.run("import subprocess\nsubprocess.Popen(['sleep', '600'])\nprint('left', flush=True)")

    assert job["TrainingJobStatus"] == "Completed"
    assert job["TrainingTimeInSeconds"] < 30
    assert account.log(job["TrainingJobName"]) == ["left"]
