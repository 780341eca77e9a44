"""A whole account in the table of answers that stands for AWS: whatever may go, and whatever refers to it.

Lists have two things on a page, so that who reads the first page only misses something.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from tests.support.fake_aws import AwsSays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fake_aws import FakeAws

__all__ = ["REPOSITORY", "FakeAccount", "digest"]

REPOSITORY = "iris"
_REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
_PAGE = 2
_OURS = {"project": "sagemaker-byoc"}


def digest(number: int) -> str:
    """Return the digest of an image."""
    return f"sha256:{number:064x}"


class FakeAccount:
    """Endpoints, configurations, models, images, jobs and versions; ages are in days.

    :param before_delete: called with the name before each deletion is carried out
    """

    def __init__(self, aws: FakeAws) -> None:
        self.now = datetime.now(timezone.utc)
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.transform_jobs: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}
        self.components: dict[str, dict[str, Any]] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.before_delete: Callable[[str], object] = lambda _: None
        self._serve(aws)

    def endpoint(self, name: str, config: str, *, age: float = 100, pending: str = "", **tags: str) -> None:
        """Let an endpoint serve a configuration."""
        changed = self.now - timedelta(days=age)
        variants = [
            {"VariantName": each["VariantName"], "CurrentInstanceCount": 2}
            for each in self.configs.get(config, {}).get("ProductionVariants", [])
        ]
        self.endpoints[name] = {
            "EndpointName": name,
            "EndpointArn": self._tagged("endpoint", name, tags),
            "EndpointConfigName": config,
            "EndpointStatus": "Updating" if pending else "InService",
            "CreationTime": changed,
            "LastModifiedTime": changed,
            "ProductionVariants": variants,
            **({"PendingDeploymentSummary": {"EndpointConfigName": pending}} if pending else {}),
        }

    def config(self, name: str, *models: str, age: float = 100, shadow: str = "", **tags: str) -> str:
        """Make a configuration of these models, of our own unless ``project`` says otherwise."""
        self.configs[name] = {
            "EndpointConfigName": name,
            "EndpointConfigArn": self._tagged("endpoint-config", name, tags),
            "ProductionVariants": [
                {"VariantName": f"v{number}", "InstanceType": "ml.m5.large", **({"ModelName": model} if model else {})}
                for number, model in enumerate(models)
            ],
            **({"ShadowProductionVariants": [{"VariantName": "s", "ModelName": shadow}]} if shadow else {}),
            "CreationTime": self.now - timedelta(days=age),
        }
        return name

    def model(self, name: str, *images: str, age: float = 100, package: str = "", **tags: str) -> str:
        """Make a model of these images."""
        containers: list[dict[str, str]] = [{"Image": image} for image in images]
        containers += [{"ModelPackageName": package}] if package else []
        self.models[name] = {
            "ModelName": name,
            "ModelArn": self._tagged("model", name, tags),
            "Containers": containers,
            "CreationTime": self.now - timedelta(days=age),
        }
        return name

    def image(self, number: int, *tags: str, age: float = 100, pulled: float | None = None) -> str:
        """Push an image; return the reference that names its digest."""
        self.images[digest(number)] = {
            "repositoryName": REPOSITORY,
            "imageDigest": digest(number),
            "imageTags": list(tags) or [f"ctx-{number}"],
            "imageSizeInBytes": 10**9,
            "imagePushedAt": self.now - timedelta(days=age),
            **({"lastRecordedPullTime": self.now - timedelta(days=pulled)} if pulled is not None else {}),
        }
        return f"{_REGISTRY}/{REPOSITORY}@{digest(number)}"

    def tagged_image(self, number: int, tag: str) -> str:
        """Push an image; return the reference that names its tag."""
        self.image(number, tag)
        return f"{_REGISTRY}/{REPOSITORY}:{tag}"

    def job(self, name: str, image: str, status: str = "InProgress") -> None:
        """Let a training job run in an image."""
        self.jobs[name] = {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{name}",
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "TrainingJobStatus": status,
            "CreationTime": self.now - timedelta(days=20),
        }

    def transform_job(self, name: str, model: str, status: str = "InProgress") -> str:
        """Let a transform job ask a model; return the job's name."""
        self.transform_jobs[name] = {
            "TransformJobName": name,
            "TransformJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:transform-job/{name}",
            "TransformJobStatus": status,
            "ModelName": model,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/"}}},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "CreationTime": self.now,
        }
        return name

    def package(self, number: int, image: str, status: str = "Approved", *, age: float = 100) -> str:
        """Register a version that names an image; return its ARN."""
        arn = f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/iris/{number}"
        self.packages[arn] = {
            "ModelPackageName": "iris",
            "ModelPackageArn": arn,
            "ModelApprovalStatus": status,
            "InferenceSpecification": {"Containers": [{"Image": image}]},
            "CreationTime": self.now - timedelta(days=age),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
        }
        return arn

    def component(self, name: str, endpoint: str, model: str) -> str:
        """Let an endpoint serve a model by an inference component; return the component's name."""
        arn = "arn:aws:sagemaker:eu-west-1:123456789012"
        self.components[name] = {
            "InferenceComponentName": name,
            "InferenceComponentArn": f"{arn}:inference-component/{name}",
            "EndpointName": endpoint,
            "EndpointArn": f"{arn}:endpoint/{endpoint}",
            "VariantName": "v0",
            "Specification": {"ModelName": model},
            "CreationTime": self.now,
            "LastModifiedTime": self.now,
        }
        return name

    def left(self) -> set[str]:
        """Name everything that may be deleted and is there."""
        return {*self.endpoints, *self.configs, *self.models, *self.images}

    def _tagged(self, kind: str, name: str, tags: dict[str, str]) -> str:
        arn = f"arn:aws:sagemaker:eu-west-1:123456789012:{kind}/{name}"
        self.tags[arn] = {**_OURS, **tags}
        return arn

    def _serve(self, aws: FakeAws) -> None:
        aws.on("ListEndpoints", self._list(self.endpoints, "Endpoints", "EndpointName", "EndpointArn"))
        aws.on(
            "ListEndpointConfigs",
            self._list(self.configs, "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"),
        )
        aws.on("ListModels", self._list(self.models, "Models", "ModelName", "ModelArn"))
        aws.on("ListTrainingJobs", self._list(self.jobs, "TrainingJobSummaries", "TrainingJobName", "TrainingJobArn"))
        named = ("TransformJobName", "TransformJobArn")
        aws.on("ListTransformJobs", self._list(self.transform_jobs, "TransformJobSummaries", *named))
        aws.on("DescribeTransformJob", lambda **asked: self.transform_jobs[asked["TransformJobName"]])
        aws.on("ListModelPackages", self._list(self.packages, "ModelPackageSummaryList", "ModelPackageArn"))
        members = ("InferenceComponentName", "InferenceComponentArn", "EndpointName", "EndpointArn", "VariantName")
        aws.on("ListInferenceComponents", self._list(self.components, "InferenceComponents", *members))
        for kind, things, member in (
            ("Endpoint", self.endpoints, "EndpointName"),
            ("EndpointConfig", self.configs, "EndpointConfigName"),
            ("Model", self.models, "ModelName"),
        ):
            aws.on(f"Describe{kind}", self._describe(kind, things, member))
            aws.on(f"Delete{kind}", self._delete(kind, things, member))
        aws.on("DescribeTrainingJob", self._describe_job)
        aws.on("DescribeModelPackage", lambda **asked: self.packages[asked["ModelPackageName"]])
        aws.on("DescribeInferenceComponent", lambda **asked: self.components[asked["InferenceComponentName"]])
        aws.on("ListTags", self._list_tags)
        aws.on("DescribeImages", self._describe_images)
        aws.on("BatchDeleteImage", self._delete_images)
        aws.on("GetProducts", {"FormatVersion": "aws_v1", "PriceList": []})

    def _list(self, things: dict[str, dict[str, Any]], result: str, *members: str) -> Callable[..., dict[str, Any]]:
        times = ("CreationTime", "LastModifiedTime")
        states = ("EndpointStatus", "TrainingJobStatus", "TransformJobStatus", "ModelPackageStatus")

        def answer(**asked: Any) -> dict[str, Any]:
            wanted = [each for each in things.values() if _is_wanted(each, asked)]
            begin = int(asked.get("NextToken", 0))
            page = [{name: each[name] for name in (*members, *times, *states) if name in each} for each in wanted]
            more = {"NextToken": str(begin + _PAGE)} if len(wanted) > begin + _PAGE else {}
            return {result: page[begin : begin + _PAGE], **more}

        return answer

    def _describe(self, kind: str, things: dict[str, dict[str, Any]], member: str) -> Callable[..., dict[str, Any]]:
        def answer(**asked: Any) -> dict[str, Any]:
            return self._found(kind, things, asked[member])

        return answer

    def _delete(self, kind: str, things: dict[str, dict[str, Any]], member: str) -> Callable[..., dict[str, Any]]:
        def answer(**asked: Any) -> dict[str, Any]:
            self.before_delete(asked[member])
            self._found(kind, things, asked[member])
            del things[asked[member]]
            return {}

        return answer

    def _found(self, kind: str, things: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
        if name not in things:
            words = {"Endpoint": "endpoint", "EndpointConfig": "endpoint configuration", "Model": "model"}
            raise AwsSays("ValidationException", f'Could not find {words[kind]} "arn:…/{name}".')
        return things[name]

    def _describe_job(self, **asked: Any) -> dict[str, Any]:
        needed = {
            "ModelArtifacts": {"S3ModelArtifacts": ""},
            "SecondaryStatus": "Training",
            "ResourceConfig": {"VolumeSizeInGB": 1},
            "StoppingCondition": {},
        }
        return {**needed, **self.jobs[asked["TrainingJobName"]]}

    def _list_tags(self, **asked: Any) -> dict[str, Any]:
        if asked["ResourceArn"] not in self.tags:
            raise AwsSays("ValidationException", "Requested resource not found.")
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags[asked["ResourceArn"]].items()]}

    def _describe_images(self, **asked: Any) -> dict[str, Any]:
        if asked["repositoryName"] != REPOSITORY:
            raise AwsSays("RepositoryNotFoundException", "The repository does not exist")
        wanted = [each["imageDigest"] for each in asked.get("imageIds", [])] or list(self.images)
        if any(each not in self.images for each in wanted):
            raise AwsSays("ImageNotFoundException", "The image does not exist")
        return {"imageDetails": [self.images[each] for each in wanted]}

    def _delete_images(self, **asked: Any) -> dict[str, Any]:
        [wanted] = asked["imageIds"]
        self.before_delete(wanted["imageDigest"])
        if self.images.pop(wanted["imageDigest"], None) is None:
            return {"failures": [{"imageId": wanted, "failureCode": "ImageNotFound"}]}
        return {"imageIds": [wanted]}


def _is_wanted(thing: dict[str, Any], asked: dict[str, Any]) -> bool:
    status = ("EndpointStatus", "TrainingJobStatus", "TransformJobStatus")
    return (
        asked.get("StatusEquals") in (None, *(thing.get(name) for name in status))
        and asked.get("ModelApprovalStatus") in (None, thing.get("ModelApprovalStatus"))
        and asked.get("EndpointNameEquals") in (None, thing.get("EndpointName"))
        and _is_after(thing.get("CreationTime"), asked.get("CreationTimeAfter"))
        and _is_after(thing.get("LastModifiedTime"), asked.get("LastModifiedTimeAfter"))
    )


def _is_after(moment: datetime | None, since: datetime | None) -> bool:
    return since is None or (moment is not None and moment > since)
