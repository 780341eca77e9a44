"""A valid request for each operation of our services, and ways to alter it within the limits of the models."""

from __future__ import annotations

import base64
import re
import string
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.support.hosting import BUCKET, HostingAccount

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["altered", "renamed", "valid_requests"]

_PLAIN = st.text(alphabet=string.ascii_letters + string.digits + "-_./:,= ", min_size=1, max_size=40)
_NAMES = {
    "CreateTrainingJob": "TrainingJobName",
    "CreateTransformJob": "TransformJobName",
    "CreateModel": "ModelName",
    "CreateModelPackageGroup": "ModelPackageGroupName",
    "CreateEndpointConfig": "EndpointConfigName",
    "CreateEndpoint": "EndpointName",
    "CreateProject": "name",
}
_MOST_INT = {"integer": 2**31 - 1, "long": 2**63 - 1}
_MOST_FLOAT = 1e308


def valid_requests(account: HostingAccount) -> dict[tuple[str, str], dict[str, Any]]:
    """Make the resources that requests need; return the requests by service and operation.

    Each changes resources of its own, so that they stay valid in any order; ``InvokeEndpoint`` has an endpoint that
    nothing else touches.
    """
    account.s3.put_object(Bucket=BUCKET, Key="data/a.csv", Body=b"1")
    return {
        **_training_requests(account),
        **_registry_requests(account),
        **_hosting_requests(account),
        **_transform_requests(account),
        **_build_requests(account),
    }


def _training_requests(account: HostingAccount) -> dict[tuple[str, str], dict[str, Any]]:
    request = {
        "TrainingJobName": account.name("job"),
        "RoleArn": account.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": account.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"rate": "1"},
        "Environment": {"A": "1"},
    }
    account.sagemaker.create_training_job(**request)
    job = {"TrainingJobName": request["TrainingJobName"]}
    arn = account.sagemaker.describe_training_job(**job)["TrainingJobArn"]
    return {
        ("sagemaker", "CreateTrainingJob"): {**request, "TrainingJobName": account.name("job")},
        ("sagemaker", "DescribeTrainingJob"): job,
        ("sagemaker", "ListTrainingJobs"): {"MaxResults": 1, "SortBy": "Name"},
        ("sagemaker", "StopTrainingJob"): job,
        ("sagemaker", "DeleteTrainingJob"): {"TrainingJobName": account.name("job")},
        ("sagemaker", "AddTags"): {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "1"}]},
        ("sagemaker", "ListTags"): {"ResourceArn": arn},
        ("sagemaker", "DeleteTags"): {"ResourceArn": arn, "TagKeys": ["a"]},
    }


def _registry_requests(account: HostingAccount) -> dict[tuple[str, str], dict[str, Any]]:
    group, other = account.name("group"), account.name("group")
    for name in (group, other):
        account.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    version = {
        "ModelPackageGroupName": group,
        "InferenceSpecification": {"Containers": [{"Image": account.image}]},
        "CustomerMetadataProperties": {"accuracy": "1"},
    }
    first, second = (account.sagemaker.create_model_package(**version)["ModelPackageArn"] for _ in range(2))
    of_registry: dict[str, dict[str, Any]] = {
        "CreateModelPackageGroup": {"ModelPackageGroupName": account.name("group")},
        "DescribeModelPackageGroup": {"ModelPackageGroupName": group},
        "ListModelPackageGroups": {"SortBy": "Name"},
        "DeleteModelPackageGroup": {"ModelPackageGroupName": other},
        "CreateModelPackage": version,
        "DescribeModelPackage": {"ModelPackageName": first},
        "ListModelPackages": {"ModelPackageGroupName": group, "MaxResults": 1},
        "UpdateModelPackage": {"ModelPackageArn": first, "ModelApprovalStatus": "Approved"},
        "DeleteModelPackage": {"ModelPackageName": second},
    }
    return {("sagemaker", operation): request for operation, request in of_registry.items()}


