"""The local AWS is killed, or the engine goes away: nothing is left, and nothing hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local_aws.container import Ending, Launch
from local_aws.docker_engine.leftover import remove_leftovers
from local_aws.engine_docker import DockerEngine
from local_aws.sagemaker.training_run import TrainingRun
from local_aws.sagemaker.training_state import TrainingState
from tests.support.docker_cloud import BUCKET
from tests.support.docker_process import running_local_aws
from tests.support.engine_proxy import EngineProxy
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.docker_cloud import DockerCloud
    from tests.support.docker_process import RunningLocalAws

_RUN_ON = "#!/bin/sh\necho ready\nwhile true; do sleep 0.1; done\n"
_SERVE = "#!/bin/sh\nnc -ll -p 8080 -e answer & wait\n"
_ANSWER = """\
#!/bin/sh
while read -r line; do [ "$line" = "$(printf '\\r')" ] && break; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n'
"""


def _start_everything(aws: RunningLocalAws) -> None:
    """Start a training job of two hosts and an endpoint, and wait until all of it runs."""
    cloud = aws.cloud
    image = aws.cloud.push(f"crash-{aws.process.pid}", {"train": _RUN_ON, "serve": _SERVE, "answer": _ANSWER})
    sagemaker = cloud.client("sagemaker")
    cloud.create_job("crash", image, hosts=2)
    sagemaker.create_model(ModelName="crash", ExecutionRoleArn=cloud.role(), PrimaryContainer={"Image": image})
    variant = {"VariantName": "all", "ModelName": "crash", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="crash", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="crash", EndpointConfigName="crash")

    def serves() -> bool:
        status: str = sagemaker.describe_endpoint(EndpointName="crash")["EndpointStatus"]
        return status == "InService"

    wait_until(serves, "the endpoint serves", 60.0)
    wait_until(lambda: [cloud.log("crash", f"algo-{n}") for n in (1, 2)] == [["ready"]] * 2, "both hosts train", 60.0)
    # Three containers and the network of the job.
    assert len(aws.in_engine()) == 4


def test_nothing_outlives_a_local_aws_that_is_killed(cloud: DockerCloud, tmp_path: Path) -> None:
    """Its watchdog sees its end and removes containers and networks at once."""
    with running_local_aws(cloud, tmp_path) as aws:
        _start_everything(aws)

        aws.kill(with_watchdog=False)

        wait_until(lambda: not aws.in_engine(), "nothing is left", 60.0)


def test_the_next_start_removes_what_even_the_watchdog_left(cloud: DockerCloud, tmp_path: Path) -> None:
    """A power cut leaves neither; the same state directory finds what was its own."""
    with running_local_aws(cloud, tmp_path) as aws:
        _start_everything(aws)
        aws.kill(with_watchdog=True)
        assert len(aws.in_engine()) == 4

    with running_local_aws(cloud, tmp_path) as aws:
        assert aws.in_engine() == []


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineProxy:
    """A way to the engine that the test can cut."""
    made = EngineProxy(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", made.url)
    return made


def _run(cloud: DockerCloud, engine: DockerEngine, name: str, image: str) -> TrainingState:
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    state = TrainingState(request, "arn", f"s3://{BUCKET}/out", lambda _: None)
    TrainingRun(request, state, cloud.cloud, engine, stop_grace_seconds=1.0).start()
    return state


def _reason(state: TrainingState) -> str:
    wait_until(lambda: state.describe()["TrainingJobStatus"] == "Failed", "the job has failed", 60.0)
    return str(state.describe()["FailureReason"])


def test_a_job_whose_engine_goes_away_fails_as_nobodys_fault(cloud: DockerCloud, proxy: EngineProxy) -> None:
    """The reason is the retryable one, with what happened after it."""
    image = cloud.push("lost", {"train": _RUN_ON})
    state = _run(cloud, DockerEngine(cloud.cloud, cloud.registry), "lost", image)
    wait_until(lambda: cloud.log("lost") == ["ready"], "the container runs", 60.0)

    proxy.close()

    assert _reason(state) == (
        "InternalServerError: We encountered an internal error. Please try again. "
        "(the engine went away while the container ran)"
    )
    remove_leftovers(cloud.docker.api, cloud.docker_engine.label)


def test_a_job_that_finds_no_engine_any_more_fails_as_nobodys_fault(cloud: DockerCloud, proxy: EngineProxy) -> None:
    """The image is not to blame."""
    image = cloud.push("late", {"train": "#!/bin/sh\n"})
    engine = DockerEngine(cloud.cloud, cloud.registry)
    proxy.close()

    reason = _reason(_run(cloud, engine, "late", image))

    assert reason.startswith("InternalServerError: We encountered an internal error. Please try again. (the Docker")


def test_a_container_of_a_lost_engine_can_be_stopped(cloud: DockerCloud, proxy: EngineProxy) -> None:
    """There is nothing to stop any more, and nobody waits for it."""
    image = cloud.push("gone", {"train": _RUN_ON})
    container = DockerEngine(cloud.cloud, cloud.registry).start(
        Launch("gone", image, ("train",), cloud.state_dir / "gone")
    )
    assert next(container.lines()) == "ready"
    proxy.close()

    container.stop(0.1)

    assert (container.wait(0), container.ending) == (255, Ending.LOST)
    remove_leftovers(cloud.docker.api, cloud.docker_engine.label)
