"""The one command with Docker, as a new user types it, twice."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import docker
import psutil
import pytest

from local_aws.docker_engine.leftover import label_of
from local_stack.engine import EngineWish, choose_engine
from local_stack.errors import StackError
from local_stack.home import CHECKOUT, Home
from tests.support.docker_registry import remove_images
from tests.support.process_cloud import wait_until
from tests.support.readme import command, terminal
from tests.support.requirement import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1800)

REPOSITORY = "sagemaker-retrain"


def build_options() -> str:
    """Return what a machine that can pull no image gives to its builds."""
    base = os.environ.get("BASE_IMAGE")
    return f"--build-arg BASE_IMAGE={base}" if base else ""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return a home of the tests' own, whose images go from the engine at the end."""
    home = Home(tmp_path_factory.mktemp("stack") / "home")
    yield home
    port = home.registry / "port"
    if port.exists():
        client = docker.from_env()
        remove_images(client, f"127.0.0.1:{port.read_text()}/")
        client.close()


@pytest.fixture(scope="module")
def outputs(home: Home) -> tuple[str, str]:
    """Return what ``make run`` prints the first time, with an empty registry, and the second time."""
    try:
        choose_engine(EngineWish("docker", build_options=build_options()))
    except StackError as error:
        skip_or_fail(str(error))
    return run(home), run(home)


def run(home: Home) -> str:
    """Run the README's command with Docker; it has to end with success."""
    made = subprocess.run(
        command("make run").split(),
        cwd=CHECKOUT,
        env=terminal(ENGINE="docker", DOCKER_BUILD_OPTIONS=build_options(), STACK_HOME=str(home.root)),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.startswith("engine  docker (")
    return made.stdout


@pytest.fixture
def engine() -> Iterator[Any]:
    """Return a client of the engine."""
    client = docker.from_env()
    yield client
    client.close()


def digest(output: str) -> str:
    """Return the digest that ECR gave."""
    (found,) = re.findall(rf"^image .*/{REPOSITORY}@(sha256:[0-9a-f]{{64}})$", output, re.MULTILINE)
    return str(found)


def test_the_image_of_ecr_is_the_one_that_ran(home: Home, outputs: tuple[str, str], engine: Any) -> None:
    """The engine has pulled, by ECR's digest, an image that can train and serve; the registry holds the same."""
    address = f"127.0.0.1:{(home.registry / 'port').read_text()}"
    image = engine.api.inspect_image(f"{address}/{REPOSITORY}@{digest(outputs[0])}")
    revisions = home.registry / "storage" / "docker/registry/v2/repositories" / REPOSITORY / "_manifests/revisions"

    assert image["Config"]["WorkingDir"] == "/opt/program"
    assert [path.name for path in (revisions / "sha256").iterdir()] == [digest(outputs[0]).partition(":")[2]]


def test_the_second_run_builds_nothing(home: Home, outputs: tuple[str, str]) -> None:
    """The first waits for its build, the second does not; it starts no build, and runs the same image."""
    waited = [bool(re.search(r"^  \. build_push_image +deferred$", output, re.MULTILINE)) for output in outputs]
    log = "".join(path.read_text() for path in (home.airflow / "logs").rglob("*task_id=build_push_image/*.log"))

    assert waited == [True, False]
    assert digest(outputs[0]) == digest(outputs[1])
    assert not (home.aws_state / "builds").exists()
    assert "nothing to build" in log


def test_every_record_is_answered(outputs: tuple[str, str]) -> None:
    """Training and serving in containers give what they give as processes."""
    for output in outputs:
        answers = re.findall(r"^ +\d+ +\S+ +\S+ +(yes|NO)$", output, re.MULTILINE)
        assert len(answers) == 30
        assert answers.count("yes") >= 27


def test_nothing_is_left(home: Home, outputs: tuple[str, str], engine: Any) -> None:
    """No container, no network and no process of the stack outlives it."""
    selection = {"label": f"local-aws={label_of(home.aws_state)}"}

    def left() -> list[Any]:
        found = [*engine.containers.list(all=True, filters=selection), *engine.networks.list(filters=selection)]
        return found + [process for process in psutil.process_iter(["cmdline"]) if uses(home, process)]

    wait_until(lambda: not left(), "nothing is left", 30)


def uses(home: Home, process: psutil.Process) -> bool:
    """Tell whether a process's command names the folder of the stack."""
    return any(str(home.root) in word for word in process.info["cmdline"] or ())
