"""Two hosts as two processes on the loopback address."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from sagemaker_container import cluster as cluster_module
from sagemaker_container.cluster import Cluster, joined
from sagemaker_container.configuration import Hosts
from tests.unit.container.opt_ml import IRIS, SMALLEST, OptMl, free_port

HOSTS = ("algo-1", "algo-2")


class Pair:
    """The two hosts of one job.

    :param base: where their folders are.
    """

    def __init__(self, base: Path) -> None:
        self.members = [OptMl(base / name).iris().hosts(name, *HOSTS) for name in HOSTS]
        self.leader, self.other = self.members
        self._environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}

    def start(self) -> list[subprocess.Popen[str]]:
        """Start both."""
        return [member.start("train", **self._environment) for member in self.members]

    def run(self) -> list[tuple[int, str]]:
        """Run both to their end and return exit codes and outputs."""
        processes = self.start()
        outputs = [process.communicate(timeout=120)[0] for process in processes]
        return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


def test_two_hosts_train_one_model_and_only_the_leader_writes_it(tmp_path: Path) -> None:
    """Both see the statistics of all rows; one prints metrics and one artifact is made."""
    pair = Pair(tmp_path)
    (code, output), (other_code, other_output) = pair.run()
    assert (code, other_code) == (0, 0), output + other_output
    assert "algo-1 has joined: rank 0 of 2 hosts" in output
    assert "final epoch=" in output
    assert other_output.splitlines()[-1:] == ["algo-2 has joined: rank 1 of 2 hosts"]
    assert not pair.other.model.exists()
    description = pair.leader.description()
    assert description["metrics"]["validation_accuracy"] >= 0.9
    assert description["scale"]["mean"] == pytest.approx(column_means(), abs=1e-9)
    assert description["rows"] == {"train": 48, "validation": 12}


def column_means() -> list[float]:
    """Return the feature means of the whole training channel."""
    lines = [line for file in (SMALLEST / "train").glob("*.csv") for line in file.read_text().splitlines()[1:]]
    rows = [[float(cell) for cell in line.split(",")[:4]] for line in lines]
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def test_sharded_hosts_may_hold_unequal_rows_or_none(tmp_path: Path) -> None:
    """With fewer objects than hosts one host has no file, and still takes part in every step."""
    pair = Pair(tmp_path)
    for member in pair.members:
        member.channel("train", sharded=True)
        member.hyperparameters(label_column="species", epochs=3)
    shutil.rmtree(pair.other.base / "input" / "data" / "train")
    results = pair.run()
    assert [code for code, _ in results] == [0, 0], results
    assert pair.leader.description()["rows"] == {"train": 48, "validation": 12}
    assert pair.leader.description()["scale"]["mean"] == pytest.approx(column_means(), abs=1e-9)


def test_when_one_host_fails_the_other_says_to_look_there(tmp_path: Path) -> None:
    """Neither hangs: the first names its bad row and its own name, the other the lost peer."""
    pair = Pair(tmp_path)
    (pair.other.base / "input" / "data" / "train" / "part-9.csv").write_text((IRIS / "iris.csv").read_text() + "x\n")
    codes = [code for code, _ in pair.run()]
    assert codes == [1, 1]
    assert pair.other.failure().startswith("algo-2: train/part-9.csv, row 151")
    assert pair.leader.failure().startswith("algo-1: Another host of the job ended")


def test_a_stop_of_one_host_stops_both_at_the_same_step(tmp_path: Path) -> None:
    """The wish to stop travels with the gradients, so no host waits for one that has left."""
    pair = Pair(tmp_path)
    for member in pair.members:
        member.hyperparameters(label_column="species", epochs=100_000, early_stopping_patience=100_000)
    leader, other = pair.start()
    assert leader.stdout is not None
    assert any(line.startswith("epoch=1 ") for line in leader.stdout)
    other.send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=60)[0] for process in (leader, other)]
    assert [leader.returncode, other.returncode] == [0, 0], outputs
    assert pair.leader.description()["metrics"]["epoch"] >= 1


def test_a_name_that_does_not_resolve_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """On SageMaker the other hosts' names may take a while to appear."""
    answers = iter([socket.gaierror("not yet"), socket.gaierror("not yet"), [(0, 0, 0, "", ("10.0.0.7", 0))]])

    def lookup(*_arguments: object, **_options: object) -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(cluster_module, "DNS_RETRY_SECONDS", 0)
    assert cluster_module.resolve("algo-1") == "10.0.0.7"


@pytest.mark.parametrize(("platform", "loopback"), [("linux", "lo"), ("darwin", "lo0")])
def test_hosts_that_meet_on_this_machine_use_its_loopback_interface(
    monkeypatch: pytest.MonkeyPatch, platform: str, loopback: str
) -> None:
    """Its name is the operating system's, whatever network the job was told to use."""
    variables = {"MASTER_ADDR": "127.0.0.1"}
    monkeypatch.setattr(os, "environ", variables)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, loopback), (2, "eth0")])
    for call in ("TCPStore", "init_process_group", "destroy_process_group"):
        monkeypatch.setattr(distributed, call, lambda *_arguments, **_options: None)

    with joined(Hosts(names=HOSTS, current="algo-2", network_interface="eth0")):
        assert variables["GLOO_SOCKET_IFNAME"] == loopback


def test_a_single_host_needs_no_group() -> None:
    """Sums and gatherings of one host are its own values."""
    cluster = Cluster()
    assert cluster.is_leader
    assert cluster.gather("x") == ["x"]
    assert torch.equal(cluster.add(torch.ones(2)), torch.ones(2))
