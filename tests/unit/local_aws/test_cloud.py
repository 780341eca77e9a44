"""Clients of the local AWS's own services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws.cloud import Cloud

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_profile_of_the_user_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Whoever works with profiles can start the local AWS from the same shell."""
    monkeypatch.setenv(variable, "nowhere")

    client = Cloud("http://127.0.0.1:1", "eu-west-1", tmp_path).client("sts")

    assert client.meta.endpoint_url == "http://127.0.0.1:1"


def test_containers_are_given_the_address_that_works_from_inside_them(tmp_path: Path) -> None:
    """Loopback is another one there."""
    cloud = Cloud("http://127.0.0.1:1", "eu-west-1", tmp_path, container_endpoint_url="http://local-aws:1")

    assert cloud.credentials()["AWS_ENDPOINT_URL"] == "http://local-aws:1"
    assert cloud.client("sts").meta.endpoint_url == "http://127.0.0.1:1"
