"""What a program finds in ``/opt/ml`` and in its environment, file by file.

The tables here are the container contract: documented names first, then those seen in real jobs.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.training import BUCKET, BuiltTrainingAccount

_DUMP = """
files = {p.relative_to(base).as_posix(): p.read_text() for p in base.rglob("*") if p.is_file()}
directories = sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_dir())
seen = {"files": files, "directories": directories, "environment": dict(os.environ)}
(model / f"{host}.json").write_text(json.dumps(seen))
"""


def _seen(account: BuiltTrainingAccount, **changes: Any) -> dict[str, Any]:
    """Run the dumping program and return what each host saw, by host, under the job's description."""
    job = account.run(_DUMP, **changes)
    files = account.archive(f"out/{job['TrainingJobName']}/output/model.tar.gz")
    return {"job": job, **{name.removesuffix(".json"): json.loads(text) for name, text in files.items()}}


def _config(host: dict[str, Any], name: str) -> Any:
    return json.loads(host["files"][f"input/config/{name}"])


def test_the_smallest_job_has_these_files_and_directories(account: BuiltTrainingAccount) -> None:
    """A job without channels and options has exactly the files that are always there."""
    host = _seen(account)["algo-1"]

    assert sorted(host["files"]) == [
        "input/config/hyperparameters.json",
        "input/config/init-config.json",
        "input/config/inputdataconfig.json",
        "input/config/metric-definition-regex.json",
        "input/config/resourceconfig.json",
    ]
    assert host["directories"] == [
        "input",
        "input/config",
        "input/data",
        "model",
        "output",
        "output/data",
        "output/metrics",
        "output/metrics/sagemaker",
        "output/profiler",
    ]
    assert _config(host, "hyperparameters.json") == {}
    assert _config(host, "inputdataconfig.json") == {}
    assert _config(host, "metric-definition-regex.json") == []


def test_hyperparameters_arrive_as_they_were_given(account: BuiltTrainingAccount) -> None:
    """Values are texts, also the ones that hold JSON."""
    given = {"epochs": "5", "name": '"quoted"', "list": "[1, 2]", "text": "naïve ünïcode"}

    assert _config(_seen(account, HyperParameters=given)["algo-1"], "hyperparameters.json") == given


def test_channels_are_described_and_their_data_is_there(account: BuiltTrainingAccount) -> None:
    """Every channel has an entry, a directory with its objects, and a manifest."""
    account.put({"c/train/x.csv": "1,2\n", "c/train/deep/y.csv": "3,4\n", "c/test/z.csv": "5,6\n"})
    host = _seen(
        account,
        InputDataConfig=[
            account.channel("train", "c/train/", ContentType="text/csv"),
            account.channel("test", "c/test", S3DataDistributionType="ShardedByS3Key", InputMode="FastFile"),
        ],
    )["algo-1"]

    assert _config(host, "inputdataconfig.json") == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
        "test": {
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "ShardedByS3Key",
            "RecordWrapperType": "None",
        },
    }
    data = {name: text for name, text in host["files"].items() if name.startswith("input/data/")}
    assert data == {
        "input/data/train/x.csv": "1,2\n",
        "input/data/train/deep/y.csv": "3,4\n",
        "input/data/train-manifest": f"c/train/\ns3://{BUCKET}/c/train/deep/y.csv\ns3://{BUCKET}/c/train/x.csv\n",
        "input/data/test/z.csv": "5,6\n",
        "input/data/test-manifest": f"c/test\ns3://{BUCKET}/c/test/z.csv\n",
    }


