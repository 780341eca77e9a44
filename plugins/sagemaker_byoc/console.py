"""Addresses of the AWS console. Knows only strings."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["build_url", "endpoint_url", "log_url", "model_url", "training_job_url", "transform_job_url"]

CHINA = "console.amazonaws.cn"
US_GOV = "console.amazonaws-us-gov.com"
COMMERCIAL = "console.aws.amazon.com"


def training_job_url(region: str, name: str) -> str:
    """Return the page of a training job."""
    return f"{console(region)}/sagemaker/home?region={region}#/jobs/{quote(name)}"


def transform_job_url(region: str, name: str) -> str:
    """Return the page of a batch transform job."""
    return f"{console(region)}/sagemaker/home?region={region}#/transform-jobs/{quote(name)}"


def model_url(region: str, name: str) -> str:
    """Return the page of a model."""
    return f"{console(region)}/sagemaker/home?region={region}#/models/{quote(name)}"


def endpoint_url(region: str, name: str) -> str:
    """Return the page of an endpoint."""
    return f"{console(region)}/sagemaker/home?region={region}#/endpoints/{quote(name)}"


def build_url(region: str, account: str, project: str, build_id: str) -> str:
    """Return the page of a CodeBuild build.

    :param build_id: ``<project>:<uuid>``
    """
    page = f"/codesuite/codebuild/{account}/projects/{quote(project)}/build/{quote(build_id)}"
    return f"{console(region)}{page}/?region={region}"


def log_url(region: str, group: str, stream_prefix: str = "") -> str:
    """Return the page of a CloudWatch log group, narrowed to the streams that begin with the prefix."""
    page = f"{console(region)}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{twice_quoted(group)}"
    return f"{page}$3FlogStreamNameFilter$3D{twice_quoted(stream_prefix)}" if stream_prefix else page


def console(region: str) -> str:
    """Return the console's origin in the region's partition."""
    if region.startswith("cn-"):
        return f"https://{region}.{CHINA}"
    if region.startswith("us-gov-"):
        return f"https://{US_GOV}"
    return f"https://{region}.{COMMERCIAL}"


def twice_quoted(text: str) -> str:
    """Quote as the console's logs page wants it: percent-encoded twice, with ``$`` for the outer percent sign."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
