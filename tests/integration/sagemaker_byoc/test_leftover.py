"""Cleaning up an account in which containers really serve."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.operators.leftover import CleanUpLeftoversOperator
from sagemaker_byoc.operators.restore import RestoreEndpointOperator
from tests.support.classifier_account import REACHED, ClassifierAccount, create, smoke_test, wait
from tests.support.operator_cloud import CLASSIFIER, operator_cloud
from tests.support.process_cloud import REGISTRY, wait_until
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORY = "retrain"
OURS = [{"Key": "project", "Value": "sagemaker-byoc"}]


@dataclass
class UsedAccount:
    """An account after five deployments to one endpoint, in which others work as well.

    Three configurations are kept, so that two of them may go, with their models, and with the image of these.

    :param configs: those of the deployments, oldest first
    :param models: theirs
    :param images: digest by name
    """

    account: ClassifierAccount
    configs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sagemaker, self.ecr = self.account.sagemaker, self.account.cloud.client("ecr")
        for name in ("unused", "foreign", "first", "later", "newest"):
            self._push(name)
        self.endpoint = self.account.name()
        for number in range(5):
            model = self._model("first" if number < 2 else "later", OURS)
            deployed = create(self.endpoint, model)
            wait(deployed)
            self.configs.append(deployed["endpoint_config_name"])
            self.models.append(model)
        self.foreign_model = self._model("foreign", [])
        self._config("foreign-config", self.foreign_model)
        self._model("unused", OURS)

    def _push(self, name: str) -> None:
        """Push an image in a second of its own, since ECR tells whole seconds here."""
        if self.images:
            second = int(time.time())
            wait_until(lambda: int(time.time()) > second, "the next second has begun")
        files = {"serve": f"{CLASSIFIER}# {name}\n"}
        self.account.cloud.push(REPOSITORY, files, tag=f"ctx-{name}")
        [image] = self.ecr.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": f"ctx-{name}"}])[
            "imageDetails"
        ]
        self.images[name] = image["imageDigest"]

    def _model(self, image: str, tags: list[dict[str, str]]) -> str:
        """Make a good model of an image by its digest."""
        described = self.sagemaker.describe_model(ModelName=self.account.model(5))
        container = {**described["PrimaryContainer"], "Image": f"{REGISTRY}/{REPOSITORY}@{self.images[image]}"}
        self.sagemaker.delete_model(ModelName=described["ModelName"])
        self.sagemaker.create_model(
            ModelName=described["ModelName"],
            ExecutionRoleArn=described["ExecutionRoleArn"],
            PrimaryContainer=container,
            Tags=tags,
        )
        return str(described["ModelName"])

    def _config(self, name: str, model: str) -> None:
        variant = {
            "VariantName": "a",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def left(self) -> set[str]:
        """Name everything that is there."""
        lists = {"Endpoints": "list_endpoints", "EndpointConfigs": "list_endpoint_configs", "Models": "list_models"}
        listed = {kind: getattr(self.sagemaker, call)(MaxResults=100)[kind] for kind, call in lists.items()}
        found = {each[f"{kind[:-1]}Name"] for kind, things in listed.items() for each in things}
        return found | {
            each["imageDigest"] for each in self.ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        }

    def answers_rightly(self) -> bool:
        """Ask the endpoint."""
        return bool(smoke_test(self.endpoint)["accuracy"] == 1.0)


@pytest.fixture
def used(tmp_path: Path) -> Iterator[UsedAccount]:
    """An account of its own for each test, since all that is in it may go."""
    with operator_cloud(tmp_path) as cloud:
        yield UsedAccount(ClassifierAccount(cloud))


def clean_up(**changes: Any) -> dict[str, Any]:
    """Run the task; everything that was made before it began is past the retention."""
    settings: dict[str, Any] = {
        "repositories": [REPOSITORY],
        "retention_days": 1e-9,
        "claims_older_than_days": 1e-9,
        "calls_per_second": 1e6,
        "aws_conn_id": None,
        **changes,
    }
    result: dict[str, Any] = TaskRun().of(CleanUpLeftoversOperator(task_id="clean_up", **settings))
    return result


def expected(used: UsedAccount) -> set[str]:
    """Name what nobody needs: claims but for the latest, the unused model, and what two deployments have left."""
    unused = used.left() - {used.endpoint, *used.configs, *used.models, *used.images.values()}
    unused -= {"foreign-config", used.foreign_model, max(name for name in unused if "-claim-" in name)}
    return {*used.configs[:2], *used.models[:2], *unused, used.images["unused"], used.images["first"]}


def test_what_is_told_goes_and_the_way_back_stays(used: UsedAccount) -> None:
    """First nothing is changed; then exactly the table goes, and the endpoint can be taken back after that."""
    before, wanted = used.left(), expected(used)
    told = clean_up()
    assert {row["name"].partition("@")[2] or row["name"] for row in told["rows"]} == wanted
    assert (told["hourly_usd"], told["kept_because"]) == (0.0, {})
    assert used.left() == before
    assert clean_up(retention_days=1, claims_older_than_days=1)["found"] == {}

    done = clean_up(delete=True)
    assert done["outcomes"] == {"deleted": len(wanted)}
    assert before - used.left() == wanted
    assert used.answers_rightly()
    assert clean_up(delete=True)["found"] == {}

    back = TaskRun().of(
        RestoreEndpointOperator(
            task_id="restore", endpoint_name=used.endpoint, endpoint_config_name=used.configs[3], **REACHED
        )
    )
    assert back["endpoint_config_name"] == used.configs[3]
    assert used.answers_rightly()


def test_a_deployment_at_the_same_time_is_not_harmed(used: UsedAccount) -> None:
    """While the first configuration is deleted, a run deploys the model of the second one, whose turn was next."""
    deployed: list[dict[str, Any]] = []

    def deploy(**_: Any) -> None:
        if not deployed:
            run = TaskRun(run_id="manual__now")
            deployed.append(create(used.endpoint, used.models[1], run, exclusive=False))

    before, wanted = used.left(), expected(used)
    client = AwsConnection(None).client("sagemaker")
    client.meta.events.register_first("before-call.sagemaker.DeleteEndpointConfig", deploy)
    result = clean_up(delete=True)

    assert deployed[0]["endpoint_config_name"] == used.configs[1]
    assert before - used.left() == wanted - {used.configs[1], used.models[1], used.images["first"]}
    assert result["outcomes"]["kept"] == 3
    wait(deployed[0])
    assert used.answers_rightly()


def test_an_endpoint_goes_on_request_and_leaves_its_way_back(used: UsedAccount) -> None:
    """Its price is asked for, and the local AWS has none; its newest configurations outlive it."""
    result = clean_up(delete=True, endpoints_older_than_days=1e-9)
    assert (result["found"]["endpoint"], result["unknown_prices"]) == (1, 3)
    assert {*used.configs[2:], *used.models[2:], used.images["later"]} <= used.left()
