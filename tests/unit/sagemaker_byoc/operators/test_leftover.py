"""Cleaning up: what is found, what is deleted, and what stays whatever happens meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.errors import LeftoverError
from sagemaker_byoc.operators.leftover import CleanUpLeftoversOperator
from tests.support.fake_account import REPOSITORY, FakeAccount, digest
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.task_run import TaskRun

CHANGES = {"DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel", "BatchDeleteImage"}


@pytest.fixture
def account(aws: FakeAws) -> FakeAccount:
    """An endpoint that serves the newest of five configurations, and an image and a model for each.

    Nothing refers to the first two, since two configurations are kept to go back to.
    """
    account = FakeAccount(aws)
    for number in range(1, 6):
        image = account.image(number, age=200 - number)
        model = account.model(f"m{number}", image, age=200 - number)
        account.config(f"c{number}", model, age=200 - number, endpoint="iris")
    account.endpoint("iris", "c5")
    return account


def operator(**changes: Any) -> CleanUpLeftoversOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "repositories": [REPOSITORY],
        "keep_configs": "3",
        "calls_per_second": 1e6,
        "aws_conn_id": None,
        **changes,
    }
    return CleanUpLeftoversOperator(task_id="clean_up", **settings)


def names(result: dict[str, Any]) -> set[str]:
    """Name what the result tells."""
    return {row["name"].partition("@")[2] or row["name"] for row in result["rows"]}


def gone(account: FakeAccount, **changes: Any) -> set[str]:
    """Delete; name what is not there any more."""
    before = account.left()
    TaskRun().of(operator(delete="True", **changes))
    return before - account.left()


def test_a_dry_run_tells_and_changes_nothing(aws: FakeAws, account: FakeAccount) -> None:
    """It is what happens unless somebody asks for more."""
    result = TaskRun().of(operator(storage_price="0.1"))
    assert names(result) == {"c1", "c2", "m1", "m2", digest(1), digest(2)}
    assert result["found"] == {"endpoint configuration": 2, "model": 2, "image": 2}
    assert result["hourly_usd"] == pytest.approx(2 * 0.1 / 730, abs=1e-6)
    assert (result["delete"], result["outcomes"], result["kept_because"]) == (False, {}, {})
    assert not CHANGES & {name for name, _ in aws.calls}


def test_what_was_told_is_deleted_and_nothing_else(aws: FakeAws, account: FakeAccount) -> None:
    """Configurations before their models, models before their images."""
    assert gone(account) == {"c1", "c2", "m1", "m2", digest(1), digest(2)}
    order = [name for name, _ in aws.calls if name in CHANGES]
    assert order == ["DeleteEndpointConfig"] * 2 + ["DeleteModel"] * 2 + ["BatchDeleteImage"] * 2
    assert TaskRun().of(operator(delete=True))["found"] == {}


def test_what_is_young_or_not_ours_stays(account: FakeAccount) -> None:
    """The same things, each with one difference."""
    account.config("young", "m", age=29, endpoint="other")
    for number in range(4):
        account.config(f"foreign-{number}", "m", project="other")
    account.model("young-model", age=29)
    account.model("foreign-model", project="other")
    account.image(11, "v1")
    account.image(12, "ctx-12", "production")
    account.image(13, age=29)
    account.image(14, pulled=1)
    assert names(TaskRun().of(operator())) == {"c1", "c2", "m1", "m2", digest(1), digest(2)}


def test_a_foreign_configuration_keeps_our_model(account: FakeAccount) -> None:
    """Also as a shadow variant, and with the model's image, by digest and by tag."""
    account.image(9, age=50)
    account.config("foreign", "m1", project="other", shadow="tagged")
    account.model("tagged", account.tagged_image(21, "ctx-21"))
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_training_job_that_runs_keeps_its_image(account: FakeAccount, status: str) -> None:
    """One that has ended does not."""
    account.job("running", f"registry/{REPOSITORY}@{digest(1)}", status)
    account.job("ended", f"registry/{REPOSITORY}@{digest(2)}", "Completed")
    assert digest(1) not in names(TaskRun().of(operator()))
    assert digest(2) in names(TaskRun().of(operator()))


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_transform_job_that_runs_keeps_its_model(account: FakeAccount, status: str) -> None:
    """With the image; one that has ended does not."""
    account.transform_job("running", "m1", status)
    account.transform_job("ended", "m2", "Completed")
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


