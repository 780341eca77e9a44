"""The stack of ``docker-compose.yaml`` under a project name, ports and images of its own.

With BASE_IMAGE in the environment, stand-ins made from that image take the place of those that would be pulled. Images
stay, so that the next run finds them made; everything else is removed.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import boto3
import docker
import httpx

from local_aws.engine_docker import silence
from local_stack.airflow_api import AirflowApi
from local_stack.home import CHECKOUT
from local_stack.port import free_port
from tests.support.docker_registry import remove_images
from tests.support.readme import command
from tests.support.requirement import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ComposeStack", "compose_command", "require_compose"]

_IMAGES = CHECKOUT / "tests" / "compose" / "images"
_STAND_INS = {
    "AIRFLOW_IMAGE": "airflow",
    "DOCKER_CLI_IMAGE": "docker-cli",
    "POSTGRES_IMAGE": "postgres",
    "REDIS_IMAGE": "redis",
    "REGISTRY_IMAGE": "registry",
}
_CELERY = CHECKOUT / "include" / "compose" / "celery.env"
_ONCE = frozenset({"secrets", "airflow-init"})
_LOOK_SECONDS = 0.5
_HEALTHY_SECONDS = 240.0


@functools.cache
def compose_command() -> tuple[str, ...]:
    """Return ``docker compose`` where there is one, else ``docker-compose``; nothing when there is neither."""
    for words in (("docker", "compose"), ("docker-compose",)):
        try:
            subprocess.run([*words, "version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return words
    return ()


def require_compose() -> None:
    """Skip unless the stack can be started here; with REQUIRE_DOCKER=1 fail instead."""
    missing = [
        reason
        for reason, is_there in {
            "no Docker engine answers (set DOCKER_HOST or start dockerd)": silence() is None,
            "there is neither `docker compose` nor docker-compose": compose_command(),
        }.items()
        if not is_there
    ]
    if missing:
        skip_or_fail("; ".join(missing))


@dataclass
class ComposeStack:
    """One project of Compose's.

    :param project: name that begins every container, volume and network
    """

    project: str = field(default_factory=lambda: f"byoc-{secrets.token_hex(3)}")
    airflow_port: int = field(default_factory=free_port)
    aws_port: int = field(default_factory=free_port)
    registry_port: int = field(default_factory=free_port)
    engine: Any = field(default_factory=docker.from_env, init=False)
    _workers: int = field(default=0, init=False)

    def build(self) -> None:
        """Make the image of the stack, and before it the stand-ins for what cannot be pulled."""
        base = os.environ.get("BASE_IMAGE")
        for name in _STAND_INS.values() if base else ():
            command = ["docker", "build", "--quiet", "--tag", _stand_in(name), "--build-arg", f"BASE_IMAGE={base}"]
            self._run([*command, "--file", str(_IMAGES / name / "Dockerfile"), str(CHECKOUT)])
        self.compose("build", "secrets")

    def up(self, workers: int = 0) -> None:
        """Start the stack, or change it to this, and return when every part is healthy; harmless when it is so.

        :param workers: with CeleryExecutor when there are any, and then as many as in the README's command
        """
        if self.containers("scheduler") and self._workers == workers and self._is_healthy():
            return
        assert not workers or command("docker compose up -d --scale").endswith(f"worker={workers}")
        self._workers = workers
        self.restart_what_ended()

    def restart_what_ended(self) -> None:
        """Do the README's ``up`` as it is, and return when every part is healthy."""
        words = command("docker compose up -d --scale" if self._workers else "docker compose up -d").split()[2:]
        self.compose(*words)
        self.wait_for(self._is_healthy, "every part is healthy", _HEALTHY_SECONDS)

    def down(self, *options: str) -> None:
        """Stop and remove the stack."""
        self.compose("down", *options)

    def remove(self) -> None:
        """Remove what the project has made, the images of its registry in the engine among it."""
        self.down("--volumes")
        remove_images(self.engine, f"127.0.0.1:{self.registry_port}/")
        self.engine.close()

    def compose(self, *arguments: str) -> str:
        """Run one command of Compose's and return what it printed."""
        celery = ["--env-file", str(_CELERY)] if self._workers else []
        return self._run([*compose_command(), *celery, *arguments])

    def containers(self, service: str | None = None) -> list[dict[str, Any]]:
        """Return what ``docker inspect`` says of the project's containers."""
        labels = [f"com.docker.compose.project={self.project}"]
        labels += [f"com.docker.compose.service={service}"] if service else []
        found = self.engine.api.containers(all=True, filters={"label": labels})
        return [self.engine.api.inspect_container(container["Id"]) for container in found]

    def left(self) -> list[str]:
        """Return the names of the project's containers, volumes and networks, and of what its local AWS started."""
        selection = {"label": f"com.docker.compose.project={self.project}"}
        containers = self.engine.api.containers(all=True, filters=selection)
        networks = self.engine.api.networks(filters=selection)
        volumes = self.engine.api.volumes(filters=selection)["Volumes"] or []
        names = [container["Names"][0] for container in containers]
        return names + [thing["Name"] for thing in [*networks, *volumes]] + self.started()

    def started(self) -> list[str]:
        """Return the containers that run, or ran, an image of the project's registry."""
        images = f"127.0.0.1:{self.registry_port}/"
        found = self.engine.api.containers(all=True)
        return [container["Names"][0] for container in found if container["Image"].startswith(images)]

    def airflow(self) -> AirflowApi:
        """Return a client of the API server, logged in with the generated password."""
        api = AirflowApi(f"http://127.0.0.1:{self.airflow_port}")
        api.log_in("admin", json.loads(self.secret("users.json"))["admin"])
        return api

    def run_dag(self, dag_id: str, conf: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
        """Trigger a DAG over the REST API and return its task instances when it has succeeded."""
        airflow = self.airflow()
        self.wait_for(lambda: airflow.has_dag(dag_id), f"Airflow has the DAG {dag_id}")
        run_id = airflow.trigger(dag_id, datetime.now(timezone.utc).isoformat(), conf)
        ended = {"success", "failed"}
        self.wait_for(lambda: airflow.run_state(dag_id, run_id) in ended, f"the run of {dag_id} has ended", seconds)
        tasks = airflow.task_instances(dag_id, run_id)
        failed = [task for task in tasks if task["state"] == "failed"]
        logs = [airflow.task_log(dag_id, run_id, task["task_id"], task["try_number"])[-20:] for task in failed]
        assert airflow.run_state(dag_id, run_id) == "success", logs
        return tasks

    def refuses_login(self, name: str, password: str) -> bool:
        """Tell whether Airflow turns somebody away."""
        try:
            AirflowApi(f"http://127.0.0.1:{self.airflow_port}").log_in(name, password)
        except httpx.HTTPStatusError as error:
            return error.response.is_client_error
        return False

    def secret(self, name: str) -> str:
        """Return one of the generated secrets, as README says to see the password."""
        words = command("docker compose exec api-server cat").replace("users.json", name).split()[2:]
        # There is no terminal here.
        return self.compose(words[0], "-T", *words[1:])

    def first_secret(self, name: str) -> str:
        """Start only what makes the secrets, and return one of them."""
        self.compose("up", "--detach", "secrets")
        self.wait_for(self._is_healthy, "the secrets are made")
        read = ["run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "secrets", f"/opt/airflow/secrets/{name}"]
        return self.compose(*read)

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.aws_port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Return what the condition gives once it is true; tell what the containers logged when it never is."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self.compose('logs', '--tail=30')}")
            time.sleep(_LOOK_SECONDS)
        return found

    def _is_healthy(self) -> bool:
        return all(map(_is_as_it_should_be, self.containers()))

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=CHECKOUT, env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        host = kept.get("DOCKER_HOST", "")
        environment = {
            **kept,
            "COMPOSE_PROJECT_NAME": self.project,
            "STACK_IMAGE": "sagemaker-byoc-test-stack:latest",
            "AIRFLOW_PORT": str(self.airflow_port),
            "AWS_PORT": str(self.aws_port),
            "REGISTRY_PORT": str(self.registry_port),
        }
        if host.startswith("unix://"):
            environment["DOCKER_SOCKET"] = host.removeprefix("unix://")
        if "BASE_IMAGE" in os.environ:
            environment |= {variable: _stand_in(name) for variable, name in _STAND_INS.items()}
            environment["DOCKER_BUILD_OPTIONS"] = f"--build-arg BASE_IMAGE={os.environ['BASE_IMAGE']}"
        return environment


def _is_as_it_should_be(container: dict[str, Any]) -> bool:
    state = container["State"]
    if container["Config"]["Labels"]["com.docker.compose.service"] in _ONCE:
        return bool(state["Status"] == "exited" and state["ExitCode"] == 0)
    return bool(state.get("Health", {}).get("Status") == "healthy")


def _stand_in(name: str) -> str:
    return f"sagemaker-byoc-stand-in-{name}:test"
