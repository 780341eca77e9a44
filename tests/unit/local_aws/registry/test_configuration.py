"""The registry's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local_aws.registry.configuration import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_says_where_the_registry_listens_and_keeps_its_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Address and directory are those that were asked for, and images can be deleted."""
    main(["--address", "127.0.0.1:5001", "--storage", str(tmp_path)])

    configuration = json.loads(capsys.readouterr().out)
    assert configuration["http"] == {"addr": "127.0.0.1:5001"}
    assert configuration["storage"]["filesystem"] == {"rootdirectory": str(tmp_path)}
    assert configuration["storage"]["delete"] == {"enabled": True}
