"""Waits that are there to be killed, and the parts of Airflow that kill them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from local_stack.airflow_parts import part_commands
from local_stack.home import CHECKOUT
from tests.e2e.probe import Run, aws, until

if TYPE_CHECKING:
    import signal

    from local_stack.stack import Stack

LONG_SECONDS = 500
STARTING = "trigger .*/wait/.* starting"


@dataclass
class Wait:
    """One run that does nothing but wait for one training job.

    :param base: the beginning of the job's name
    """

    run: Run
    base: str

    @classmethod
    def start(cls, stack: Stack, dag_id: str, base: str, image: str) -> Wait:
        """Start a run of one of the DAGs in ``kill_probe.py``; where a sensor waits, its job is made here."""
        name = f"{base}-given" if dag_id.startswith("sensor") else base
        if dag_id.startswith("sensor"):
            create_job(stack, name, image)
        return cls(Run.start(stack, dag_id, job=name, image=image, seconds=LONG_SECONDS), base)

    def statuses(self) -> list[str]:
        """Return the statuses of the jobs, oldest first."""
        sagemaker = aws(self.run.stack, "sagemaker")
        jobs = sagemaker.list_training_jobs(NameContains=f"{self.base}-", SortBy="CreationTime", SortOrder="Ascending")
        return [str(job["TrainingJobStatus"]) for job in jobs["TrainingJobSummaries"]]

    def until_watched(self) -> Wait:
        """Wait until the job runs and somebody looks at it; before that there is nothing yet that could be killed."""
        self.run.wait_for_task("wait", "deferred" if "in_triggerer" in self.run.dag_id else "running")
        self.until_logged("Training in progress")
        if "in_triggerer" in self.run.dag_id:
            self.until_logged(STARTING)
        assert self.statuses() == ["InProgress"]
        return self

    def until_logged(self, pattern: str, times: int = 1) -> None:
        """Wait until the log of the task's present try says something."""
        until(lambda: len(re.findall(pattern, self.run.log("wait"))) >= times, f"the log says {pattern!r}")

    def until_told(self, part: str, text: str) -> None:
        """Wait until a text about the job stands in the task's log, or in that of a part which had the task before."""
        log = Path(self.run.stack.environment["AIRFLOW_HOME"]).parent / "logs" / f"{part}.log"
        about_job = f"{text} {self.base}-"
        until(lambda: about_job in self.run.log("wait") + log.read_text(), f"{about_job!r} is told")

    def until_first_job_stopped(self) -> None:
        """Wait until the job that was waited for is stopped."""
        until(lambda: self.statuses()[0] in ("Stopping", "Stopped"), f"the job of {self.run.dag_id} is stopped", 60)

    def still_sees_the_end(self) -> None:
        """Check that the job runs, then end it from elsewhere: whoever still waits fails, and says why."""
        assert self.statuses() == ["InProgress"]
        sagemaker = aws(self.run.stack, "sagemaker")
        [job] = sagemaker.list_training_jobs(NameContains=f"{self.base}-")["TrainingJobSummaries"]
        sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])
        assert self.run.wait_for_task("wait", "failed", "success") == "failed"
        self.until_logged("(?i)job .* stopped")

    def until_tried_again(self) -> Wait:
        """Wait until the next try is under way, and watches the job."""
        until(lambda: self.run.task("wait")["try_number"] == 2, "the task is tried again")
        return self.until_watched()

    def until_job_count(self, count: int) -> None:
        """Wait until there are so many jobs."""
        until(lambda: len(self.statuses()) == count, f"{self.run.dag_id} has {count} jobs")

    @property
    def process(self) -> psutil.Process:
        """The process that executes the task."""
        return psutil.Process(until(lambda: self.run.task("wait")["pid"], "the task has a process"))

    @property
    def worker(self) -> psutil.Process:
        """The process that supervises the one of the task."""
        parent = self.process.parent()
        assert parent is not None
        return parent


def create_job(stack: Stack, name: str, image: str, seconds: float = LONG_SECONDS, failure: str = "") -> None:
    """Make a training job as somebody else would.

    :param failure: what the container fails with; empty for success
    """
    settings: dict[str, Any] = stack.account.settings
    aws(stack, "sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=settings["role_arn"],
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={"seconds": str(seconds), "failure": failure},
        OutputDataConfig={"S3OutputPath": f"s3://{settings['bucket']}/probe"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )


def start_part(stack: Stack, name: str, part: str) -> None:
    """Start another triggerer or scheduler, with a log of its own."""
    port = int(stack.environment["AIRFLOW__API__PORT"])
    stack.processes.start(name, part_commands(port)[part], stack.environment, CHECKOUT)


def end_part(stack: Stack, name: str, number: signal.Signals) -> None:
    """End a part with all its descendants, and wait for it."""
    process = stack.processes.running.pop(name)
    os.killpg(process.pid, number)
    process.wait(60)


def signal_part(stack: Stack, name: str, number: signal.Signals) -> None:
    """Signal a part and all its descendants, for example to hold them up."""
    os.killpg(stack.processes.running[name].pid, number)


def triggerers_alive(stack: Stack) -> int:
    """Return how many triggerers Airflow hears of."""
    answer = stack.airflow.call("GET", "/jobs", params={"job_type": "TriggererJob", "is_alive": True})
    # of total_entries Airflow takes none away that is not alive
    return len(answer["jobs"])
