"""What the local AWS finds out about the container that it runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_aws.docker_engine.own_container import OwnContainer, OwnContainerError, container_ids, read_own_container

_ID = "0123456789ab" + "c" * 52
_MOUNTINFO = f"""\
700 600 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A
710 700 8:1 /var/lib/docker/volumes/state/_data /var/lib/local-aws rw - ext4 /dev/sda1 rw
711 700 8:1 /var/lib/docker/containers/{_ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw
712 700 8:1 /var/lib/docker/containers/{_ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw
"""


def _description(*networks: str) -> dict[str, Any]:
    return {
        "Mounts": [
            {"Type": "volume", "Source": "/var/lib/docker/volumes/state/_data", "Destination": "/var/lib/local-aws"},
            {"Type": "bind", "Source": "/home/me/include", "Destination": "/opt/include"},
        ],
        "NetworkSettings": {"Networks": {name: {"NetworkID": f"id-of-{name}"} for name in networks}},
    }


def test_the_id_is_read_from_the_mounts_that_docker_makes() -> None:
    """It is there whatever the container's host name is."""
    assert container_ids(_MOUNTINFO, "aws") == [_ID]


def test_the_host_name_is_a_second_guess() -> None:
    """Not every runtime mounts files from a folder of that name."""
    assert container_ids("", _ID[:12]) == [_ID[:12]]
    assert container_ids(_MOUNTINFO, _ID[:12]) == [_ID, _ID[:12]]


def test_a_podman_container_is_found_too() -> None:
    """Its folder is one level deeper."""
    line = f"712 700 8:1 /containers/{_ID}/userdata/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"

    assert container_ids(line, "aws") == [_ID]


def test_a_path_is_told_as_the_engine_has_it() -> None:
    """Files on a volume and on a bind mount; the innermost mount counts."""
    own = OwnContainer(
        {Path("/"): Path("/root"), Path("/var/lib/local-aws"): Path("/v/_data"), Path("/opt"): Path("/home/me")}, "n"
    )

    assert own.engine_path(Path("/var/lib/local-aws/jobs/1/algo-1")) == Path("/v/_data/jobs/1/algo-1")
    assert own.engine_path(Path("/var/lib/local-aws")) == Path("/v/_data")
    assert own.engine_path(Path("/opt/a")) == Path("/home/me/a")


def test_a_path_on_no_mount_is_refused_with_what_is_mounted() -> None:
    """Docker would make an empty directory of that name on its own machine."""
    own = read_own_container(_description("stack_aws"))

    with pytest.raises(OwnContainerError, match="--state-dir") as refused:
        own.engine_path(Path("/tmp/local-aws-1"))

    assert "mounted are: /var/lib/local-aws, /opt/include" in str(refused.value)


def test_the_one_network_with_names_is_where_containers_meet() -> None:
    """Docker's own bridge knows no names."""
    own = read_own_container(_description("bridge", "stack_aws"))

    assert own.network == "id-of-stack_aws"


@pytest.mark.parametrize(
    ("networks", "listed"), [((), "none"), (("bridge",), "none"), (("airflow", "aws"), "airflow, aws")]
)
def test_no_network_or_several_are_refused(networks: tuple[str, ...], listed: str) -> None:
    """With several, nobody could say on which one the local AWS's name resolves."""
    with pytest.raises(OwnContainerError, match=f"is on the networks: {listed}; it must be on exactly one"):
        read_own_container(_description(*networks))
