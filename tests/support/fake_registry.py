"""SageMaker's model registry in the table of answers that stands for AWS."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from tests.support.fake_aws import AwsSays, FakeAws

__all__ = ["GROUP", "FakeRegistry"]

GROUP = "iris"
_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package"
_START = datetime(2026, 1, 3, tzinfo=timezone.utc)


class FakeRegistry:
    """Groups and their versions, and the objects of every bucket.

    :param packages: description by ARN, in the order in which they were made
    :param objects: what each listing of a bucket shows
    :param written: body by key of each object that was put
    """

    def __init__(self, aws: FakeAws) -> None:
        self.groups: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}
        self.objects: list[dict[str, Any]] = []
        self.written: dict[str, bytes] = {}
        aws.on("CreateModelPackageGroup", self._create_group)
        aws.on("CreateModelPackage", self._create)
        aws.on("DescribeModelPackage", self._describe)
        aws.on("ListModelPackages", self._list)
        aws.on("UpdateModelPackage", self._update)
        aws.on("ListObjectsV2", lambda **_: {"Contents": self.objects, "KeyCount": len(self.objects)})
        aws.on("PutObject", self._put)

    def holds(self, approval: str = "Approved", **properties: str) -> str:
        """Register a version; return its ARN.

        :param properties: of the customer; ``metric_x`` stands for ``metric:x``
        """
        self.groups.setdefault(GROUP, {})
        kept = {name.replace("metric_", "metric:"): text for name, text in properties.items()}
        facts = {"CustomerMetadataProperties": kept} if kept else {}
        return str(self._create(ModelPackageGroupName=GROUP, ModelApprovalStatus=approval, **facts)["ModelPackageArn"])

    def _create_group(self, **request: Any) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        if name in self.groups:
            raise AwsSays("ValidationException", f"Model Package Group already exists: {_ARN}-group/{name}")
        self.groups[name] = request
        return {"ModelPackageGroupArn": f"{_ARN}-group/{name}"}

    def _create(self, **request: Any) -> dict[str, Any]:
        self._need_group(request)
        known = [
            arn for arn, one in self.packages.items() if one["token"] and one["token"] == request.get("ClientToken")
        ]
        if known:
            return {"ModelPackageArn": known[0]}
        number = len(self.packages) + 1
        arn = f"{_ARN}/{request['ModelPackageGroupName']}/{number}"
        self.packages[arn] = {
            **{name: value for name, value in request.items() if name != "ClientToken"},
            "token": request.get("ClientToken"),
            "ModelPackageName": request["ModelPackageGroupName"],
            "ModelPackageArn": arn,
            "ModelPackageVersion": number,
            "CreationTime": _START + timedelta(days=number),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
        }
        return {"ModelPackageArn": arn}

    def _describe(self, **request: Any) -> dict[str, Any]:
        package = self._found(request["ModelPackageName"])
        return {name: value for name, value in package.items() if name != "token"}

    def _list(self, **request: Any) -> dict[str, Any]:
        self._need_group(request)
        assert request["SortOrder"] == "Descending"
        wanted = [
            {name: package[name] for name in ("ModelPackageArn", "CreationTime", "ModelPackageStatus")}
            for package in reversed(self.packages.values())
            if request.get("ModelApprovalStatus") in (None, package["ModelApprovalStatus"])
            and package["CreationTime"] > request.get("CreationTimeAfter", _START)
        ]
        return {"ModelPackageSummaryList": wanted}

    def _update(self, **request: Any) -> dict[str, Any]:
        package = self._found(request["ModelPackageArn"])
        removed = request.pop("CustomerMetadataPropertiesToRemove", [])
        package.update(request)
        for name in removed:
            package.get("CustomerMetadataProperties", {}).pop(name, None)
        return {"ModelPackageArn": request["ModelPackageArn"]}

    def _put(self, **request: Any) -> dict[str, Any]:
        self.written[request["Key"]] = request["Body"]
        return {}

    def _found(self, arn: str) -> dict[str, Any]:
        if arn not in self.packages:
            raise AwsSays("ValidationException", f"ModelPackage {arn} does not exist.")
        return self.packages[arn]

    def _need_group(self, request: dict[str, Any]) -> None:
        if request["ModelPackageGroupName"] not in self.groups:
            arn = f"{_ARN}-group/{request['ModelPackageGroupName']}"
            raise AwsSays("ValidationException", f"ModelPackageGroup {arn} does not exist.")
