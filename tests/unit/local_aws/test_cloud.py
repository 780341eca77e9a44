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
