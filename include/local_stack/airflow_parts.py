"""How the parts of Airflow are started: commands and environment, nothing that runs.

Settings come as environment variables, so that no file of an Airflow home has to be written or merged.
"""

from __future__ import annotations

import secrets
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.home import CHECKOUT
from local_stack.port import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_stack.home import Home

__all__ = ["airflow_command", "airflow_environment", "part_commands", "part_environment"]

# Nothing of the stack may reach real AWS: a call that misses the local endpoint dies on this closed port at once.
DEAD_PROXY = "http://127.0.0.1:9"


def airflow_command(*arguments: str) -> list[str]:
    """Return the command line of Airflow's own CLI in this environment."""
    return [str(Path(sys.executable).parent / "airflow"), *arguments]


def part_commands(port: int) -> dict[str, list[str]]:
    """Return the four parts of Airflow by name; all that listens listens on loopback."""
    return {
        "api-server": airflow_command("api-server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"),
        "scheduler": airflow_command("scheduler", "--skip-serve-logs"),
        "dag-processor": airflow_command("dag-processor"),
        "triggerer": airflow_command("triggerer", "--skip-serve-logs"),
    }


def part_environment(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one part.

    The API server writes the audit log of a click on its event loop. If a heartbeat of a task has the database's lock
    at that moment, it needs the same loop to give it back, and all parts stand still until the loop's wait is over.
    So the API server waits for a short time, and refuses such a click with a 500.
    """
    if name != "api-server":
        return dict(environment)
    patient = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return {**environment, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": patient.replace("timeout=60", "timeout=5")}


def airflow_environment(
    home: Home, inherited: Mapping[str, str], *, port: int, aws_endpoint: str, region: str, scheduled: bool
) -> dict[str, str]:
    """Return the environment of every part.

    :param inherited: the environment of the stack itself; its AWS and Airflow settings are left out
    :param port: of the API server
    :param aws_endpoint: URL of the local AWS
    :param scheduled: whether DAGs also run on their schedules, and not only when someone triggers them
    """
    address = f"http://{LOOPBACK}:{port}"
    ours = {name: value for name, value in inherited.items() if not name.startswith(("AWS_", "AIRFLOW_"))}
    return ours | {
        "PATH": f"{Path(sys.executable).parent}:{inherited.get('PATH', '')}",
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",
        "HTTPS_PROXY": DEAD_PROXY,
        "HTTP_PROXY": DEAD_PROXY,
        "NO_PROXY": f"{LOOPBACK},localhost",
        # without it every client would warn that there is no such connection
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIRFLOW_HOME": str(home.airflow),
        **{f"AIRFLOW__{name}": value for name, value in airflow_settings(home, address, scheduled=scheduled).items()},
    }


def airflow_settings(home: Home, address: str, *, scheduled: bool) -> dict[str, str]:
    """Return what differs from Airflow's defaults, as ``SECTION__KEY``."""
    return {
        "CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        # Without one, parts that start at the same time may each make a key of their own, and a wait that the scheduler
        # sends to the triggerer cannot be read there.
        "CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        # Whoever reaches a loopback port of this machine is the person who started the stack.
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "API__BASE_URL": address,
        "API__PORT": address.rsplit(":", 1)[1],
        "API__SECRET_KEY": secrets.token_urlsafe(32),
        "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        # a part that finds the file locked waits for it, longer than Python's five seconds on a busy machine
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.database}?timeout=60",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "SCHEDULER__USE_JOB_SCHEDULE": str(scheduled),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
