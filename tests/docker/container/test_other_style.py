"""An image that knows nothing of this project (ENTRYPOINT, nginx, gunicorn, Flask, scikit-learn) runs unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local_stack.home import CHECKOUT
from tests.support.docker_operators import build_and_push
from tests.support.iris_account import IrisAccount, as_json, known_flowers
from tests.support.operator_cloud import operators_reach
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from tests.support.docker_cloud import DockerCloud


@pytest.fixture(scope="module")
def image(cloud: DockerCloud) -> str:
    """The URI of the other image, built and pushed by the provider's operator."""
    with operators_reach(cloud):
        return build_and_push(CHECKOUT / "tests" / "images" / "scikit", "other-style")


def test_it_trains_and_serves(account: IrisAccount, image: str) -> None:
    """Its ENTRYPOINT gets ``train`` and ``serve``, nginx answers on 8080, and SIGTERM ends both of its servers."""
    rows, species = known_flowers()
    account.train("other-style", account.request(image, max_leaf_nodes=6))
    assert account.cloud.log("other-style")[0].startswith("rows=48 train_accuracy=")
    assert list(account.model_files("other-style")) == ["tree.pkl"]
    account.deploy("other-style", image, "other-style")
    body = "\n".join(",".join(map(str, row)) for row in rows).encode()

    answers = account.invoke("other-style", body, ContentType="text/csv").split()

    assert len(answers) == len(species)
    assert sum(map(str.__eq__, answers, species)) >= 27
    with pytest.raises(ClientError) as refused:
        account.invoke("other-style", as_json(rows), ContentType="application/json")
    assert refused.value.response["OriginalStatusCode"] == 415
    account.delete_endpoint("other-style")
    wait_until(lambda: "both servers have ended" in account.endpoint_log("other-style"), "its last line is there")


def test_its_failure_is_the_jobs(account: IrisAccount, image: str) -> None:
    """What its shell script leaves in the failure file is the reason, with the exit code after it."""
    account.start("other-style-fails", account.request(image, max_leaf_nodes="many"))

    job = account.finish("other-style-fails")

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ValueError: invalid literal for int()")
    assert job["FailureReason"].endswith(", exit code: 1")
