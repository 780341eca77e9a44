"""What ``docker-compose.yaml`` promises, read without Docker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

_FILE = Path(__file__).parents[2] / "docker-compose.yaml"
_ONCE = {"secrets", "airflow-init"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services by name."""
    found: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))["services"]
    return found


def test_every_port_is_published_on_loopback(services: dict[str, Any]) -> None:
    """A port without an address is open to every machine."""
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_that_stays_has_a_health_check(services: dict[str, Any]) -> None:
    """Others wait for it."""
    assert {name for name, service in services.items() if "healthcheck" not in service} == _ONCE


def test_only_the_local_aws_gets_the_engines_socket(services: dict[str, Any]) -> None:
    """Whoever has it is root of the machine."""
    having = [name for name, service in services.items() if "docker.sock" in str(service.get("volumes"))]

    assert having == ["local-aws"]


def test_database_and_broker_are_out_of_reach_of_training_containers(services: dict[str, Any]) -> None:
    """Those join the network of the local AWS."""
    (common,) = services["local-aws"]["networks"]

    assert all(common not in services[name]["networks"] for name in ("postgres", "redis", "api-server"))


def test_the_image_of_all_is_built_once_and_first(services: dict[str, Any]) -> None:
    """Compose 1.29 builds in the order of dependencies, and would pull what an earlier service has not built."""
    assert [name for name, service in services.items() if "build" in service] == ["secrets"]
    direct = {name for name, service in services.items() if "secrets" in service.get("depends_on", {})}
    assert direct == {"postgres", "local-aws", "redis"}
    assert set(services["airflow-init"]["depends_on"]) <= direct


def test_every_image_can_be_replaced(services: dict[str, Any]) -> None:
    """By a mirror's, where nothing else can be pulled."""
    assert all(service["image"].startswith("${") and ":-" in service["image"] for service in services.values())


def test_no_setting_holds_a_secret(services: dict[str, Any]) -> None:
    """Each is read from a file that the first start makes; the local AWS takes any key."""
    values = {
        name: value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if any(word in name for word in ("PASSWORD", "SECRET", "FERNET_KEY", "SQL_ALCHEMY", "BROKER", "BACKEND"))
    }

    known = {"AWS_SECRET_ACCESS_KEY": "local"}
    rest = {name: value for name, value in values.items() if name not in known}
    assert values["AWS_SECRET_ACCESS_KEY"] == known["AWS_SECRET_ACCESS_KEY"]
    assert len(rest) == 8
    assert all(name.endswith(("_CMD", "_FILE")) for name in rest), rest
