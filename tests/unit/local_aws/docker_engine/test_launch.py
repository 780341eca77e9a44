"""A launch in Docker's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_aws.container import Launch
from local_aws.docker_engine.launch import container_request, host_request, missing_program


def _launch(*arguments: str, **options: Any) -> Launch:
    return Launch("job-algo-1", "registry.local/churn:v1", arguments, Path("/state/job"), **options)


def test_a_container_is_run_as_docker_run_image_train() -> None:
    """The image's ENTRYPOINT stays: none is given."""
    request = container_request(_launch("train", environment={"A": "1"}), "churn@sha256:1", {"local-aws": "x"})

    assert request == {
        "image": "churn@sha256:1",
        "command": ["train"],
        "hostname": "algo-1",
        "environment": {"A": "1"},
        "labels": {"local-aws": "x"},
    }


def test_without_arguments_the_images_own_command_holds() -> None:
    """An empty command would replace it."""
    assert container_request(_launch(), "churn", {})["command"] is None


def test_an_entrypoint_of_the_request_replaces_the_images() -> None:
    """Its arguments follow it."""
    request = container_request(_launch("-v", entrypoint=("python", "-u")), "churn", {})

    assert (request["entrypoint"], request["command"]) == (["python", "-u"], ["-v"])


def test_only_a_server_gets_a_port_and_only_on_loopback() -> None:
    """Nobody outside of this machine reaches a container."""
    assert "ports" not in container_request(_launch("train"), "churn", {})
    assert container_request(_launch("serve"), "churn", {})["ports"] == [8080]
    assert host_request(_launch("train"), None)["port_bindings"] == {}
    assert host_request(_launch("serve"), 40_000)["port_bindings"] == {8080: ("127.0.0.1", 40_000)}


def test_a_container_sees_its_directory_as_opt_ml() -> None:
    """Hosting mounts the model once more over it, without the right to write."""
    assert host_request(_launch("train"), None)["binds"] == ["/state/job:/opt/ml:rw"]
    assert host_request(_launch("serve", read_only_model=True), 1)["binds"] == [
        "/state/job:/opt/ml:rw",
        "/state/job/model:/opt/ml/model:ro",
    ]


def test_a_limit_of_memory_is_one_of_memory_and_swap_together() -> None:
    """Without a limit the container may use all of the machine's."""
    limited = host_request(_launch("train"), None, 64_000_000)

    assert (limited["mem_limit"], limited["memswap_limit"]) == (64_000_000, 64_000_000)
    assert "mem_limit" not in host_request(_launch("train"), None)


def test_a_container_has_no_privileges_and_64_megabytes_of_shared_memory() -> None:
    """As on SageMaker."""
    request = host_request(_launch("train"), None)

    assert request["privileged"] is False
    assert request["shm_size"] == 67_108_864


@pytest.mark.parametrize(
    ("explanation", "reason"),
    [
        (
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
            'process: exec: "train": executable file not found in $PATH: unknown',
            'exec: "train": executable file not found in $PATH',
        ),
        (
            'OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \\"train\\": '
            "permission denied: unknown",
            'exec: "train": permission denied',
        ),
        ("port is already allocated", "port is already allocated"),
    ],
)
def test_the_reason_is_what_runc_says_of_the_program(explanation: str, reason: str) -> None:
    """Whatever else an engine says stays whole."""
    assert missing_program(explanation) == reason
