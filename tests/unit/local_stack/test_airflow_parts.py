"""How the parts of Airflow are started."""

from __future__ import annotations

from pathlib import Path

from local_stack.airflow_parts import airflow_environment, part_commands, part_environment
from local_stack.home import Home


def test_only_the_api_server_does_not_wait_long_for_the_database() -> None:
    """It would wait for itself, and all parts with it; whoever else finds the file locked is patient."""
    environment = airflow_environment(
        Home(Path("/stack")), {}, port=8080, aws_endpoint="http://127.0.0.1:4566", region="us-east-1", scheduled=False
    )
    seconds = {
        name: part_environment(name, environment)["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].rpartition("=")[2]
        for name in part_commands(8080)
    }
    assert seconds == {"api-server": "5", "scheduler": "60", "dag-processor": "60", "triggerer": "60"}
