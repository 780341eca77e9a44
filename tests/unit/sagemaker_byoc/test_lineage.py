"""The record of where a model comes from."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from sagemaker_byoc.lineage import DataChannel, DataObject, Lineage
from sagemaker_byoc.run import RunIdentity

BEGAN = datetime(2026, 1, 2, tzinfo=timezone.utc)
JOB = {
    "TrainingJobName": "iris-1",
    "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/iris-1",
    "TrainingStartTime": BEGAN,
    "AlgorithmSpecification": {"TrainingImage": "registry/iris@sha256:1f"},
    "HyperParameters": {"epochs": "3"},
}
ROWS = DataObject("a.csv", "e1", 10)
MORE = DataObject("b.csv", "e2", 20)


def lineage(*channels: DataChannel, **changes: Any) -> Lineage:
    """Make a lineage of a job with these channels."""
    facts: dict[str, Any] = {"job": JOB, "run": RunIdentity("retrain", "manual__1", "register"), "metrics": {"a": 0.5}}
    return Lineage(**facts | {"channels": channels} | changes)


def test_the_same_data_have_the_same_digest_wherever_they_lie() -> None:
    """Neither prefix nor order of the listing counts; content, key and channel do."""
    one = lineage(DataChannel("train", "s3://b/1/", [ROWS, MORE])).data_digest
    assert lineage(DataChannel("train", "s3://b/2/", [MORE, ROWS])).data_digest == one
    assert lineage(DataChannel("test", "s3://b/1/", [ROWS, MORE])).data_digest != one
    assert lineage(DataChannel("train", "s3://b/1/", [ROWS])).data_digest != one
    changed = DataObject("b.csv", "e3", 20)
    assert lineage(DataChannel("train", "s3://b/1/", [ROWS, changed])).data_digest != one


def test_data_that_are_not_all_known_have_no_digest() -> None:
    """A digest over a part would tell two different data sets as the same."""
    known, unknown = DataChannel("train", "s3://b/1/", [ROWS]), DataChannel("test", "s3://b/2/")
    assert lineage(known, unknown).data_digest == ""
    assert "data_digest" not in lineage(known, unknown).facts()


def test_the_facts_are_short_texts_without_what_is_unknown() -> None:
    """What a person looks for in the registry stands there."""
    channel = DataChannel("train", "s3://b/1/", [ROWS, MORE], changed=1)
    facts = lineage(channel, git_commit="c0ffee", data_date="2026-01-01T00:00:00+00:00").facts()
    assert facts.pop("data_digest").startswith("sha256:")
    assert facts == {
        "training_job": "iris-1",
        "image_digest": "sha256:1f",
        "git_commit": "c0ffee",
        "data_date": "2026-01-01T00:00:00+00:00",
        "data_objects": "2",
        "data_changed_since_training": "1",
        "data:train": "s3://b/1/",
        "airflow:dag_id": "retrain",
        "airflow:run_id": "manual__1",
    }
    assert lineage().facts().keys() == {"training_job", "image_digest", "airflow:dag_id", "airflow:run_id"}


def test_the_record_lists_each_object() -> None:
    """Metrics, job, run and data can be read from it by any program."""
    record = json.loads(lineage(DataChannel("train", "s3://b/1/", [ROWS])).record())
    assert record["metrics"] == {"a": {"value": 0.5}}
    assert record["training_job"]["started"] == BEGAN.isoformat()
    assert record["training_job"]["hyperparameters"] == {"epochs": "3"}
    [channel] = record["data"]["channels"]
    assert channel == {"name": "train", "uri": "s3://b/1/", "objects": [{"key": "a.csv", "etag": "e1", "size": 10}]}
