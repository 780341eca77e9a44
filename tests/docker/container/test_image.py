"""The project's image as the engine has it: what a change rebuilds, what is in it and what is not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from local_stack.home import CHECKOUT
from tests.support.docker_operators import build_and_push
from tests.support.operator_cloud import operators_reach

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.docker_cloud import DockerCloud


def description(cloud: DockerCloud, uri: str) -> dict[str, Any]:
    """Return what the engine says about an image that was pushed."""
    name, _, digest = uri.rpartition("/")[2].partition("@")
    found: dict[str, Any] = cloud.docker.api.inspect_image(f"{cloud.registry}/{name}@{digest}")
    return found


def output(cloud: DockerCloud, uri: str, command: list[str]) -> str:
    """Return what a command prints in a container of the image."""
    image = description(cloud, uri)["Id"]
    return str(cloud.docker.containers.run(image, command, remove=True, network_mode="none").decode())


@pytest.mark.parametrize(("changed", "rebuilt"), [("model/network.py", 1), ("sagemaker_container/stop.py", 2)])
def test_a_change_of_the_code_rebuilds_only_the_last_layers(
    cloud: DockerCloud, image: str, tmp_path: Path, changed: str, rebuilt: int
) -> None:
    """Layers with packages stay the very same, so nobody installs, sends or fetches torch again."""
    context = tmp_path / "container"
    shutil.copytree(CHECKOUT / "container", context, ignore=shutil.ignore_patterns("__pycache__"))
    with (context / changed).open("a") as file:
        file.write("\n# changed\n")

    with operators_reach(cloud):
        changed_image = build_and_push(context, "project-container")

    before = description(cloud, image)["RootFS"]["Layers"]
    after = description(cloud, changed_image)["RootFS"]["Layers"]
    assert len(before) == len(after)
    assert before[:-rebuilt] == after[:-rebuilt]
    assert before[-rebuilt] != after[-rebuilt]


def test_the_image_leaves_the_choice_of_the_program_to_the_platform(cloud: DockerCloud, image: str) -> None:
    """No ENTRYPOINT swallows ``train``, and no health check asks a container that only trains."""
    config = description(cloud, image)["Config"]

    assert not config["Entrypoint"]
    assert config["Healthcheck"] == {"Test": ["NONE"]}
    assert config["WorkingDir"] == "/opt/program"
    assert output(cloud, image, ["which", "train", "serve"]).split() == ["/opt/program/train", "/opt/program/serve"]


def test_what_only_builds_and_tests_packages_is_not_in_the_image(cloud: DockerCloud, image: str) -> None:
    """No compiler, no headers of torch, no tests of the packages; what the packages load is still there."""
    search = (
        "ls /opt/packages/bin; which gcc cc make; "
        "find /opt/packages/lib -type d -path '*/torch/include' -o -type d -path '*/torch/test' "
        "-o -type d -path '*/numpy/*/tests'; ls /opt/packages/lib/python3*/site-packages/torch/bin"
    )

    found = output(cloud, image, ["sh", "-c", search]).split()

    assert not {"gcc", "cc", "make", "pip", "protoc"} & {path.rpartition("/")[2] for path in found}
    assert not [path for path in found if path.startswith("/opt/packages/lib")]
    assert found[-1] == "torch_shm_manager"


def test_the_packages_that_were_cut_down_still_work(cloud: DockerCloud, image: str) -> None:
    """What training and serving import, gloo, and a DataLoader with workers of its own."""
    program = (
        "import numpy, sympy, torch, uvicorn, uvloop, httptools, torch.distributed, torch.utils.data as data\n"
        "torch.multiprocessing.set_sharing_strategy('file_system')\n"
        "rows = data.TensorDataset(torch.arange(100.0))\n"
        "total = sum(batch[0].sum().item() for batch in data.DataLoader(rows, batch_size=10, num_workers=1))\n"
        "print(total, torch.distributed.is_gloo_available())"
    )

    assert output(cloud, image, ["python3", "-c", program]).split() == ["4950.0", "True"]