def test_resourceconfig_has_the_form_of_today(account: BuiltTrainingAccount) -> None:
    """Hosts are in lexicographic order and the group is the one that AWS makes up."""
    seen = _seen(account, ResourceConfig={"InstanceType": "ml.c5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1})

    hosts = ["algo-1", "algo-2"]
    for name in hosts:
        assert _config(seen[name], "resourceconfig.json") == {
            "current_group_name": "homogeneousCluster",
            "current_host": name,
            "current_instance_type": "ml.c5.xlarge",
            "hosts": hosts,
            "instance_groups": [
                {"instance_group_name": "homogeneousCluster", "instance_type": "ml.c5.xlarge", "hosts": hosts}
            ],
            "network_interface_name": account.cloud.engine.network_interface,
        }


def test_instance_groups_have_their_own_hosts_and_channels(account: BuiltTrainingAccount) -> None:
    """A heterogeneous cluster lists its groups; a channel limited to a group comes only there."""
    account.put({"g/x.csv": "1"})
    channel = account.channel("only-b", "g/")
    channel["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["b"]
    seen = _seen(
        account,
        ResourceConfig={
            "InstanceGroups": [
                {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1},
                {"InstanceGroupName": "b", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
            ],
            "VolumeSizeInGB": 1,
        },
        InputDataConfig=[channel],
    )

    config = _config(seen["algo-2"], "resourceconfig.json")
    assert (config["current_group_name"], config["current_instance_type"]) == ("b", "ml.c5.xlarge")
    assert [(group["instance_group_name"], group["hosts"]) for group in config["instance_groups"]] == [
        ("a", ["algo-1"]),
        ("b", ["algo-2"]),
    ]
    assert "input/data/only-b/x.csv" in seen["algo-2"]["files"]
    assert "input/data/only-b/x.csv" not in seen["algo-1"]["files"]
    assert _config(seen["algo-1"], "inputdataconfig.json") == {}


def test_init_config_follows_the_published_example(account: BuiltTrainingAccount) -> None:
    """The internal file has the keys of the one real job that is public."""
    account.put({"i/x.csv": "1"})
    host = _seen(
        account,
        InputDataConfig=[account.channel("data", "i/", S3DataDistributionType="ShardedByS3Key")],
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/none-yet"},
    )["algo-1"]

    config = _config(host, "init-config.json")
    assert config["channels"]["data"] == {
        "s3DataSource": {
            "s3DataType": "S3_PREFIX",
            "s3Uri": f"s3://{BUCKET}/i/",
            "s3DataDistributionType": "SHARDED_BY_S3_KEY",
            "attributeNames": None,
        },
        "fileSystemDataSource": None,
        "compressionType": "NONE",
        "recordWrapper": "NONE",
        "shuffleConfig": None,
        "inputMode": "FILE",
        "sharded": True,
    }
    assert config["inputMode"] == "FILE"
    assert config["hostConfig"] == {"clusterSize": 1, "hostNumber": 1}
    assert config["jobRunInfo"] == {"jobRunNumber": 1}
    assert config["checkpointChannel"]["outputPath"] == "/opt/ml/checkpoints"
    assert config["checkpointChannel"]["allowEmpty"] is True


def test_options_of_the_request_have_files_of_their_own(account: BuiltTrainingAccount) -> None:
    """Checkpoints, debugger, profiler, TensorBoard and metrics are written down when the request has them."""
    definitions = [{"Name": "loss", "Regex": "loss=(.*)"}]
    host = _seen(
        account,
        algorithm={"MetricDefinitions": definitions},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/none-yet", "LocalPath": "/opt/ml/state"},
        DebugHookConfig={"S3OutputPath": f"s3://{BUCKET}/debug"},
        ProfilerConfig={"S3OutputPath": f"s3://{BUCKET}/profile"},
        TensorBoardOutputConfig={"S3OutputPath": f"s3://{BUCKET}/board"},
    )["algo-1"]

    assert _config(host, "checkpointconfig.json") == {"LocalPath": "/opt/ml/state"}
    assert "state" in host["directories"]
    assert _config(host, "debughookconfig.json") == {"S3OutputPath": f"s3://{BUCKET}/debug"}
    assert _config(host, "profilerconfig.json") == {"S3OutputPath": f"s3://{BUCKET}/profile"}
    assert _config(host, "tensorboardoutputconfig.json") == {
        "LocalPath": "/opt/ml/output/tensorboard/",
        "S3OutputPath": f"s3://{BUCKET}/board",
    }
    assert _config(host, "metric-definition-regex.json") == definitions


def test_the_environment_is_the_platforms_and_the_requests(account: BuiltTrainingAccount) -> None:
    """Documented variables, the request's own and the way to this AWS; nothing that only toolkits set."""
    seen = _seen(account, Environment={"MODE": "fast"})
    environment = seen["algo-1"]["environment"]

    assert environment["TRAINING_JOB_NAME"] == seen["job"]["TrainingJobName"]
    assert environment["TRAINING_JOB_ARN"] == seen["job"]["TrainingJobArn"]
    assert environment["MODE"] == "fast"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["SAGEMAKER_METRICS_DIRECTORY"].endswith("/output/metrics/sagemaker")
    assert environment["AWS_ENDPOINT_URL"] == account.cloud.endpoint_url
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(environment)
    assert [name for name in environment if name.startswith("SM_")] == []


def test_an_isolated_container_gets_no_keys(account: BuiltTrainingAccount) -> None:
    """EnableNetworkIsolation keeps credentials and address away, while data still moves."""
    host = _seen(account, EnableNetworkIsolation=True, InputDataConfig=[account.channel("train", "data/train")])[
        "algo-1"
    ]

    names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"}
    assert names & set(host["environment"]) == set()
    assert "input/data/train/a.csv" in host["files"]
