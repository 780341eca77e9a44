"""Which registries are ECR's, and what is known of base images."""

from __future__ import annotations

import pytest

from sagemaker_byoc.base_image import Bases, EcrImage, ecr_registries
from sagemaker_byoc.dockerfile import NamedImage

IRELAND = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{IRELAND}/team/base:3", EcrImage(IRELAND, "123456789012", "eu-west-1", "team/base", "3")),
        (f"{IRELAND}/base", EcrImage(IRELAND, "123456789012", "eu-west-1", "base", "latest")),
        (f"{IRELAND}/base@sha256:1", EcrImage(IRELAND, "123456789012", "eu-west-1", "base", "latest", "sha256:1")),
        ("public.ecr.aws/docker/library/python:3.12", None),
        ("python:3.12", None),
        (f"proxy.local/{IRELAND}/base", None),
    ],
)
def test_images_of_ecr_are_told_from_others(name: str, expected: EcrImage | None) -> None:
    """A public gallery is none: it needs no login, and no account has it."""
    assert EcrImage.of(name) == expected


@pytest.mark.parametrize(
    "host",
    [
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "123456789012.dkr-ecr.us-west-2.on.aws",
    ],
)
def test_ecr_is_known_in_every_partition(host: str) -> None:
    """The region stands in the name."""
    region = host.split(".")[3] if ".dkr.ecr" in host else "us-west-2"
    assert ecr_registries([NamedImage(f"{host}/base:1", 0, 0)]) == {host: region}


def test_the_order_in_which_bases_are_found_does_not_count() -> None:
    """Two workers give the same tag."""
    one, other = Bases({"a": "sha256:1"}), Bases({"b": "sha256:2"})
    assert (one | other).suffix == (other | one).suffix != one.suffix


def test_only_what_a_registry_has_is_pinned() -> None:
    """An image that only the engine holds cannot be asked for by digest."""
    assert Bases({"a:1": "sha256:1"}, {"b": "sha256:2"}).references == {"a:1": "a:1@sha256:1"}
