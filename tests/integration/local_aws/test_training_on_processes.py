"""Training with the engine that needs no containers: a real image's ``train``, run as processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.process_cloud import ProcessCloud, process_cloud
from tests.support.training import TrainingAccount

if TYPE_CHECKING:
    from pathlib import Path

_TRAIN = """\
#!/usr/bin/env python3
import json, os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
host = json.loads((base / "input/config/resourceconfig.json").read_text())["current_host"]
rows = (base / "input/data/train/a.csv").read_text()
print("rows of", host, rows.strip(), flush=True)
(base / "model" / host).write_text(json.dumps({"rows": rows, "job": os.environ["TRAINING_JOB_NAME"]}))
"""


class _ImageAccount(TrainingAccount):
    """An account whose jobs run an image from ECR."""

    def image(self, program: str) -> str:
        """Push an image with this ``train`` and return its URI."""
        cloud: Any = self.cloud
        assert isinstance(cloud, ProcessCloud)
        return cloud.push("training", {"train": program})


def test_two_hosts_of_a_real_image_train_and_share_a_model(tmp_path: Path) -> None:
    """The image comes from ECR, ``/opt/ml`` is moved by SAGEMAKER_BASE_DIR, logs and artifact arrive."""
    with process_cloud(tmp_path) as cloud:
        account = _ImageAccount(cloud)
        job = account.run(
            _TRAIN,
            InputDataConfig=[account.channel("train", "data/train")],
            ResourceConfig={"InstanceType": "ml.m5.2xlarge", "InstanceCount": 2, "VolumeSizeInGB": 75},
        )

        name = job["TrainingJobName"]
        assert job["TrainingJobStatus"] == "Completed"
        assert account.log(name, "algo-2") == ["rows of algo-2 1,2"]
        model = account.archive(f"out/{name}/output/model.tar.gz")
        assert {host: json.loads(text) for host, text in model.items()} == {
            host: {"rows": "1,2\n", "job": name} for host in ("algo-1", "algo-2")
        }


def test_an_image_without_train_fails_with_the_reason(tmp_path: Path) -> None:
    """A program that cannot be executed is an AlgorithmError that names the command."""
    with process_cloud(tmp_path) as cloud:
        job = _ImageAccount(cloud).run(_TRAIN, algorithm={"ContainerEntrypoint": ["no-such-program"]})

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: CannotStartContainerError.")
    assert "no-such-program" in job["FailureReason"]