def test_the_model_registry_keeps_images(account: FakeAccount) -> None:
    """Of versions that are approved, or wait for that not long yet; a rejected one keeps nothing."""
    approved, young, old, rejected = (account.image(number, age=200) for number in (31, 32, 33, 34))
    account.package(1, approved)
    account.package(2, young, "PendingManualApproval", age=3)
    account.package(3, old, "PendingManualApproval")
    account.package(4, rejected, "Rejected")
    assert names(TaskRun().of(operator())) & {digest(number) for number in range(31, 35)} == {digest(33), digest(34)}


def test_a_model_made_of_a_version_keeps_the_versions_image(account: FakeAccount) -> None:
    """Even if the version was rejected since: the model names no image itself."""
    package = account.package(1, account.image(31, age=200), "Rejected")
    account.config("c6", account.model("m6", package=package, age=1), age=1)
    assert digest(31) not in names(TaskRun().of(operator()))


@pytest.mark.parametrize("operation", ["ListModelPackages", "DescribeModelPackage"])
def test_without_a_look_at_the_registry_all_images_stay(aws: FakeAws, account: FakeAccount, operation: str) -> None:
    """It may refer to any of them; the result says so."""
    account.package(1, "registry/other@sha256:1")
    aws.on(operation, AwsSays("AccessDeniedException", "not authorized"))
    result = TaskRun().of(operator(delete=True))
    assert result["outcomes"] == {"deleted": 4}
    assert "the model registry cannot be looked at" in result["kept_because"]["image"]
    assert len(account.images) == 5


def test_an_endpoint_whose_configuration_is_lost_keeps_all_models(account: FakeAccount) -> None:
    """Nobody can tell which of them it serves."""
    account.endpoint("lost", "was-deleted", project="other")
    assert gone(account) == {"c1", "c2"}


def test_a_failed_endpoint_without_its_configuration_keeps_nothing(account: FakeAccount) -> None:
    """It serves nothing, and all that one can do is to delete it."""
    account.endpoint("failed", "was-deleted", project="other")
    account.endpoints["failed"]["EndpointStatus"] = "Failed"
    assert gone(account) == {"c1", "c2", "m1", "m2", digest(1), digest(2)}


def test_inference_components_keep_their_models(account: FakeAccount) -> None:
    """Variants of such an endpoint name no models."""
    account.config("components", "", project="other")
    account.endpoint("shared", "components", project="other")
    account.component("part", "shared", "m1")
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


def test_endpoints_go_only_on_request(aws: FakeAws, account: FakeAccount) -> None:
    """And only those that nobody has changed for so long; what they serve stays for this run."""
    account.endpoint("fresh", "c4", age=40)
    account.endpoint("foreign", "c4", project="other")
    account.endpoint("busy", "c4", pending="c3")
    assert gone(account, maximum_leftovers=1, endpoints_older_than_days="90") == {"iris"}
    assert TaskRun().of(operator(endpoints_older_than_days="None"))["found"].get("endpoint") is None


def test_what_an_endpoint_costs_is_given_listed_or_unknown(aws: FakeAws, account: FakeAccount) -> None:
    """A price of the user's own wins, and nobody asks for others."""
    settings = {"endpoints_older_than_days": 90, "maximum_leftovers": 1}
    unknown = TaskRun().of(operator(**settings))
    assert (unknown["hourly_usd"], unknown["unknown_prices"]) == (0.0, 1)
    assert len(aws.asked("GetProducts")) == 1
    given = TaskRun().of(operator(**settings, hourly_prices='{"ml.m5.large": 0.25}'))
    assert (given["hourly_usd"], given["unknown_prices"]) == (0.5, 0)
    assert len(aws.asked("GetProducts")) == 1


