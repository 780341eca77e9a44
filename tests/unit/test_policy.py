"""The policy that the README hands to a user names every call that the provider makes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import botocore.session
from botocore import xform_name

from local_stack.home import CHECKOUT
from tests.support.fake_aws import fake_aws
from tests.support.fake_build import FakeBuild
from tests.support.image_task import codebuild_operator
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SERVICES = ("sagemaker", "sagemaker-runtime", "codebuild", "ecr", "s3", "logs", "sqs", "cloudwatch", "pricing")
HOOKS = CHECKOUT / "plugins" / "sagemaker_byoc" / "hooks"

CLEAN_UP = {HOOKS / f"{name}.py" for name in ("account", "image_use", "leftover", "paced_client", "price")}
"""The hooks whose calls the role that retrains must not make."""

# IAM has names of its own for a few calls. Source: the service authorization reference of each service.
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "sagemaker-runtime:InvokeEndpoint": "sagemaker:InvokeEndpoint",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
# What a call needs because of tags in its request.
WITH_TAGS = {"ecr:TagResource", "iam:PassRole"}

# What the Docker engine calls with our token when it pushes, and when it pulls the previous image.
BY_THE_ENGINE = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}


def operations() -> dict[str, list[str]]:
    """Return the services' operations by their name in boto3."""
    found: dict[str, list[str]] = {}
    session = botocore.session.get_session()
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), []).append(f"{service}:{operation}")
    return found


def called(hooks: Iterable[Path]) -> set[str]:
    """Return the IAM actions of every boto3 call in these hooks, called as a method or named for a paginator."""
    source = "\n".join(path.read_text() for path in hooks)
    names = set(re.findall(r"client(?:\([^)]*\))?\.([a-z0-9_]+)\(", source)) | set(
        re.findall(r'"([a-z0-9_]+)"', source)
    )
    known = operations()
    return {ACTIONS.get(name, name) for method in names & known.keys() for name in known[method]}


PULLS = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
"""What a pull needs. Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-pull-iam.html"""


def allowed_on_base_images(policy: str) -> set[str]:
    """Return the actions that a policy allows on the repositories of base images."""
    statements = json.loads((CHECKOUT / "include" / "iam" / policy).read_text())["Statement"]
    [found] = [each for each in statements if "BASE_REPOSITORY" in str(each["Resource"])]
    return set(found["Action"])


def test_base_images_may_be_looked_up_and_pulled(tmp_path: Path) -> None:
    """They lie in other repositories than the one that the image goes to, and the build only pulls them."""
    (tmp_path / "Dockerfile").write_text("FROM 210987654321.dkr.ecr.us-east-1.amazonaws.com/base:1\n")
    with fake_aws() as aws:
        FakeBuild(aws).elsewhere["base"] = f"sha256:{1:064x}"
        TaskRun().of(codebuild_operator(tmp_path, "iris"))
    asked = {f"ecr:{name}" for name, request in aws.calls if request.get("repositoryName") == "base"}
    assert asked
    assert allowed_on_base_images("airflow.json") == asked | PULLS
    assert allowed_on_base_images("build-role.json") == PULLS


def allowed(policy: str) -> set[str]:
    """Return the actions that a policy allows on anything."""
    statements = json.loads((CHECKOUT / "include" / "iam" / policy).read_text())["Statement"]
    listed = [statement["Action"] for statement in statements]
    return {action for entry in listed for action in ([entry] if isinstance(entry, str) else entry)}


def test_every_call_is_allowed_and_nothing_else() -> None:
    """A missing action fails the first run on AWS; one too many is a right that nobody needs."""
    calls = called(set(HOOKS.glob("*.py")) - CLEAN_UP)
    assert calls - allowed("airflow.json") == set()
    assert allowed("airflow.json") - calls == WITH_TAGS | BY_THE_ENGINE


def test_cleaning_up_has_a_policy_of_its_own() -> None:
    """What deletes may do just that, and the role that retrains may delete neither models nor images."""
    assert allowed("cleanup.json") == called(CLEAN_UP)
    only_here = allowed("cleanup.json") - allowed("airflow.json")
    assert {"sagemaker:DeleteModel", "ecr:BatchDeleteImage"} <= only_here
