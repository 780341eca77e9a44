"""Hosts of a training job."""

from __future__ import annotations

from local_aws.sagemaker.cluster import Cluster


def test_hosts_are_sorted_as_text() -> None:
    """algo-10 comes before algo-2, as documented."""
    cluster = Cluster.of({"InstanceType": "ml.m5.large", "InstanceCount": 11})

    assert cluster.names()[:4] == ["algo-1", "algo-10", "algo-11", "algo-2"]
    assert [host.number for host in cluster.hosts] == list(range(1, 12))


def test_groups_number_their_hosts_on() -> None:
    """Names are unique in the job and each group has its own type."""
    cluster = Cluster.of(
        {
            "InstanceGroups": [
                {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 2},
                {"InstanceGroupName": "b", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
            ]
        }
    )

    assert cluster.names("a") == ["algo-1", "algo-2"]
    assert cluster.names("b") == ["algo-3"]
    assert [host.name for host in cluster.receivers(["b"])] == ["algo-3"]
    assert cluster.receivers([]) == cluster.receivers(None) == list(cluster.hosts)