def test_claims_have_a_retention_of_their_own(account: FakeAccount) -> None:
    """All but the latest one, from which the next number is counted; they are nobody's way back."""
    for number in (9, 10):
        account.config(f"iris-abc-claim-{number}", "m5", age=4, claim_on="iris")
    account.config("iris-abc-wait-undated-x", "m5", age=4, claim_on="iris")
    account.config("iris-abc-wait-undated-y", "m5", age=1, claim_on="iris")
    result = TaskRun().of(operator())
    assert result["found"]["claim"] == 2
    assert {"iris-abc-claim-9", "iris-abc-wait-undated-x"} <= names(result)
    assert names(result) >= {"c1", "c2"}


def deploy(account: FakeAccount) -> None:
    """Give the endpoint the second configuration."""
    account.endpoint("iris", "c5", pending="c2", age=0)


def deploy_to_another(account: FakeAccount) -> None:
    """Make an endpoint of another name that serves the second configuration."""
    account.endpoint("another", "c2", age=0)


def tag(account: FakeAccount) -> None:
    """Tag the second configuration, as a deployment does before it calls UpdateEndpoint."""
    account.tags[account.configs["c2"]["EndpointConfigArn"]]["airflow:run_id"] = "now"


@pytest.mark.parametrize("race", [deploy, deploy_to_another, tag])
def test_a_deployment_meanwhile_keeps_what_it_needs(account: FakeAccount, race: Any) -> None:
    """It begins while the first configuration is being deleted; model and image stay with the configuration."""
    account.before_delete = lambda name: race(account) if name == "c1" else None
    assert gone(account) == {"c1", "m1", digest(1)}


def test_a_late_list_does_not_hide_the_configurations_own_endpoint(aws: FakeAws, account: FakeAccount) -> None:
    """Lists of AWS may lag behind an update; a description does not."""

    def deploy_unlisted(name: str) -> None:
        if name == "c1":
            deploy(account)
            aws.on("ListEndpoints", {"Endpoints": []})

    account.before_delete = deploy_unlisted
    assert gone(account) == {"c1", "m1", digest(1)}


def test_a_configuration_that_was_made_again_meanwhile_is_read_again(account: FakeAccount) -> None:
    """Under its old name it may name another model."""
    account.config("foreign", "m5", project="other")
    account.before_delete = lambda name: name == "c2" and account.config("foreign", "m1", age=0, project="other")
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


def test_a_new_inference_component_meanwhile_keeps_its_model(account: FakeAccount) -> None:
    """It is made without a change of the endpoint."""
    account.config("components", "", project="other")
    account.endpoint("shared", "components", project="other")
    account.before_delete = lambda name: name == "c2" and account.component("part", "shared", "m1")
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


def test_a_new_configuration_meanwhile_keeps_the_model(account: FakeAccount) -> None:
    """Of whoever."""
    account.before_delete = lambda name: name == "c2" and account.config("new", "m1", age=0, project="other")
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


def test_a_transform_job_meanwhile_keeps_its_model(account: FakeAccount) -> None:
    """A gate may ask an old champion."""
    account.before_delete = lambda name: name == "c2" and account.transform_job("new", "m1")
    assert gone(account) == {"c1", "c2", "m2", digest(2)}


def test_a_new_model_job_version_or_pull_meanwhile_keeps_the_image(account: FakeAccount) -> None:
    """Each of them refers to an image that was to go."""
    references = {number: account.image(number, age=200) for number in (41, 42, 43, 44)}

    def use(name: str) -> None:
        if name == "m2":
            account.model("new", references[41], age=0, project="other")
            account.job("new", references[42])
            account.jobs["new"]["CreationTime"] = account.now
            account.package(1, references[43])
            account.images[digest(44)]["lastRecordedPullTime"] = account.now

    account.before_delete = use
    assert gone(account) == {"c1", "c2", "m1", "m2", digest(1), digest(2)}


