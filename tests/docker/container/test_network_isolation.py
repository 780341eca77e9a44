"""EnableNetworkIsolation on the Docker engine: the hosts of a job, and nothing behind them."""

from __future__ import annotations

import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.docker_cloud import DockerCloud
    from tests.support.iris_account import IrisAccount

MEETS = """\
#!/bin/sh
trap 'exit 0' TERM
if grep -q '"current_host": "algo-1"' /opt/ml/input/config/resourceconfig.json; then
  echo 'the word' | nc -l -p 5000
else
  until nc algo-1 5000 < /dev/null > /tmp/heard; do sleep 0.1; done
  cat /tmp/heard
  echo "keys: ${AWS_ACCESS_KEY_ID:-none}"
  set -- $(ip route | grep default)
  heard=$(nc -w 5 "$3" PORT < /dev/null 2> /tmp/refusal)
  echo "machine: ${heard:-none}"
fi
while true; do sleep 0.1; done
"""


@pytest.fixture
def machine_port() -> Iterator[int]:
    """A port of this machine at which every address of it answers, also those on bridges."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"here")

    with socketserver.ThreadingTCPServer(("0.0.0.0", 0), Answer) as server:  # noqa: S104 - the test is about all addresses
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("is_isolated", "keys", "heard"), [(True, "none", "none"), (False, "local", "here")])
def test_the_hosts_of_an_isolated_job_reach_only_one_another(
    cloud: DockerCloud, account: IrisAccount, machine_port: int, is_isolated: bool, keys: str, heard: str
) -> None:
    """They find each other by name; keys and this machine behind the network's gateway are there without isolation."""
    name = f"isolated-{is_isolated}"
    program = MEETS.replace("PORT", str(machine_port))
    account.start(
        name, account.request(cloud.push(name.lower(), {"train": program}), hosts=2), EnableNetworkIsolation=is_isolated
    )

    told = ["the word", f"keys: {keys}", f"machine: {heard}"]
    wait_until(lambda: cloud.log(name, "algo-2") == told, "the hosts have met", 30)

    networks = cloud.docker.api.networks(filters={"label": f"local-aws={cloud.docker_engine.label}"})
    assert [network["Internal"] for network in networks if network["Name"].endswith(name)] == [is_isolated]
    cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert account.finish(name)["TrainingJobStatus"] == "Stopped"
