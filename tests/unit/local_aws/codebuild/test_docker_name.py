"""Names of images in ECR and in the Docker engine."""

from __future__ import annotations

import pytest

from local_aws.codebuild.docker_name import DockerNames

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NAMES = DockerNames(HOST, "127.0.0.1:5000")


@pytest.mark.parametrize(
    ("argument", "translated"),
    [
        (f"{HOST}/team/model:v1", "127.0.0.1:5000/team/model:v1"),
        (f"--tag={HOST}/model:v1", "--tag=127.0.0.1:5000/model:v1"),
        (f"REGISTRY={HOST}", "REGISTRY=127.0.0.1:5000"),
        (f"type=registry,ref={HOST}/cache:v1", "type=registry,ref=127.0.0.1:5000/cache:v1"),
    ],
)
def test_ecrs_host_is_the_registry_wherever_it_stands(argument: str, translated: str) -> None:
    """Arguments hold it alone, in options and in lists."""
    assert NAMES.to_engine(argument) == translated


@pytest.mark.parametrize(
    "other", [f"9{HOST}/model", f"{HOST}.cn/model", HOST.replace("us-east-1", "eu-west-1"), "model"]
)
def test_another_registry_stays(other: str) -> None:
    """Other accounts, regions and partitions are not here."""
    assert NAMES.to_engine(other) == other


def test_a_dockerfile_takes_images_from_the_registry_and_keeps_its_texts() -> None:
    """What it writes into the image is what it would write on AWS."""
    dockerfile = (
        f"ARG BASE={HOST}/base:1\r\nFROM $BASE AS a\nfrom {HOST}/other@sha256:0\n"
        f"COPY --from={HOST}/model /a /b\nENV IMAGE={HOST}/model\nRUN echo {HOST}/model"
    )

    assert NAMES.dockerfile_to_engine(dockerfile) == (
        "ARG BASE=127.0.0.1:5000/base:1\r\nFROM $BASE AS a\nfrom 127.0.0.1:5000/other@sha256:0\n"
        f"COPY --from=127.0.0.1:5000/model /a /b\nENV IMAGE={HOST}/model\nRUN echo {HOST}/model"
    )


def test_output_has_the_names_that_the_build_knows() -> None:
    """A digest that `docker inspect` prints can be given to SageMaker."""
    assert NAMES.to_ecr(b"refers to [127.0.0.1:5000/model]\n") == f"refers to [{HOST}/model]\n".encode()
    assert NAMES.to_ecr(b"listening on 127.0.0.1:5000\xff") == b"listening on 127.0.0.1:5000\xff"
    assert NAMES.to_ecr(b"other 9127.0.0.1:5000/model") == b"other 9127.0.0.1:5000/model"
