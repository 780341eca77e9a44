"""EnableNetworkIsolation on the Docker engine: the hosts of a job, and nothing behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
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
fi
while true; do sleep 0.1; done
"""


@pytest.mark.parametrize(("is_isolated", "keys"), [(True, "none"), (False, "local")])
def test_the_hosts_of_an_isolated_job_reach_only_one_another(
    cloud: DockerCloud, account: IrisAccount, is_isolated: bool, keys: str
) -> None:
    """They find each other by name; keys, and a network that Docker leads out, are there only without isolation."""
    name = f"isolated-{is_isolated}"
    account.start(
        name, account.request(cloud.push(name.lower(), {"train": MEETS}), hosts=2), EnableNetworkIsolation=is_isolated
    )

    wait_until(lambda: cloud.log(name, "algo-2") == ["the word", f"keys: {keys}"], "the hosts have met")

    networks = cloud.docker.api.networks(filters={"label": f"local-aws={cloud.docker_engine.label}"})
    assert [network["Internal"] for network in networks if network["Name"].endswith(name)] == [is_isolated]
    cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert account.finish(name)["TrainingJobStatus"] == "Stopped"
