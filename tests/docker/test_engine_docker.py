"""The Docker engine for real: what a container sees, how it ends, and that nothing of it stays."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.container import ContainerError, Launch
from local_aws.docker_engine.leftover import Watchdog
from local_aws.engine_docker import DockerEngine
from local_stack.home import CHECKOUT
from tests.support.process_cloud import REGISTRY, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.docker_cloud import DockerCloud

_NUMBERS = itertools.count(1)


def _script(text: str) -> dict[str, str]:
    return {"train": f"#!/bin/sh\n{text}\n"}


def _launch(cloud: DockerCloud, image: str, *arguments: str, **options: Any) -> Launch:
    name = f"container-{next(_NUMBERS)}"
    directory = cloud.state_dir / name
    (directory / "model").mkdir(parents=True)
    return Launch(name, image, arguments or ("train",), directory, **options)


def _output(cloud: DockerCloud, text: str, *arguments: str, **options: Any) -> list[str]:
    """Return what a container with this ``train`` prints."""
    image = cloud.push(f"shown-{next(_NUMBERS)}", _script(text))
    return list(cloud.engine.start(_launch(cloud, image, *arguments, **options)).lines())


def test_a_push_appears_in_ecr_with_the_registrys_digest(cloud: DockerCloud) -> None:
    """The digest is that of the registry, and the tag resolves to it."""
    image = cloud.push("pushed", _script("true"))

    (shown,) = cloud.client("ecr").describe_images(repositoryName="pushed")["imageDetails"]

    assert shown["imageTags"] == ["v1"]
    assert cloud.engine.resolve(image) == f"{REGISTRY}/pushed@{shown['imageDigest']}"


def test_a_tag_that_moves_leaves_the_former_image(cloud: DockerCloud) -> None:
    """A digest that a model or job holds stays good."""
    before = cloud.engine.resolve(cloud.push("moved", _script("echo before")))
    after = cloud.engine.resolve(cloud.push("moved", _script("echo after")))

    outputs = [list(cloud.engine.start(_launch(cloud, image)).lines()) for image in (before, after)]

    assert outputs == [["before"], ["after"]]


def test_a_push_to_no_repository_is_ignored(cloud: DockerCloud) -> None:
    """The registry takes it, ECR does not show it, and the next push is seen all the same."""
    cloud.client("ecr").describe_repositories()
    cloud.push_only("unknown", _script("true"))

    cloud.push("known", _script("true"))

    with pytest.raises(ContainerError, match="there is no image"):
        cloud.engine.resolve(f"{REGISTRY}/unknown:v1")


def test_an_image_that_only_ecr_knows_does_not_start(cloud: DockerCloud) -> None:
    """The message names the registry that was asked."""
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="hollow")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    ecr.put_image(repositoryName="hollow", imageManifest=json.dumps(manifest), imageTag="v1")

    with pytest.raises(ContainerError, match=f"the registry {cloud.registry} does not give the image"):
        cloud.engine.start(_launch(cloud, f"{REGISTRY}/hollow:v1"))


def test_hosts_of_a_job_find_each_other_by_name(cloud: DockerCloud) -> None:
    """They share a network of their own, which goes with the job."""
    image = cloud.push(
        "met",
        _script(
            "if [ $(hostname) = algo-1 ]; then echo 'the word' | nc -l -p 5000\n"
            "else until nc algo-1 5000 < /dev/null > /opt/ml/model/heard; do sleep 0.1; done; fi\n"
            "ip -o address show eth0 | grep -c inet"
        ),
    )

    job = cloud.run_job("docker-met", image, hosts=2)

    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert cloud.artifact("docker-met") == {"heard": "the word\n"}
    assert cloud.log("docker-met", "algo-2") == ["1"]
    wait_until(lambda: not [name for name in cloud.left() if "docker-met" in name], "the job has left nothing")


def test_a_program_that_ignores_sigterm_is_killed(cloud: DockerCloud) -> None:
    """Killed by signal 9 is exit code 137; a second stop does no harm."""
    image = cloud.push("stubborn", _script("trap '' TERM; echo ready; while true; do sleep 0.1; done"))
    container = cloud.engine.start(_launch(cloud, image))
    assert next(container.lines()) == "ready"

    container.stop(0.2)
    container.stop(0.2)

    assert container.wait() == 137


def test_a_wide_character_survives_at_any_place(cloud: DockerCloud) -> None:
    """Docker stores long lines in pieces of 16 KB; none of them may break a character."""
    (line,) = _output(
        cloud,
        r"printf x; i=0; while [ $i -lt 500 ]; do printf '%0100d' 0 | tr 0 '\n' | "
        r"while read -r _; do printf '\303\244'; done; i=$((i+1)); done",
    )

    assert line == "x" + "\u00e4" * 50_000


def test_a_container_has_docker_s_shared_memory_and_no_privileges(cloud: DockerCloud) -> None:
    """64 MB of /dev/shm, and a mount, which needs a privilege, is refused."""
    lines = _output(
        cloud,
        "df -k /dev/shm | grep -o ' 65536 ' | head -n 1; mount -t tmpfs none /tmp 2>&1 | head -c 5; echo; id -u",
    )

    assert lines == [" 65536 ", "mount", "0"]


def test_files_of_root_go_to_whoever_runs_the_local_aws(cloud: DockerCloud) -> None:
    """Otherwise nobody but root could upload or remove them."""
    engine = DockerEngine(cloud.cloud, cloud.registry, owner=(12_345, 12_346))
    image = cloud.push("owned", _script("mkdir /opt/ml/model/deep; echo 1 > /opt/ml/model/deep/weights"))
    launch = _launch(cloud, image)

    assert engine.start(launch).wait() == 0

    found = (launch.ml_dir / "model" / "deep" / "weights").stat()
    assert (found.st_uid, found.st_gid) == (12_345, 12_346)


_SERVE = """\
#!/bin/sh
echo serving
trap 'exit 0' TERM
nc -ll -p 8080 -e answer & wait
"""
_ANSWER = """\
#!/bin/sh
length=0
read -r method path version
while read -r line; do
  line=$(printf %s "$line" | tr -d '\\r')
  case "$line" in
    [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
    "") break ;;
  esac
