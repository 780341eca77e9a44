"""The project's image in training jobs: one host, two hosts, and a stop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.iris_account import BUCKET, IRIS, IrisAccount, epoch_losses
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

FULL_BATCH: dict[str, Any] = {"batch_size": 1000, "dropout": 0, "epochs": 12}
"""One step in an epoch and no chance in it, so the number of hosts must not matter."""


def rows_of(lines: Iterable[str], *species: str) -> str:
    """Return the lines about these species as a file of their own."""
    header, *rows = lines
    return "\n".join([header, *(row for row in rows if row.rpartition(",")[2] in species)]) + "\n"


def test_two_hosts_take_the_steps_that_one_host_takes(account: IrisAccount, image: str) -> None:
    """Half the rows each, and yet the loss of every epoch is that of a single host: the gradients were summed."""
    account.train("container-alone", account.request(image, **FULL_BATCH))

    account.train("container-pair", account.request(image, hosts=2, **FULL_BATCH))

    alone, leader = (account.cloud.log(name) for name in ("container-alone", "container-pair"))
    other = account.cloud.log("container-pair", "algo-2")
    assert "algo-1 has joined: rank 0 of 2 hosts" in leader
    assert other == ["algo-2 has joined: rank 1 of 2 hosts"]
    assert len(epoch_losses(leader)) == 12
    assert epoch_losses(leader) == pytest.approx(epoch_losses(alone), abs=2e-4)
    assert sorted(account.model_files("container-pair")) == ["model.json", "model.pt"]


def test_two_hosts_that_know_different_classes_make_one_model_of_all(account: IrisAccount, image: str) -> None:
    """Neither host ever sees the other's classes, so no training of its own could name all three."""
    lines = (IRIS / "iris.csv").read_text().splitlines()
    account.put("sharded", {"a.csv": rows_of(lines, "setosa"), "b.csv": rows_of(lines, "versicolor", "virginica")})

    job = account.train("container-classes", account.request(image, hosts=2, train="sharded", epochs=50))

    description = json.loads(account.model_files("container-classes")["model.json"])
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert description["classes"] == ["setosa", "versicolor", "virginica"]
    assert description["rows"]["train"] == len(lines) - 1 == 150
    assert metrics["validation:accuracy"] >= 0.9


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_stopped_job_leaves_its_best_model_and_its_checkpoints(account: IrisAccount, image: str, hosts: int) -> None:
    """SIGTERM ends the epochs on all hosts, the model is uploaded, and a next job goes on from the last epoch."""
    name = f"container-stopped-{hosts}"
    request = account.request(image, hosts=hosts, epochs=100_000, early_stopping_patience=100_000)
    checkpoints = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/{name}"}}
    account.start(name, request, **checkpoints)
    account.await_line(name, "epoch=3 ")

    account.cloud.client("sagemaker").stop_training_job(TrainingJobName=name)

    job = account.finish(name)
    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Stopped", None)
    [leaving] = [line for line in account.cloud.log(name) if line.startswith("stop requested")]
    description = json.loads(account.model_files(name)["model.json"])
    last_epoch = int(leaving.rpartition(" ")[2])
    assert 1 <= description["metrics"]["epoch"] <= last_epoch
    assert f"{name}/checkpoint-{last_epoch:06d}.pt" in account.keys(name)
    account.start(f"{name}-again", request, **checkpoints)
    account.await_line(f"{name}-again", f"resuming from epoch {last_epoch}")
    account.cloud.client("sagemaker").stop_training_job(TrainingJobName=f"{name}-again")
    assert account.finish(f"{name}-again")["TrainingJobStatus"] == "Stopped"


def test_nothing_of_a_job_stays_on_the_machine(account: IrisAccount, image: str) -> None:
    """Files that root wrote in the container, the container and its network go with the job."""
    account.train("container-clean", account.request(image, hosts=2, epochs=2))

    wait_until(lambda: not [left for left in account.cloud.left() if "container-clean" in left], "it is gone")
    wait_until(
        lambda: not list(account.cloud.state_dir.rglob("*container-clean*")), "the state directory has nothing of it"
    )
