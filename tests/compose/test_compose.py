"""``docker compose up``, with both executors, and what is left of it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.compose_stack import ComposeStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DAG = "sagemaker_retrain"
_RUN_SECONDS = 900.0
_PROBE = Path(__file__).with_name("probe")
_ROLE = "arn:aws:iam::123456789012:role/sagemaker-retrain-execution"
_BUCKET = "sagemaker-retrain-local"
_KNOWN = {"", "admin", "airflow", "airflow_jwt_secret", "changeme", "password", "postgres", "redis", "secret"}


def test_a_triggered_run_succeeds_with_the_local_executor(stack: ComposeStack) -> None:
    """Built by CodeBuild with the real Docker, trained and served in containers beside the stack's."""
    stack.up()

    tasks = stack.run_dag(_DAG, {"epochs": 20}, _RUN_SECONDS)

    (scheduler,) = stack.containers("scheduler")
    # a task without a host is a wait that no worker was started for
    assert {task["hostname"] for task in tasks} == {scheduler["Config"]["Hostname"], ""}
    assert len(stack.started()) == 1, "the endpoint's container runs on"


def test_every_port_is_published_on_loopback_only(stack: ComposeStack) -> None:
    """Nobody logs in to the local AWS or to the registry."""
    stack.up()

    published = [
        (binding["HostIp"], int(binding["HostPort"]))
        for container in stack.containers()
        for bindings in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    ]
    ours = {stack.airflow_port, stack.aws_port, stack.registry_port}
    assert {host for host, _ in published} == {"127.0.0.1"}
    assert {port for _, port in published} == ours


def test_two_stacks_have_different_secrets_and_none_is_a_known_one(stack: ComposeStack) -> None:
    """They are made on the first start, and neither the images' environment nor their logs show them."""
    stack.up()
    other = ComposeStack()
    try:
        one, two = _secrets(stack.secret), _secrets(other.first_secret)
    finally:
        other.remove()

    assert not one & (two | _KNOWN)
    assert all(stack.refuses_login("admin", password) for password in _KNOWN)
    shown = stack.compose("logs", "--no-color") + str([c["Config"]["Env"] for c in stack.containers()])
    assert not [secret for secret in one if secret in shown]


def test_hosts_of_a_job_reach_each_other_and_the_local_aws(stack: ComposeStack) -> None:
    """A program's own boto3 calls work there; database, broker and Airflow are out of its reach."""
    stack.up()
    image = _push_probe(stack)
    jobs = ["probe-one", "probe-two"]
    for job in jobs:
        _create_job(stack, job, image, hosts=2)

    facts = {job: _model(stack, job) for job in jobs}

    for job in jobs:
        expected = {"hosts": ["algo-1", "algo-2"], "callers": [job, job], "aws": "ready", "found": []}
        assert facts[job] == {"algo-1.json": expected, "algo-2.json": expected}


def test_what_a_killed_local_aws_left_goes_at_its_next_start(stack: ComposeStack) -> None:
    """Its watchdog died with its container; the volume is the same, and so is the label."""
    stack.up()
    _serve(stack, "left-by-the-killed", _push_probe(stack))
    (killed,) = stack.containers("local-aws")
    left = stack.started()
    stack.engine.api.kill(killed["Id"])
    assert left
    assert set(stack.started()) == set(left)

    stack.restart_what_ended()

    assert stack.started() == []


def test_a_triggered_run_succeeds_on_celery_workers(stack: ComposeStack) -> None:
    """The profile adds broker and workers, and nothing else changes."""
    stack.up(workers=2)

    tasks = stack.run_dag(_DAG, {"epochs": 20}, _RUN_SECONDS)

    workers = {worker["Config"]["Hostname"] for worker in stack.containers("worker")}
    assert len(workers) == 2
    assert {task["hostname"] for task in tasks} <= workers | {""}


def test_down_leaves_nothing(stack: ComposeStack) -> None:
    """Neither of the stack with all of its services nor of what its local AWS started: here a server that runs."""
    stack.up(workers=2)
    image = _push_probe(stack)
    _serve(stack, "left-serving", image)
    assert stack.started()

    stack.down("--volumes")

    assert stack.left() == []


def _secrets(read: Callable[[str], str]) -> set[str]:
    """Return what is secret in the files, without the addresses around it."""
    urls = [urlsplit(read(name)).password or "" for name in ("database-url", "result-backend", "broker-url")]
    keys = [read(name) for name in ("fernet-key", "api-secret-key", "jwt-secret")]
    return {*urls, *keys, json.loads(read("users.json"))["admin"]}


def _push_probe(stack: ComposeStack) -> str:
    """Build the probe and push it as a user would; return its URI in ECR."""
    name = f"127.0.0.1:{stack.registry_port}/probe"
    base = {"BASE_IMAGE": os.environ["BASE_IMAGE"]} if "BASE_IMAGE" in os.environ else {}
    stack.engine.images.build(path=str(_PROBE), tag=f"{name}:v1", buildargs=base, rm=True, forcerm=True)
    errors = [step for step in stack.engine.api.push(name, tag="v1", stream=True, decode=True) if "error" in step]
    assert not errors
    ecr = stack.client("ecr")
    if "probe" not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]:
        ecr.create_repository(repositoryName="probe")
    return "123456789012.dkr.ecr.us-east-1.amazonaws.com/probe:v1"


def _create_job(stack: ComposeStack, name: str, image: str, hosts: int) -> None:
    stack.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=_ROLE,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": f"s3://{_BUCKET}/probe"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 120},
    )


def _model(stack: ComposeStack, name: str) -> dict[str, Any]:
    """Wait for a job and return the JSON files of its model."""
    sagemaker = stack.client("sagemaker")

    def ended() -> Any:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] != "InProgress" else None

    job = stack.wait_for(ended, f"{name} has ended", 180.0)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    body = stack.client("s3").get_object(Bucket=_BUCKET, Key=f"probe/{name}/output/model.tar.gz")["Body"].read()
    return dict(_documents(body))


def _documents(archive: bytes) -> Iterator[tuple[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file is not None:
                yield Path(member.name).name, json.load(file)


def _serve(stack: ComposeStack, name: str, image: str) -> None:
    """Put an endpoint up and ask it something."""
    sagemaker = stack.client("sagemaker")
    variant = {"VariantName": "only", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=_ROLE, PrimaryContainer={"Image": image})
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def is_up() -> bool:
        return bool(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")

    stack.wait_for(is_up, f"{name} is in service", 180.0)
    answer = stack.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"hello")
    assert answer["Body"].read() == b"hello"