done
[ "$length" -gt 0 ] && body=$(head -c "$length")
refusal=$(sh -c 'echo > /opt/ml/model/new' 2>&1 | grep -o Read-only)
[ "$path" = /ping ] || text="$(cat /opt/ml/model/name) got $body; $refusal"
printf 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n'
printf 'Content-Length: %s\\r\\n\\r\\n%s' "$(printf %s "$text" | wc -c)" "$text"
"""


def test_an_endpoint_serves_from_its_container(cloud: DockerCloud) -> None:
    """It answers with a model that it may only read, logs its output, and leaves nothing when it is deleted."""
    sagemaker = cloud.client("sagemaker")
    image = cloud.push("served", {"serve": _SERVE, "answer": _ANSWER})
    sagemaker.create_model(
        ModelName="docker-model",
        ExecutionRoleArn=cloud.role(),
        PrimaryContainer={"Image": image, "ModelDataUrl": cloud.put_model({"name": b"churn"})},
    )
    variant = {"VariantName": "all", "ModelName": "docker-model", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="docker-config", ProductionVariants=[{**variant, "InitialInstanceCount": 2}]
    )
    sagemaker.create_endpoint(EndpointName="docker-endpoint", EndpointConfigName="docker-config")

    def status() -> str:
        return str(sagemaker.describe_endpoint(EndpointName="docker-endpoint")["EndpointStatus"])

    wait_until(lambda: status() != "Creating", "the endpoint is settled", 60.0)
    assert status() == "InService"

    answer = cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName="docker-endpoint", Body=b"1,2")

    assert answer["Body"].read() == b"churn got 1,2; Read-only"
    sagemaker.delete_endpoint(EndpointName="docker-endpoint")
    wait_until(lambda: not [name for name in cloud.left() if "endpoint" in name], "the containers are gone")


def test_a_server_that_ends_at_once_fails_its_endpoint(cloud: DockerCloud) -> None:
    """Its address is known even so, and the ping check says no."""
    image = cloud.push("ending", {"serve": "#!/bin/sh\nexit 1\n"})
    container = cloud.engine.start(_launch(cloud, image, "serve"))

    assert container.wait() == 1
    assert container.address[0] == "127.0.0.1"


def test_what_an_earlier_life_left_is_removed_at_the_start(cloud: DockerCloud) -> None:
    """Containers and networks of the same state directory, and of no other."""
    image = cloud.push("left", _script("while true; do sleep 0.1; done"))
    container = cloud.engine.start(_launch(cloud, image, network="left-network"))
    assert cloud.left()

    cloud.engine.reap()

    assert container.wait(10.0) == 137
    wait_until(lambda: not cloud.left(), "nothing is left")


def test_the_watchdog_removes_everything_when_its_input_ends(cloud: DockerCloud) -> None:
    """That is what happens to it when the local AWS is killed."""
    watchdog = Watchdog(cloud.docker_engine.label)
    image = cloud.push("watched", _script("while true; do sleep 0.1; done"))
    container = cloud.engine.start(_launch(cloud, image))
    assert container.wait(0.0) is None

    watchdog.end()

    assert container.wait(10.0) == 137


@pytest.mark.parametrize("choice", ["docker", "auto"])
def test_the_command_line_takes_the_engine_and_names_it(cloud: DockerCloud, tmp_path: Path, choice: str) -> None:
    """The line that says it is ready tells which engine runs containers."""
    command = [sys.executable, "-m", "local_aws", "--port", "0", "--engine", choice, "--registry", cloud.registry]
    with subprocess.Popen(
        [*command, "--state-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "include")},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)

    assert "engine docker)" in line
    assert process.returncode == 0
