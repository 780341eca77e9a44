"""What a fresh AWS account needs before the retraining DAG can run, made in the local one.

On real AWS the same things are made once by a person or by a template; the README lists them. Run as a program,
``python -m local_stack.seed ENDPOINT_URL``, it prints the DAG's settings in the form of ``airflow variables import``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from local_stack.event_queue import create_event_queue
from local_stack.home import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["REGION", "VARIABLE", "Account", "seed"]

REGION = "us-east-1"
VARIABLE = "sagemaker_retrain"
DATA = CHECKOUT / "include" / "data" / "iris"
BUCKET = "sagemaker-retrain-local"
PROJECT = "sagemaker-retrain-image"
DATA_PREFIX = "iris/partitions"


@dataclass(frozen=True)
class Account:
    """What was made, as the DAG's Airflow Variable wants it.

    :param settings: content of the Variable
    :param partitions: the days that have data, oldest first
    """

    settings: dict[str, Any]
    partitions: list[str]


def seed(endpoint_url: str) -> Account:
    """Make bucket, data, roles, CodeBuild project and the queue of state changes on the local AWS.

    What is there already stays.
    """
    session = boto3.Session("local", "local", region_name=REGION)
    s3 = session.client("s3", endpoint_url=endpoint_url)
    s3.create_bucket(Bucket=BUCKET)
    partitions = upload_partitions(s3)
    upload(s3, DATA / "test", "iris/test")
    iam = session.client("iam", endpoint_url=endpoint_url)
    training_role = create_role(iam, "sagemaker-retrain-execution", "sagemaker.amazonaws.com")
    build_role = create_role(iam, "sagemaker-retrain-build", "codebuild.amazonaws.com")
    create_project(session.client("codebuild", endpoint_url=endpoint_url), build_role)
    return Account(settings(training_role, create_event_queue(session, endpoint_url)), partitions)


def settings(role_arn: str, queue_url: str) -> dict[str, Any]:
    """Return the Variable's content."""
    return {
        "region_name": REGION,
        "bucket": BUCKET,
        "data_prefix": DATA_PREFIX,
        "smoke_test_records": f"s3://{BUCKET}/iris/test/test.csv",
        "label_column": "species",
        "role_arn": role_arn,
        "repository": "sagemaker-retrain",
        "codebuild_project": PROJECT,
        "endpoint_name": "iris",
        "event_queue_url": queue_url,
        "model_package_group": "iris",
    }


def upload_partitions(s3: Any) -> list[str]:
    """Upload the dated partitions, and the newest one again under the last days.

    A manual trigger and the daily schedule train on the day before; without the copies a fresh stack
    would have no data for them.
    """
    days = sorted(folder.name for folder in (DATA / "partitions").iterdir() if folder.is_dir())
    today = datetime.now(timezone.utc).date()
    recent = [(today - timedelta(days=age)).isoformat() for age in (2, 1, 0)]
    sources = {day: day for day in days} | dict.fromkeys(recent, days[-1])
    for day, source in sources.items():
        upload(s3, DATA / "partitions" / source, f"{DATA_PREFIX}/{day}")
    return sorted(sources)


def upload(s3: Any, folder: Path, prefix: str) -> None:
    """Upload every file of a folder under a prefix."""
    for file in sorted(folder.rglob("*.csv")):
        s3.upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder).as_posix()}")


def create_role(iam: Any, name: str, service: str) -> str:
    """Create a role that the AWS service may assume, unless there is one of that name; return its ARN."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    try:
        answer = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    except iam.exceptions.EntityAlreadyExistsException:
        answer = iam.get_role(RoleName=name)
    return str(answer["Role"]["Arn"])


def create_project(codebuild: Any, role_arn: str) -> None:
    """Create the CodeBuild project, unless there is one of that name."""
    try:
        codebuild.create_project(**build_project(role_arn))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise


def build_project(role_arn: str) -> dict[str, Any]:
    """Return the CodeBuild project; each build brings its own source and buildspec."""
    return {
        "name": PROJECT,
        "serviceRole": role_arn,
        "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: ['true']}}\n"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Seed a local AWS and print the Variable."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.seed", description="Fill a fresh local AWS.")
    parser.add_argument("endpoint_url", help="address of the local AWS")
    account = seed(parser.parse_args(arguments).endpoint_url)
    json.dump({VARIABLE: account.settings}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
