"""Creating and updating endpoints, seen from the requests that reach AWS; ``test_endpoint_claim`` has the queue."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout, TaskDeferred

from sagemaker_byoc.errors import NoWayBackError
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_endpoint import CONFIG_ARN, FakeEndpoint
from tests.support.fake_registry import FakeRegistry
from tests.support.rollout import blue_green, guarded
from tests.support.task_run import TaskRun

VARIANT = {"InstanceType": "ml.m5.large", "InitialInstanceCount": "1"}


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint ``iris``, which does not exist yet."""
    return FakeEndpoint(aws)


def operator(**changes: Any) -> CreateEndpointOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "endpoint_name": "iris",
        "model_name": "model-1",
        "config": {"ProductionVariants": [VARIANT]},
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
        "exclusive": False,
    }
    return CreateEndpointOperator(task_id="create_endpoint", **{**settings, **changes})


def test_a_missing_endpoint_is_created(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The request is the user's, with model, names and tags filled in."""
    result = TaskRun().of(operator())
    [config] = aws.asked("CreateEndpointConfig")
    [variant] = config["ProductionVariants"]
    assert variant == {
        "ModelName": "model-1",
        "VariantName": "AllTraffic",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    [create] = aws.asked("CreateEndpoint")
    assert create["EndpointConfigName"] == config["EndpointConfigName"]
    assert {tag["Key"]: tag["Value"] for tag in create["Tags"]}["airflow:dag_id"] == "retrain"
    assert result == {
        "endpoint_name": "iris",
        "endpoint_config_name": config["EndpointConfigName"],
        "previous_endpoint_config_name": None,
        "operation": "create",
        "restore_point": None,
    }


def test_an_existing_endpoint_is_updated(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The configuration that was live is kept in the result, for a way back."""
    endpoint.exists("InService", "old")
    result = TaskRun().of(operator(update_config={"RetainAllVariantProperties": "true"}))
    [update] = aws.asked("UpdateEndpoint")
    assert update == {
        "EndpointName": "iris",
        "EndpointConfigName": result["endpoint_config_name"],
        "RetainAllVariantProperties": True,
    }
    assert (result["operation"], result["previous_endpoint_config_name"]) == ("update", "old")
    assert result["retain"] == {"RetainAllVariantProperties": True}


def test_the_restore_point_makes_both_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Configuration and models under the same names, with their tags; and it is small."""
    endpoint.exists("InService", "old", data_date="2026-01-01")
    point = TaskRun().of(operator())["restore_point"]
    tags = [{"Key": "data_date", "Value": "2026-01-01"}]
    variants = [{"VariantName": "AllTraffic", "ModelName": "old-model"}]
    assert point["config"] == {"EndpointConfigName": "old", "ProductionVariants": variants, "Tags": tags}
    [model] = point["models"]
    assert model == {
        "ModelName": "old-model",
        "PrimaryContainer": {"Image": "registry/image@sha256:1"},
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/serving",
        "EnableNetworkIsolation": False,
        "Tags": tags,
    }
    assert len(json.dumps(point)) < 1000


GONE = {
    "DescribeEndpointConfig": 'Could not find endpoint configuration "arn:…".',
    "DescribeModel": 'Could not find model "arn:…".',
}


@pytest.mark.parametrize("operation", GONE)
def test_what_could_not_be_put_back_is_not_replaced(aws: FakeAws, endpoint: FakeEndpoint, operation: str) -> None:
    """Somebody cleaned up; the endpoint goes on serving, and nothing was made or changed."""
    endpoint.exists("InService", "old")
    aws.on(operation, AwsSays("ValidationException", GONE[operation]))
    with pytest.raises(
        AirflowFailException, match=r"no way back.*old.*does not exist.*require_way_back=False"
    ) as caught:
        TaskRun().of(operator())
    assert isinstance(caught.value.__cause__, NoWayBackError)
    assert not [name for name, _ in aws.calls if name.startswith(("Create", "Update", "AddTags"))]
    allowed = TaskRun().of(operator(require_way_back="False"))
    assert (allowed["previous_endpoint_config_name"], allowed["restore_point"]) == ("old", None)


def test_an_artifact_that_is_gone_is_no_way_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A model without it would never start again."""
    endpoint.exists("InService", "old")
    described = endpoint.describe_model(ModelName="old-model")
    described["PrimaryContainer"]["ModelDataUrl"] = "s3://bucket/model.tar.gz"
    aws.on("DescribeModel", described)
    aws.on("HeadObject", AwsSays("404", "Not Found", 404))
    with pytest.raises(AirflowFailException, match=r"does not hold s3://bucket/model.tar.gz any more"):
        TaskRun().of(operator())


ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/iris"


def has_container(aws: FakeAws, endpoint: FakeEndpoint, **container: Any) -> None:
    """Let the live model have this container."""
    aws.on("DescribeModel", {**endpoint.describe_model(ModelName="old-model"), "PrimaryContainer": container})


@pytest.mark.parametrize(
    ("image", "image_id"),
    [(f"{ECR}@sha256:1", {"imageDigest": "sha256:1"}), (f"{ECR}:v1", {"imageTag": "v1"})],
)
@pytest.mark.parametrize("code", ["ImageNotFoundException", "RepositoryNotFoundException"])
def test_an_image_that_is_gone_is_no_way_back(
    aws: FakeAws, endpoint: FakeEndpoint, image: str, image_id: dict[str, str], code: str
) -> None:
    """A lifecycle policy expires it, while the endpoint goes on with the copy that it once pulled."""
    endpoint.exists("InService", "old")
    has_container(aws, endpoint, Image=image)
    aws.on("DescribeImages", AwsSays(code, "not here"))
    with pytest.raises(
        AirflowFailException, match=rf"no way back.*ECR does not hold {image} any more.*old-model of old"
    ):
        TaskRun().of(operator())
    assert aws.asked("DescribeImages") == [
        {"registryId": "123456789012", "repositoryName": "team/iris", "imageIds": [image_id]}
    ]
    assert not aws.asked("UpdateEndpoint")


def test_an_image_that_may_not_be_looked_at_is_left_to_aws(
    aws: FakeAws, endpoint: FakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """It may lie in another account, which lets the model's role in and not the worker's; the log says so."""
    endpoint.exists("InService", "old")
    has_container(aws, endpoint, Image=f"{ECR}:v1")
    aws.on("DescribeImages", AwsSays("AccessDeniedException", "is not authorized to perform: ecr:DescribeImages"))
    assert TaskRun().of(operator())["operation"] == "update"
    assert "Whether ECR still holds the image team/iris cannot be told" in caplog.text


def test_an_image_that_cannot_be_looked_at_now_is_tried_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Nothing is replaced on a guess."""
    endpoint.exists("InService", "old")
    has_container(aws, endpoint, Image=f"{ECR}:v1")
    aws.on("DescribeImages", AwsSays("ServerException", "try later", 500))
    with pytest.raises(Exception, match="try later") as raised:
        TaskRun().of(operator())
    assert not isinstance(raised.value, AirflowFailException)


VERSION = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/iris/1"
OTHERS = {"AdditionalInferenceSpecifications": [{"Name": "small", "Containers": [{"Image": f"{ECR}:small"}]}]}


def has_version(aws: FakeAws, endpoint: FakeEndpoint, **container: Any) -> FakeRegistry:
    """Let the live model be made of a version in the registry."""
    endpoint.exists("InService", "old")
    has_container(aws, endpoint, ModelPackageName=VERSION, **container)
    aws.on("HeadObject", {})
    aws.on("DescribeImages", {"imageDetails": [{}]})
    registry = FakeRegistry(aws)
    assert registry.holds() == VERSION
    named = [{"Image": f"{ECR}:v1", "ModelDataUrl": "s3://bucket/model.tar.gz"}]
    registry.packages[VERSION] |= {"InferenceSpecification": {"Containers": named}, **OTHERS}
    return registry


def test_a_model_of_a_version_is_a_way_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Image and artifact that the version names are looked for; the model is made again by the version."""
    has_version(aws, endpoint)
    [model] = TaskRun().of(operator())["restore_point"]["models"]
    assert model["PrimaryContainer"] == {"ModelPackageName": VERSION}
    assert aws.asked("HeadObject")[0] == {"Bucket": "bucket", "Key": "model.tar.gz"}
    assert aws.asked("DescribeImages")[0]["imageIds"] == [{"imageTag": "v1"}]


@pytest.mark.parametrize(
    ("call", "answer", "told"),
    [
        ("HeadObject", AwsSays("404", "Not Found", 404), "S3 does not hold s3://bucket/model.tar.gz any more"),
        ("DescribeImages", AwsSays("ImageNotFoundException", "not here"), f"ECR does not hold {ECR}:v1 any more"),
        ("DescribeModelPackage", None, f"The model package {VERSION}, of which the model old-model of old is made"),
    ],
)
def test_a_version_that_could_not_be_deployed_again_is_no_way_back(
    aws: FakeAws, endpoint: FakeEndpoint, call: str, answer: AwsSays | None, told: str
) -> None:
    """Its artifact, its image or the version itself was deleted."""
    registry = has_version(aws, endpoint)
    if answer is None:
        registry.packages.clear()
    else:
        aws.on(call, answer)
    with pytest.raises(AirflowFailException, match=f"no way back.*{told}"):
        TaskRun().of(operator())
    assert not aws.asked("UpdateEndpoint")


def test_of_a_version_with_several_specifications_the_one_that_is_named_counts(
    aws: FakeAws, endpoint: FakeEndpoint
) -> None:
    """The others are not what the model is made of."""
    has_version(aws, endpoint, InferenceSpecificationName="small")
    TaskRun().of(operator())
    assert aws.asked("DescribeImages")[0]["imageIds"] == [{"imageTag": "small"}]
    assert not aws.asked("HeadObject")


def test_a_version_that_may_not_be_looked_at_is_left_to_aws(
    aws: FakeAws, endpoint: FakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be another account's; the log says so. What is only busy is tried again."""
    has_version(aws, endpoint)
    aws.on("DescribeModelPackage", AwsSays("AccessDeniedException", "is not authorized"))
    assert TaskRun().of(operator())["operation"] == "update"
    assert f"of the model package {VERSION} still exist cannot be told" in caplog.text
    endpoint.exists("InService", "old")
    aws.on("DescribeModelPackage", AwsSays("ThrottlingException", "Rate exceeded"))
    with pytest.raises(Exception, match="Rate exceeded") as raised:
        TaskRun().of(operator())
    assert not isinstance(raised.value, AirflowFailException)


def source(uri: str, kind: str) -> dict[str, Any]:
    """Return a ModelDataSource."""
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": "None"}}


@pytest.mark.parametrize(
    ("container", "call"),
    [
        ({"ModelDataSource": source("s3://bucket/model/", "S3Prefix")}, "ListObjectsV2"),
        ({"ModelDataSource": source("s3://bucket/model/", "S3Object")}, "HeadObject"),
        (
            {"AdditionalModelDataSources": [{"ChannelName": "a", **source("s3://bucket/model/", "S3Prefix")}]},
            "ListObjectsV2",
        ),
        ({"Mode": "MultiModel", "ModelDataUrl": "s3://bucket/model/"}, "ListObjectsV2"),
    ],
)
def test_every_form_of_model_data_is_looked_for(
    aws: FakeAws, endpoint: FakeEndpoint, container: dict[str, Any], call: str
) -> None:
    """Of a prefix one key is enough; without any, the container would have nothing to load."""
    endpoint.exists("InService", "old")
    has_container(aws, endpoint, Image="registry/image@sha256:1", **container)
    aws.on(call, AwsSays("404", "Not Found", 404) if call == "HeadObject" else {"KeyCount": 0})
    with pytest.raises(AirflowFailException, match=r"does not hold s3://bucket/model/ any more"):
        TaskRun().of(operator())
    aws.on(call, {} if call == "HeadObject" else {"KeyCount": 1})
    assert TaskRun().of(operator())["operation"] == "update"
    endpoint.exists("InService", "old")
    aws.on(call, AwsSays("403" if call == "HeadObject" else "AccessDenied", "Access Denied", 403))
    assert TaskRun().of(operator())["operation"] == "update"
    [first, *_] = aws.asked(call)
    assert first == (
        {"Bucket": "bucket", "Key": "model/"}
        if call == "HeadObject"
        else {"Bucket": "bucket", "Prefix": "model/", "MaxKeys": 1}
    )


def test_an_endpoint_out_of_service_is_updated_without_a_way_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It serves nothing that could be lost."""
    endpoint.exists("OutOfService", "old")
    aws.on("DescribeModel", AwsSays("ValidationException", GONE["DescribeModel"]))
    assert TaskRun().of(operator())["operation"] == "update"


def test_the_configuration_tells_what_it_replaced(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """By its tags an endpoint's configurations are found again, and the one before each."""
    endpoint.exists("InService", "old")
    TaskRun().of(operator())
    tags = {tag["Key"]: tag["Value"] for tag in aws.asked("CreateEndpointConfig")[0]["Tags"]}
    assert (tags["endpoint"], tags["replaced_config"]) == ("iris", "old")


def test_a_configuration_that_is_deployed_again_tells_of_now(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It has the tags of an earlier deployment, which replaced something else and whose smoke test has ended."""
    endpoint.exists("InService", "old")
    text = 'Cannot create already existing endpoint configuration "arn:…".'
    aws.on("CreateEndpointConfig", AwsSays("ValidationException", text))
    TaskRun(run_id="manual__2").of(operator())
    [request] = aws.asked("AddTags")
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert (request["ResourceArn"], tags["replaced_config"], tags["airflow:run_id"]) == (CONFIG_ARN, "old", "manual__2")
    assert tags["smoke_test"] == ""


def test_a_retry_after_the_update_still_knows_the_way_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The worker died after the call, and by the next try the update is through; another run learns nothing."""
    endpoint.exists("InService", "old")
    first = TaskRun().of(operator())
    aws.on("ListTags", {"Tags": aws.asked("CreateEndpointConfig")[0]["Tags"]})
    endpoint.exists("InService", first["endpoint_config_name"], keep_tags=True)
    again = TaskRun(try_number=2).of(operator())
    assert (again["operation"], again["previous_endpoint_config_name"]) == ("none", "old")
    assert again["restore_point"]["config"]["EndpointConfigName"] == "old"
    other = TaskRun(run_id="manual__2").of(operator())
    assert (other["previous_endpoint_config_name"], other["restore_point"]) == (None, None)


def test_a_second_run_of_the_same_content_calls_nothing(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """What is live already is not deployed again, whichever run asks."""
    first = TaskRun().of(operator())
    endpoint.exists("InService", first["endpoint_config_name"])
    again = TaskRun(run_id="another", max_tries=5).of(operator())
    assert again["operation"] == "none"
    assert again["endpoint_config_name"] == first["endpoint_config_name"]
    assert len(aws.asked("CreateEndpoint")) == 1
    assert not aws.asked("UpdateEndpoint")


def test_a_retry_adopts_the_update_that_is_under_way(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A worker that died after the call leaves an update, and the retry finds it."""
    endpoint.exists("InService", "old")
    first = TaskRun().of(operator())
    endpoint.exists("Updating", "old", pending=first["endpoint_config_name"])
    again = TaskRun().of(operator())
    assert (again["operation"], again["previous_endpoint_config_name"]) == ("adopt", "old")
    assert len(aws.asked("UpdateEndpoint")) == 1


def test_another_model_is_another_configuration(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The name follows the content; numbers given as text are the same content."""
    text_and_number = [{"ProductionVariants": [{**VARIANT, "InitialInstanceCount": count}]} for count in ("1", 1)]
    names = []
    for change in ({"config": text_and_number[0]}, {"model_name": "model-2"}, {"config": text_and_number[1]}):
        endpoint.exists("InService", "old")
        names.append(TaskRun().of(operator(**change))["endpoint_config_name"])
    assert names[0] == names[2] != names[1]


def test_the_update_of_another_run_is_waited_for(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A busy endpoint holds the task up, in the triggerer, and does not fail it."""
    endpoint.goes_through(("Updating", "other"), ("Updating", "other"), ("InService", "other"))
    run = TaskRun()
    result = run.of(operator())
    assert len(run.deferrals) == 1
    assert (result["operation"], result["previous_endpoint_config_name"]) == ("update", "other")


def test_without_a_triggerer_the_wait_is_on_the_worker(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """``deferrable=False`` needs no triggerer."""
    endpoint.goes_through(("RollingBack", "other"), ("InService", "other"))
    run = TaskRun()
    assert run.of(operator(deferrable=False, execution_timeout=timedelta(hours=1)))["operation"] == "update"
    assert run.deferrals == []


def test_a_lost_race_is_looked_at_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Between look and call another run was faster; its endpoint is updated then."""
    races = itertools.count()

    def create(**request: Any) -> dict[str, Any]:
        if next(races) == 0:
            endpoint.exists("InService", "other")
            raise AwsSays("ValidationException", 'Cannot create already existing endpoint "arn:…".')
        return endpoint.create(**request)

    aws.on("CreateEndpoint", create)
    result = TaskRun().of(operator())
    assert (result["operation"], result["previous_endpoint_config_name"]) == ("update", "other")


def test_an_update_that_met_another_is_repeated(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """AWS refuses a second update while one runs; the task waits and asks again."""
    endpoint.exists("InService", "old")
    refusals = iter([AwsSays("ValidationException", 'Cannot update in-progress endpoint "arn:…".')])

    def update(**request: Any) -> dict[str, Any]:
        for refusal in refusals:
            raise refusal
        return endpoint.update(**request)

    aws.on("UpdateEndpoint", update)
    assert TaskRun().of(operator())["operation"] == "update"
    assert len(aws.asked("UpdateEndpoint")) == 2


def test_a_configuration_that_exists_is_used(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Its name says what is in it."""
    text = 'Cannot create already existing endpoint configuration "arn:…".'
    aws.on("CreateEndpointConfig", AwsSays("ValidationException", text))
    assert TaskRun().of(operator())["operation"] == "create"


def test_a_configuration_that_is_deleted_meanwhile_is_made_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Somebody cleans up between the refusal to make it twice and its new tags."""
    exists = AwsSays("ValidationException", 'Cannot create already existing endpoint configuration "arn:…".')
    refusals = iter([exists])

    def make(**_: Any) -> dict[str, Any]:
        for refusal in refusals:
            raise refusal
        return {"EndpointConfigArn": CONFIG_ARN}

    aws.on("CreateEndpointConfig", make)
    gone = AwsSays("ValidationException", 'Could not find endpoint configuration "arn:…".')
    aws.on("DescribeEndpointConfig", gone)
    assert TaskRun().of(operator())["operation"] == "create"
    first, second = aws.asked("CreateEndpointConfig")
    assert first == second


def test_a_missing_model_is_no_reason_to_look_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A refusal that no second look cures fails the task at once."""
    aws.on("CreateEndpointConfig", AwsSays("ValidationException", 'Could not find model "arn:…".'))
    with pytest.raises(AirflowFailException, match="Could not find model"):
        TaskRun().of(operator())


def test_a_failed_endpoint_is_replaced(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It serves nothing and can only be deleted, so the next deployment does that."""
    endpoint.exists("Failed", "old")
    assert TaskRun().of(operator())["operation"] == "create"
    assert len(aws.asked("DeleteEndpoint")) == 1


def test_a_failed_endpoint_is_left_alone_when_told_so(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The message says what AWS allows and what to do."""
    endpoint.exists("Failed", "old")
    with pytest.raises(AirflowFailException, match=r"DeleteEndpoint.*replace_failed=True"):
        TaskRun().of(operator(replace_failed=False))
    assert not aws.asked("DeleteEndpoint")


def with_own_configuration(endpoint: FakeEndpoint, status: str) -> str:
    """Let the endpoint have the very configuration that is asked for; return its name."""
    endpoint.settles = True
    name = str(TaskRun().of(operator())["endpoint_config_name"])
    endpoint.exists(status, name)
    return name


def test_one_out_of_service_with_this_very_configuration_is_replaced(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """AWS updates an endpoint to another configuration only."""
    with_own_configuration(endpoint, "OutOfService")
    with pytest.raises(AirflowFailException, match=r"OutOfService.*no update to what it has.*replace_failed=True"):
        TaskRun().of(operator(replace_failed=False))
    assert TaskRun().of(operator())["operation"] == "create"
    assert (len(aws.asked("DeleteEndpoint")), aws.asked("UpdateEndpoint")) == (1, [])


def test_a_mix_that_aws_does_not_heal_is_told_with_what_to_do(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It serves, so that nobody but a person may delete it."""
    name = with_own_configuration(endpoint, "UpdateRollbackFailed")
    assert TaskRun().of(operator())["operation"] == "update"
    endpoint.exists("UpdateRollbackFailed", name)
    aws.on("UpdateEndpoint", AwsSays("ValidationException", "Cannot update to what it has."))
    with pytest.raises(AirflowFailException, match=rf"a mix of {name} .*what it has.*delete the endpoint"):
        TaskRun().of(operator())
    assert aws.asked("DeleteEndpoint") == []


def test_an_old_run_does_not_replace_a_newer_model(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A backfill is skipped, visibly, before anything is made."""
    endpoint.exists("InService", "newer", data_date="2026-03-01T00:00:00+00:00")
    with pytest.raises(AirflowSkipException, match=r"newer of 2026-03-01.*2026-01-02.*deploy_older"):
        TaskRun().of(operator())
    assert not aws.asked("CreateEndpointConfig")


def test_a_candidate_that_was_left_behind_keeps_no_newer_model_out(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Clients are answered by the model that it stands beside, which is older."""
    endpoint.exists("InService", "both")
    tags = {
        "both": {"candidate_for": "own", "replaced_config": "old", "data_date": "2026-03-01T00:00:00+00:00"},
        "old": {"data_date": "2025-12-01T00:00:00+00:00"},
    }

    def describe(**request: Any) -> dict[str, Any]:
        return {**endpoint.describe_config(**request), "EndpointConfigArn": f"arn:{request['EndpointConfigName']}"}

    def list_tags(**request: Any) -> dict[str, Any]:
        found = tags.get(request["ResourceArn"].removeprefix("arn:"), {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in found.items()]}

    aws.on("DescribeEndpointConfig", describe)
    aws.on("ListTags", list_tags)
    assert TaskRun().of(operator())["operation"] == "update"


@pytest.mark.parametrize(
    ("changes", "run"),
    [
        ({"deploy_older": True}, TaskRun()),
        ({"deploy_older": "True"}, TaskRun()),
        ({}, replace(TaskRun(), logical_date=datetime(2026, 4, 1, tzinfo=timezone.utc))),
        ({}, replace(TaskRun(), logical_date=None)),
        ({"data_date": "2026-03-01"}, TaskRun()),
    ],
    ids=["asked for", "asked for in a form", "newer", "no date", "same data"],
)
def test_a_run_deploys_unless_it_is_older(
    aws: FakeAws, endpoint: FakeEndpoint, changes: dict[str, Any], run: TaskRun
) -> None:
    """Newer runs, runs without a date and runs that were told to deploy."""
    endpoint.exists("InService", "live", data_date="2026-03-01T00:00:00+00:00")
    assert run.of(operator(**changes))["operation"] == "update"


def test_the_date_survives_on_the_configuration(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The guard reads what an earlier run wrote, so both must agree on the tag."""
    later = replace(TaskRun(), logical_date=datetime(2026, 6, 1, tzinfo=timezone.utc))
    result = later.of(operator(model_name="model-9"))
    [config] = aws.asked("CreateEndpointConfig")
    aws.on("DescribeEndpointConfig", endpoint.describe_config)
    aws.on("ListTags", {"Tags": config["Tags"]})
    endpoint.exists("InService", result["endpoint_config_name"], keep_tags=True)
    with pytest.raises(AirflowSkipException, match="2026-06-01"):
        TaskRun().of(operator())
    assert aws.asked("ListTags") == [{"ResourceArn": CONFIG_ARN}]


NIGHT = datetime(2026, 3, 1, tzinfo=timezone.utc)


def test_the_night_after_a_run_by_hand_deploys(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A run by hand has the logical date of its trigger, but the data of the interval before: no newer ones."""
    hand = replace(TaskRun(), logical_date=NIGHT.replace(hour=15), data_interval_start=NIGHT.replace(month=2, day=28))
    live = hand.of(operator())["endpoint_config_name"]
    aws.on("ListTags", {"Tags": aws.asked("CreateEndpointConfig")[0]["Tags"]})
    endpoint.exists("InService", live, keep_tags=True)
    scheduled = replace(TaskRun(), logical_date=NIGHT, data_interval_start=NIGHT)
    assert scheduled.of(operator(model_name="model-2"))["operation"] == "update"


def test_the_data_decide_which_model_is_older(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A run of today that trains on an old partition is skipped, by the date that it names."""
    endpoint.exists("InService", "newer", data_date="2026-03-01T00:00:00+00:00")
    today = replace(TaskRun(), logical_date=datetime(2026, 9, 1, tzinfo=timezone.utc))
    with pytest.raises(AirflowSkipException, match=r"2026-03-01.*2026-02-28T00:00:00\+00:00.*deploy_older"):
        today.of(operator(data_date="2026-02-28"))


def test_only_the_configuration_is_dated(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The endpoint outlives its models, and its tags are never renewed."""
    TaskRun().of(operator(data_date="2026-02-28"))
    dated = {"Key": "data_date", "Value": "2026-02-28T00:00:00+00:00"}
    assert dated in aws.asked("CreateEndpointConfig")[0]["Tags"]
    assert dated not in aws.asked("CreateEndpoint")[0]["Tags"]


def test_a_configuration_without_a_data_date_is_not_judged(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Somebody else made it, or it was made before there was the tag."""
    aws.on("ListTags", {"Tags": [{"Key": "airflow:logical_date", "Value": "2030-01-01T00:00:00+00:00"}]})
    endpoint.exists("InService", "foreign", keep_tags=True)
    assert TaskRun().of(operator())["operation"] == "update"


def test_all_waits_together_are_bounded_by_the_execution_timeout(endpoint: FakeEndpoint) -> None:
    """Airflow would grant the whole time to every wait anew, so an endpoint that is always busy held for ever."""
    endpoint.exists("Updating", "other")
    waiting = operator(execution_timeout=timedelta(minutes=10))
    with pytest.raises(TaskDeferred) as first:
        waiting.execute(TaskRun().context)
    assert timedelta(minutes=9) < first.value.timeout <= timedelta(minutes=10)
    remembered = first.value.kwargs or {}
    with pytest.raises(TaskDeferred) as second:
        waiting.execute_complete(TaskRun().context, {"look": None}, **remembered)
    assert second.value.timeout < first.value.timeout
    assert second.value.kwargs == remembered
    with pytest.raises(AirflowTaskTimeout, match=r"iris was busy.*execution_timeout \(0:10:00\)"):
        waiting.execute_complete(TaskRun().context, {"look": None}, deadline=remembered["deadline"] - 601)


def test_without_an_execution_timeout_the_wait_has_no_end(endpoint: FakeEndpoint) -> None:
    """The other deployments end at some time, each of them bounded by AWS."""
    endpoint.exists("Updating", "other")
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    assert deferral.value.timeout is None


def test_a_wait_that_broke_off_fails_the_task(endpoint: FakeEndpoint) -> None:
    """The trigger gives up only where no further look would succeed."""
    with pytest.raises(AirflowFailException, match="not authorized"):
        operator().execute_complete(TaskRun().context, {"error": "not authorized to look"})


REFUSED = [
    ({"endpoint_name": None}, "endpoint_name: got None"),
    ({"endpoint_name": ""}, "endpoint_name: got ''"),
    ({"data_date": "yesterday"}, "data_date: got 'yesterday'"),
    ({"config": {}}, "config.ProductionVariants"),
    ({"config": {"ProductionVariants": [{"InstanceType": "m5.large"}]}}, r"ProductionVariants\[0\].InstanceType"),
    ({"config": {"ProductionVariants": [VARIANT], "KmsKey": "x"}}, "config.KmsKey.*KmsKeyId"),
    ({"endpoint_name": "x" * 70}, "endpoint.EndpointName"),
    ({"update_config": {"DeploymentConfig": {"BlueGreenUpdatePolicy": {}}}}, "TrafficRoutingConfiguration"),
    ({"update_config": {"EndpointName": "x"}}, "update_config.EndpointName"),
    ({"update_config": {"DeploymentConfig": blue_green("CANARY", {"Type": "CAPACITY_PERCENT", "Value": "60"})}}, "60"),
    ({"update_config": {"DeploymentConfig": guarded({}, *"abcdefghijk")}}, "Alarms.*1 to 10"),
    ({"deploy_older": "perhaps"}, "deploy_older: got 'perhaps'"),
    ({"require_way_back": "perhaps"}, "require_way_back: got 'perhaps'"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_bad_input_is_refused_before_anything_is_made(
    aws: FakeAws, endpoint: FakeEndpoint, changes: dict[str, Any], message: str
) -> None:
    """The message names the field, and AWS was not asked to make anything."""
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=message):
        run.of(operator(**changes))
    assert run.xcoms == {}
    assert not [name for name, _ in aws.calls if name.startswith(("Create", "Update", "Delete"))]


def test_the_button_leads_to_the_endpoint(endpoint: FakeEndpoint) -> None:
    """It works as soon as the task has begun."""
    run = TaskRun()
    run.of(operator())
    assert run.xcoms[EndpointLink().xcom_key].endswith("region=eu-west-1#/endpoints/iris")


def test_tags_of_the_user_are_kept(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The run's tags come in addition."""
    team = {"Key": "team", "Value": "iris"}
    TaskRun().of(operator(config={"ProductionVariants": [VARIANT], "Tags": [team]}))
    [config] = aws.asked("CreateEndpointConfig")
    assert team in config["Tags"]
    assert {"Key": "project", "Value": "sagemaker-byoc"} in config["Tags"]