def test_a_failure_keeps_what_it_refers_to_and_nothing_else(aws: FakeAws, account: FakeAccount) -> None:
    """The task fails with a list, after everything else was done; its result can be read all the same."""

    def fail(name: str) -> None:
        if name == "c1":
            raise AwsSays("AccessDeniedException", "not authorized to delete")

    account.before_delete = fail
    before, run = account.left(), TaskRun()
    with pytest.raises(LeftoverError, match=r"1 of 6 leftovers could not be deleted: endpoint configuration c1: .*not"):
        run.of(operator(delete=True))
    assert before - account.left() == {"c2", "m2", digest(2)}
    assert run.xcoms["return_value"]["outcomes"] == {"failed": 1, "deleted": 3, "kept": 2}
    account.before_delete = lambda _: None
    assert gone(account) == {"c1", "m1", digest(1)}


def test_what_ecr_refuses_is_a_failure(aws: FakeAws, account: FakeAccount) -> None:
    """It says so in an answer that is none of its errors."""
    failure = {"imageId": {}, "failureCode": "ImageReferencedByManifestList", "failureReason": "part of a list"}
    aws.on("BatchDeleteImage", {"failures": [failure]})
    with pytest.raises(LeftoverError, match="ImageReferencedByManifestList: part of a list"):
        TaskRun().of(operator(delete=True))


def test_what_somebody_else_deleted_is_no_failure(account: FakeAccount) -> None:
    """Before our look, or between it and our call."""

    def others(name: str) -> None:
        if name == "c1":
            del account.configs["c1"]
            account.tags.pop(account.configs["c2"]["EndpointConfigArn"])
            del account.configs["c2"]
            del account.images[digest(1)]

    account.before_delete = others
    result = TaskRun().of(operator(delete=True))
    assert result["outcomes"] == {"gone": 3, "deleted": 3}


def test_a_run_has_its_bound(account: FakeAccount) -> None:
    """What is left of the table has no broken order, and the next run goes on."""
    result = TaskRun().of(operator(delete=True, maximum_leftovers="3"))
    assert (result["more"], result["outcomes"]) == (3, {"deleted": 3})
    assert gone(account) == {"m2", digest(1), digest(2)}


def test_a_repository_that_is_not_there_is_told(account: FakeAccount, caplog: pytest.LogCaptureFixture) -> None:
    """It may not have been made yet."""
    assert "image" not in TaskRun().of(operator(repositories=["unknown"]))["found"]
    assert "There is no ECR repository unknown" in caplog.text


def test_the_table_is_in_the_log(account: FakeAccount, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole of it, with its sum."""
    TaskRun().of(operator())
    said = capsys.readouterr().out
    assert "endpoint configuration  c1 " in said
    assert "2 endpoint configurations, 2 models, 2 images: 0.0000 USD per hour, and 2 of unknown price" in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delete": "perhaps"}, "delete: got 'perhaps'"),
        ({"retention_days": "0"}, "retention_days: got '0'"),
        ({"retention_days": "-1"}, "retention_days: got '-1'"),
        ({"keep_configs": "0"}, "keep_configs: got '0'"),
        ({"claims_older_than_days": "x"}, "claims_older_than_days: got 'x'"),
        ({"endpoints_older_than_days": "nan"}, "endpoints_older_than_days: got 'nan'"),
        ({"hourly_prices": {"ml.m5.large": "1"}}, "hourly_prices.ml.m5.large: got '1'"),
        ({"hourly_prices": "0.1"}, "hourly_prices: got '0.1'"),
        ({"storage_price": "-0.1"}, "storage_price: got '-0.1'"),
        ({"repositories": "iris"}, "repositories: got 'iris'"),
        ({"maximum_leftovers": "0"}, "maximum_leftovers: got '0'"),
        ({"calls_per_second": 0}, "calls_per_second: got 0"),
    ],
)
def test_bad_input_is_refused_before_any_call(aws: FakeAws, changes: dict[str, Any], message: str) -> None:
    """The message names the field."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(**changes))
    assert aws.calls == []


def test_an_empty_text_is_the_default(account: FakeAccount) -> None:
    """And never a retention of nothing: that is what an empty template would make of it."""
    account.config("young", age=29, endpoint="other")
    result = TaskRun().of(operator(retention_days="", claims_older_than_days="None", hourly_prices=""))
    assert result["found"]["endpoint configuration"] == 2
