"""ListTrainingJobs over HTTP: pages, filters and orders of AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from tests.support.local_cloud import local_cloud
from tests.support.training import TrainingAccount

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingAccount]:
    """An account with twelve ended jobs, ``list-01`` to ``list-12``, every third one failed."""
    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        account = TrainingAccount(cloud)
        names = [f"list-{number:02}" for number in range(1, 13)]
        for number, name in enumerate(names, start=1):
            account.create("sys.exit(1)" if number % 3 == 0 else "", TrainingJobName=name)
        for name in names:
            account.finish(name)
        yield account


def _names(answer: dict[str, Any]) -> list[str]:
    return [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]]


def test_a_page_has_ten_jobs_newest_first(account: TrainingAccount) -> None:
    """Without parameters the ten newest come, with a token for the rest."""
    first = account.sagemaker.list_training_jobs()
    second = account.sagemaker.list_training_jobs(NextToken=first["NextToken"])

    assert _names(first) == [f"list-{number:02}" for number in range(12, 2, -1)]
    assert _names(second) == ["list-02", "list-01"]
    assert "NextToken" not in second


def test_a_summary_has_the_members_of_aws(account: TrainingAccount) -> None:
    """Nothing is missing and nothing is added."""
    job = account.sagemaker.list_training_jobs(MaxResults=1)["TrainingJobSummaries"][0]

    described = account.describe(job["TrainingJobName"])
    assert job == {
        key: described[key]
        for key in (
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
            "SecondaryStatus",
        )
    }


def test_a_status_filter_works_on_pages_that_were_cut_before(account: TrainingAccount) -> None:
    """As on AWS, pages are cut first and filtered then, so they can be empty while a token promises more."""
    pages = list(
        account.sagemaker.get_paginator("list_training_jobs").paginate(
            StatusEquals="Failed", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
        )
    )

    assert [_names(page) for page in pages] == [[], ["list-03"], ["list-06"], [], ["list-09"], ["list-12"]]


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"NameContains": "LIST-1", "SortBy": "Name", "SortOrder": "Descending"}, ["list-12", "list-11", "list-10"]),
        ({"SortBy": "Name", "SortOrder": "Ascending", "MaxResults": 2}, ["list-01", "list-02"]),
        (
            {"SortBy": "Status", "SortOrder": "Descending", "MaxResults": 4},
            ["list-12", "list-09", "list-06", "list-03"],
        ),
        ({"SortOrder": "Ascending", "MaxResults": 1}, ["list-01"]),
        ({"WarmPoolStatusEquals": "Available"}, []),
    ],
)
def test_filters_and_orders(account: TrainingAccount, parameters: dict[str, Any], names: list[str]) -> None:
    """Names are compared without regard to case, ties are broken by name."""
    assert _names(account.sagemaker.list_training_jobs(**parameters)) == names


def test_times_filter_both_ways(account: TrainingAccount) -> None:
    """After and Before leave out the moment itself."""
    created = account.describe("list-06")["CreationTime"]

    after = account.sagemaker.list_training_jobs(CreationTimeAfter=created)
    before = account.sagemaker.list_training_jobs(CreationTimeBefore=created)

    assert _names(after) == [f"list-{n:02}" for n in range(12, 6, -1)]
    assert _names(before) == [f"list-{n:02}" for n in range(5, 0, -1)]


def test_last_modified_filters(account: TrainingAccount) -> None:
    """A watcher that asks for what changed since its last look gets nothing when nothing did."""
    newest = max(
        job["LastModifiedTime"] for job in account.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    )

    answer = account.sagemaker.list_training_jobs(LastModifiedTimeAfter=newest.timestamp() + 0.001)

    assert _names(answer) == []


def test_a_foreign_token_is_refused(account: TrainingAccount) -> None:
    """A token that no page gave is a ValidationException."""
    for token in ("garbage", "WzEsIDJd", "bnVsbA=="):
        with pytest.raises(botocore.exceptions.ClientError) as refusal:
            account.sagemaker.list_training_jobs(NextToken=token)
        assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_tags_can_be_added_listed_and_taken_away(account: TrainingAccount) -> None:
    """AddTags answers all tags of the resource, with new values for known keys."""
    sagemaker = account.sagemaker
    arn = account.describe("list-01")["TrainingJobArn"]

    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}])
    answer = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    assert answer["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "1"}]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "unknown"])

    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "1"}]


def test_a_resource_has_at_most_fifty_tags(account: TrainingAccount) -> None:
    """The fifty-first is refused and none of its request is kept."""
    sagemaker = account.sagemaker
    arn = account.describe("list-02")["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])

    with pytest.raises(botocore.exceptions.ClientError, match="would have 51 tags; at most 50"):
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "one-more", "Value": ""}])

    assert len(sagemaker.list_tags(ResourceArn=arn)["Tags"]) == 50
