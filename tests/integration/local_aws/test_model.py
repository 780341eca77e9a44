"""Models and endpoint configurations over HTTP: what is taken, kept and refused."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from tests.support.hosting import BUCKET, HostingAccount
from tests.support.process_cloud import REGISTRY, process_cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GONE = f"{REGISTRY}/gone:v1"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield HostingAccount(cloud)


def _refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_a_model_is_described_as_it_was_made(account: HostingAccount) -> None:
    """Every member comes back, with an ARN in lower case."""
    url = account.data({"name": b"x"})
    container = {"Image": account.image, "ModelDataUrl": url, "Environment": {"A": "1"}}

    arn = account.sagemaker.create_model(
        ModelName="My-Model",
        ExecutionRoleArn=account.role_arn,
        PrimaryContainer=container,
        Tags=[{"Key": "run", "Value": "7"}],
    )["ModelArn"]
    model = account.sagemaker.describe_model(ModelName="My-Model")

    assert arn == model["ModelArn"] == "arn:aws:sagemaker:us-east-1:123456789012:model/my-model"
    assert model["PrimaryContainer"] == container
    assert model["ExecutionRoleArn"] == account.role_arn
    assert account.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "7"}]


def test_a_model_can_be_made_again_only_after_its_deletion(account: HostingAccount) -> None:
    """A name is taken until the model is deleted; then it is unknown."""
    name = account.model("x")
    arn = account.sagemaker.describe_model(ModelName=name)["ModelArn"]
    again = {"ModelName": name, "ExecutionRoleArn": account.role_arn, "PrimaryContainer": {"Image": account.image}}

    taken = _refusal(lambda: account.sagemaker.create_model(**again))
    account.sagemaker.delete_model(ModelName=name)
    unknown = _refusal(lambda: account.sagemaker.describe_model(ModelName=name))

    assert taken == f'ValidationException: Cannot create already existing model "{arn}".'
    assert unknown == f'ValidationException: Could not find model "{arn}".'
    assert account.sagemaker.create_model(**again)["ModelArn"] == arn


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"ModelDataUrl": f"s3://{BUCKET}/none/model.tar.gz"}, f"Could not find model data at s3://{BUCKET}/none"),
        ({"ModelDataUrl": f"s3://{BUCKET}/model.zip"}, "must be a .tar.gz archive"),
        ({"ModelDataUrl": "https://s3/bucket/model.tar.gz"}, "reads only s3://"),
        ({"Image": GONE}, f"Requested image {GONE} not found"),
        ({"Image": "churn:v1"}, "no image URI"),
        ({"Mode": "MultiModel"}, "use SingleModel"),
        ({"ModelPackageName": "group/1"}, "ModelPackageName and Image cannot both be specified"),
        ({"Environment": {f"K{number}": "x" * 1000 for number in range(40)}}, "may have 32768"),
        ({"Environment": {"A": "a\0b"}}, r"Value 'a\x00b' at 'primaryContainer.environment' failed to satisfy"),
        (
            {"Image": GONE.replace("123456789012", "210987654321")},
            f"is not that of this account and region, {REGISTRY}",
        ),
    ],
)
def test_a_container_that_cannot_serve_is_refused(
    account: HostingAccount, container: dict[str, Any], message: str
) -> None:
    """The refusal comes at once, not when an endpoint starts, and no model is left."""
    request = {"ModelName": "refused", "ExecutionRoleArn": account.role_arn}

    refused = _refusal(
        lambda: account.sagemaker.create_model(**request, PrimaryContainer={"Image": account.image, **container})
    )

    assert refused.startswith("ValidationException: ")
    assert message in refused
    assert "Could not find" in _refusal(lambda: account.sagemaker.describe_model(ModelName="refused"))


def test_one_container_is_all_a_model_can_have_here(account: HostingAccount) -> None:
    """A list of one is as good as a primary container; two or none are refused."""
    request = {"ExecutionRoleArn": account.role_arn}
    one = [{"Image": account.image}]

    account.sagemaker.create_model(ModelName="listed", Containers=one, **request)

    assert account.sagemaker.describe_model(ModelName="listed")["Containers"] == one
    assert "one container only" in _refusal(
        lambda: account.sagemaker.create_model(ModelName="two", Containers=one * 2, **request)
    )
    assert "exactly one of" in _refusal(lambda: account.sagemaker.create_model(ModelName="none", **request))


def test_a_role_that_sagemaker_cannot_assume_is_refused(account: HostingAccount) -> None:
    """It must exist and trust SageMaker."""
    stranger = account.cloud.role("for-codebuild", "codebuild.amazonaws.com")

    for role in (stranger, "arn:aws:iam::123456789012:role/none"):
        request = {"ModelName": "refused", "ExecutionRoleArn": role, "PrimaryContainer": {"Image": account.image}}
        refused = _refusal(functools.partial(account.sagemaker.create_model, **request))
        assert refused.startswith(f"ValidationException: Could not assume role {role}.")


def test_uncompressed_model_data_is_served_as_it_lies_in_s3(account: HostingAccount) -> None:
    """A prefix with files needs no archive."""
    account.s3.put_object(Bucket=BUCKET, Key="loose/name", Body=b"loose")
    source = {"S3Uri": f"s3://{BUCKET}/loose/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    account.sagemaker.create_model(
        ModelName="loose",
        ExecutionRoleArn=account.role_arn,
        PrimaryContainer={"Image": account.image, "ModelDataSource": {"S3DataSource": source}},
    )

    assert account.invoke(account.endpoint(account.config({"ModelName": "loose"}))) == "loose"


def test_a_configuration_is_described_with_its_defaults(account: HostingAccount) -> None:
    """A weight that was not given is 1."""
    name = account.config({"ModelName": account.model("x")})

    config = account.sagemaker.describe_endpoint_config(EndpointConfigName=name)

    assert config["EndpointConfigArn"] == f"arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/{name}"
    assert config["ProductionVariants"][0]["InitialVariantWeight"] == 1.0


def test_a_configuration_can_be_made_again_only_after_its_deletion(account: HostingAccount) -> None:
    """A name is taken until the configuration is deleted; then it is unknown."""
    name = account.config({"ModelName": account.model("x")})
    described = account.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    again = {"EndpointConfigName": name, "ProductionVariants": described["ProductionVariants"]}
    arn = described["EndpointConfigArn"]

    taken = _refusal(lambda: account.sagemaker.create_endpoint_config(**again))
    account.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    unknown = _refusal(lambda: account.sagemaker.describe_endpoint_config(EndpointConfigName=name))

    assert taken == f'ValidationException: Cannot create already existing endpoint configuration "{arn}".'
    assert unknown == f'ValidationException: Could not find endpoint configuration "{arn}".'


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([{"ModelName": "none"}], 'Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/none"'),
        ([{}], "ModelName is required"),
        ([{"VariantName": "A"}, {"VariantName": "A"}], "VariantName must be unique"),
        ([{"InitialVariantWeight": 0.0}], "InitialVariantWeight greater than 0"),
        (
            [{"InitialInstanceCount": 21}],
            "account-level service limit 'ml.m5.large for endpoint usage' is 20 Instances",
        ),
        (
            [{"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}],
            "ServerlessConfig, which the local AWS",
        ),
        ([{"InstanceType": "ml.m5.tiny"}], "Member must satisfy enum value set"),
        ([{"VariantName": "-"}], "Member must satisfy regular expression pattern"),
        ([{"VariantName": f"V{number}"} for number in range(11)], "less than or equal to 10"),
        ([{"RoutingConfig": {"RoutingStrategy": "KV_AWARE"}}], "use RANDOM or LEAST_OUTSTANDING_REQUESTS"),
    ],
)
def test_a_configuration_that_cannot_be_deployed_is_refused(
    account: HostingAccount, variants: list[dict[str, Any]], message: str
) -> None:
    """The refusal names the member and what is allowed."""
    defaults = {"VariantName": "A", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    model = {} if variants == [{}] else {"ModelName": account.model("x")}

    refused = _refusal(
        lambda: account.sagemaker.create_endpoint_config(
            EndpointConfigName="refused", ProductionVariants=[{**defaults, **model, **variant} for variant in variants]
        )
    )

    assert message in refused


def test_lists_have_the_newest_first_and_pages(account: HostingAccount) -> None:
    """Models and configurations are listed as every resource of SageMaker."""
    models = [account.model("x") for _ in range(3)]
    configs = [account.config({"ModelName": model}) for model in models]

    first = account.sagemaker.list_models(MaxResults=2)
    rest = account.sagemaker.list_models(MaxResults=2, NextToken=first["NextToken"])
    listed = account.sagemaker.list_endpoint_configs(MaxResults=3)["EndpointConfigs"]

    assert [model["ModelName"] for model in first["Models"]] == models[:0:-1]
    assert rest["Models"][0]["ModelName"] == models[0]
    assert [config["EndpointConfigName"] for config in listed] == configs[::-1]
