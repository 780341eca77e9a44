"""Addresses of the AWS console."""

from __future__ import annotations

import pytest

from sagemaker_byoc.console import build_url, endpoint_url, log_url, model_url, training_job_url, transform_job_url


@pytest.mark.parametrize(
    ("region", "origin"),
    [
        ("eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("us-gov-west-1", "https://console.amazonaws-us-gov.com/"),
    ],
)
def test_each_partition_has_its_own_console(region: str, origin: str) -> None:
    """A link from China or GovCloud leads to the console that has the job."""
    for url in (
        training_job_url(region, "job"),
        transform_job_url(region, "job"),
        model_url(region, "model"),
        endpoint_url(region, "endpoint"),
        log_url(region, "/aws/sagemaker/TrainingJobs"),
        build_url(region, "123456789012", "images", "images:1"),
    ):
        assert url.startswith(origin)
        assert f"region={region}" in url


def test_the_log_page_shows_only_the_jobs_streams() -> None:
    """Group and prefix are quoted as the console itself quotes them."""
    url = log_url("eu-west-1", "/aws/sagemaker/TrainingJobs", "job-1/")
    assert url.endswith(
        "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3Djob-1$252F"
    )


def test_names_are_quoted() -> None:
    """A build id holds a colon, which a path must not."""
    assert "/build/images%3A1/" in build_url("eu-west-1", "123456789012", "images", "images:1")
