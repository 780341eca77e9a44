"""The registry's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local_aws.registry.configuration import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_sends_events_to_the_local_aws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Address, directory and target are those that were asked for."""
    main(["--address", "127.0.0.1:5001", "--storage", str(tmp_path), "--endpoint-url", "http://127.0.0.1:4570"])

    configuration = json.loads(capsys.readouterr().out)
    (endpoint,) = configuration["notifications"]["endpoints"]
    assert configuration["http"] == {"addr": "127.0.0.1:5001"}
    assert configuration["storage"]["filesystem"] == {"rootdirectory": str(tmp_path)}
    assert endpoint["url"] == "http://127.0.0.1:4570/_local/registry-events"