def _hosting_requests(account: HostingAccount) -> dict[tuple[str, str], dict[str, Any]]:
    model = account.model("answer")
    config = account.config({"ModelName": model})
    steady, changing = account.endpoint(config), account.endpoint(config)
    container = {"Image": account.image, "ModelDataUrl": account.data({"name": b"x"}), "Environment": {"A": "1"}}
    variant = {"VariantName": "A", "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    change = {"VariantName": "AllTraffic", "DesiredWeight": 1.0, "DesiredInstanceCount": 1}
    of_sagemaker: dict[str, dict[str, Any]] = {
        "CreateModel": {
            "ModelName": account.name("model"),
            "ExecutionRoleArn": account.role_arn,
            "PrimaryContainer": container,
        },
        "DescribeModel": {"ModelName": model},
        "ListModels": {"NameContains": "m"},
        "DeleteModel": {"ModelName": account.name("model")},
        "CreateEndpointConfig": {"EndpointConfigName": account.name("config"), "ProductionVariants": [variant]},
        "DescribeEndpointConfig": {"EndpointConfigName": config},
        "ListEndpointConfigs": {"MaxResults": 1},
        "DeleteEndpointConfig": {"EndpointConfigName": account.name("config")},
        "CreateEndpoint": {"EndpointName": account.name("Endpoint"), "EndpointConfigName": config},
        "DescribeEndpoint": {"EndpointName": steady},
        "ListEndpoints": {"SortOrder": "Ascending"},
        "UpdateEndpoint": {"EndpointName": changing, "EndpointConfigName": account.config({"ModelName": model})},
        "UpdateEndpointWeightsAndCapacities": {"EndpointName": changing, "DesiredWeightsAndCapacities": [change]},
        "DeleteEndpoint": {"EndpointName": account.name("Endpoint")},
    }
    invocation = {"EndpointName": steady, "ContentType": "text/csv", "Body": base64.b64encode(b"1").decode()}
    return {
        **{("sagemaker", operation): request for operation, request in of_sagemaker.items()},
        ("sagemaker-runtime", "InvokeEndpoint"): invocation,
    }


def _transform_requests(account: HostingAccount) -> dict[tuple[str, str], dict[str, Any]]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data"}
    request = {
        "TransformJobName": account.name("transform"),
        "ModelName": account.model("answer"),
        "MaxConcurrentTransforms": 2,
        "MaxPayloadInMB": 1,
        "BatchStrategy": "SingleRecord",
        "ModelClientConfig": {"InvocationsMaxRetries": 1},
        "Environment": {"A": "1"},
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    account.sagemaker.create_transform_job(**request)
    job = {"TransformJobName": request["TransformJobName"]}
    of_sagemaker: dict[str, dict[str, Any]] = {
        "CreateTransformJob": {**request, "TransformJobName": account.name("transform")},
        "DescribeTransformJob": job,
        "ListTransformJobs": {"MaxResults": 1, "SortBy": "Status"},
        "StopTransformJob": job,
    }
    return {("sagemaker", operation): request for operation, request in of_sagemaker.items()}


def _build_requests(account: HostingAccount) -> dict[tuple[str, str], dict[str, Any]]:
    project = {
        "name": "images",
        "serviceRole": account.cloud.role("build", "codebuild.amazonaws.com"),
        "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: ['true']}}\n"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
    }
    codebuild = account.cloud.client("codebuild")
    codebuild.create_project(**project)
    codebuild.create_project(**{**project, "name": "changing"})
    build_id = codebuild.start_build(projectName="images")["build"]["id"]
    of_codebuild: dict[str, dict[str, Any]] = {
        "CreateProject": {**project, "name": "created"},
        "UpdateProject": {**project, "name": "changing"},
        "BatchGetProjects": {"names": ["images"]},
        "ListProjects": {"sortBy": "NAME"},
        "DeleteProject": {"name": "nothing"},
        "StartBuild": {"projectName": "images", "timeoutInMinutesOverride": 5},
        "StopBuild": {"id": build_id},
        "BatchGetBuilds": {"ids": [build_id]},
        "ListBuildsForProject": {"projectName": "images"},
    }
    return {("codebuild", operation): request for operation, request in of_codebuild.items()}


def renamed(operation: str, request: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the request with a name that is still free, when it is one that makes something."""
    name = _NAMES.get(operation)
    return {**request, name: f"{request[name]}-{number}"} if name else dict(request)


def altered(shape: Any, request: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests in which one or two members, at any depth, have other values that the model allows."""
    return _altered_once(shape, request).flatmap(lambda once: st.just(once) | _altered_once(shape, once))


@st.composite
def _altered_once(draw: st.DrawFn, shape: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    name = draw(st.sampled_from([*shape.members, *document]))
    member, present = shape.members[name], document.get(name)
    if member.type_name == "structure" and present and draw(st.integers(0, 3)):
        return {**document, name: draw(_altered_once(member, present))}
    if member.type_name == "list" and member.member.type_name == "structure" and present and draw(st.integers(0, 3)):
        return {**document, name: [draw(_altered_once(member.member, present[0])), *present[1:]]}
    return {**document, name: draw(_value(member))}


def _value(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return JSON values within the limits of a shape."""
    kind, low, high = shape.type_name, shape.metadata.get("min"), shape.metadata.get("max")
    if kind == "structure":
        return _structure(shape, depth)
    if kind == "list":
        return st.lists(_value(shape.member, depth + 1), min_size=low or 0, max_size=max(low or 0, min(high or 2, 2)))
    if kind == "map":
        return st.dictionaries(_value(shape.key), _value(shape.value, depth + 1), min_size=low or 0, max_size=2)
    if kind == "string":
        return st.sampled_from(shape.enum) if shape.enum else _text(shape)
    if kind == "boolean":
        return st.booleans()
    if kind == "blob":
        return st.binary(max_size=min(high or 50, 50)).map(lambda content: base64.b64encode(content).decode())
    if kind == "timestamp":
        return st.sampled_from([0, -62135596800, 253402300799, 1e9, 0.001])
    return _number(kind, low, high)


def _structure(shape: Any, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    members = {
        name: _value(member, depth + 1)
        for name, member in shape.members.items()
        if depth < 3 or name in shape.required_members
    }
    needed = {name: strategy for name, strategy in members.items() if name in shape.required_members}
    return st.fixed_dictionaries(
        needed, optional={name: strategy for name, strategy in members.items() if name not in needed}
    )


def _number(kind: str, low: Any, high: Any) -> st.SearchStrategy[Any]:
    """Return the ends of the range and what lies next to them."""
    if kind in {"float", "double"}:
        return st.sampled_from([low or 0, 5e-324, 1.5, high or _MOST_FLOAT])
    first, last = -1 if low is None else low, _MOST_INT[kind] if high is None else high
    return st.sampled_from([first, min(first + 1, last), min(first + 2, last), last])


def _text(shape: Any) -> st.SearchStrategy[str]:
    low, high = shape.metadata.get("min") or 0, shape.metadata.get("max") or 1024
    pattern = shape.metadata.get("pattern")
    try:
        words = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True) if pattern else _PLAIN
    except re.error:
        words = _PLAIN  # one of Java's classes, which `re` does not know
    shortest = words.filter(lambda text: low <= len(text) <= high)
    return shortest if pattern else shortest | st.just("x" * max(low, 1)) | st.just("x" * min(high, 300))
