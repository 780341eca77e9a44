"""Reading what the platform says about a job."""

import json
from pathlib import Path

import pytest

from sagemaker_container.configuration import (
    Hosts,
    find_checkpoint_directory,
    read_channels,
    read_hosts,
    read_hyperparameters,
)
from sagemaker_container.errors import ConfigurationError
from sagemaker_container.paths import Paths


def config(base: Path, name: str, content: str) -> Paths:
    """Return the paths of a job with one configuration file."""
    folder = base / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    return Paths(base)


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("0.1", 0.1), ('"adam"', "adam"), ("adam", "adam"), ("[32, 16]", [32, 16]), ("32,16", "32,16")],
)
def test_a_hyperparameter_is_decoded_or_kept_as_text(tmp_path: Path, text: str, value: object) -> None:
    """Plain and JSON-encoded values both come out as meant."""
    paths = config(tmp_path, "hyperparameters.json", json.dumps({"given": text}))
    assert read_hyperparameters(paths) == {"given": value}


def test_hyperparameters_of_the_platform_are_left_out(tmp_path: Path) -> None:
    """What the SDK and the tuner add for themselves never reaches the model."""
    given = {"sagemaker_program": "x.py", "_tuning_objective_metric": "loss", "epochs": "3"}
    assert read_hyperparameters(config(tmp_path, "hyperparameters.json", json.dumps(given))) == {"epochs": 3}


@pytest.mark.parametrize(("content", "reason"), [("{", "not valid JSON"), ("[1]", "holds a list")])
def test_a_broken_configuration_file_is_named(tmp_path: Path, content: str, reason: str) -> None:
    """The error says which file and what is wrong with it."""
    with pytest.raises(ConfigurationError, match=f"hyperparameters.json.*{reason}"):
        read_hyperparameters(config(tmp_path, "hyperparameters.json", content))


def test_a_bare_folder_is_a_job_with_defaults(tmp_path: Path) -> None:
    """Without configuration files, folders of data are channels and there is one host."""
    (tmp_path / "input" / "data" / "train").mkdir(parents=True)
    paths = Paths(tmp_path)
    assert read_hyperparameters(paths) == {}
    assert read_hosts(paths) == Hosts()
    assert list(read_channels(paths)) == ["train"]


def test_the_rank_is_the_position_in_the_platform_s_order(tmp_path: Path) -> None:
    """Hosts are ranked as listed, and algo-10 comes before algo-2 in lexicographic order."""
    content = {"current_host": "algo-2", "hosts": ["algo-1", "algo-10", "algo-2"]}
    assert read_hosts(config(tmp_path, "resourceconfig.json", json.dumps(content))).rank == 2


def test_a_host_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    """A host without a rank cannot train."""
    content = json.dumps({"current_host": "algo-3", "hosts": ["algo-1", "algo-2"]})
    with pytest.raises(ConfigurationError, match="algo-3"):
        read_hosts(config(tmp_path, "resourceconfig.json", content))


def test_pipe_mode_is_refused(tmp_path: Path) -> None:
    """A channel that is a FIFO is not read as an empty folder."""
    content = json.dumps({"train": {"TrainingInputMode": "Pipe"}})
    with pytest.raises(ConfigurationError, match=r"'train'.*File or FastFile"):
        read_channels(config(tmp_path, "inputdataconfig.json", content))


def test_checkpoints_are_where_the_job_says(tmp_path: Path) -> None:
    """A path below /opt/ml moves with the base; without a folder there are no checkpoints."""
    paths = config(tmp_path, "checkpointconfig.json", json.dumps({"LocalPath": "/opt/ml/state"}))
    assert find_checkpoint_directory(paths) is None
    (tmp_path / "state").mkdir()
    assert find_checkpoint_directory(paths) == tmp_path / "state"


def test_the_base_moves_only_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable the tree is at /opt/ml."""
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    assert Paths.from_environment().model == Path("/opt/ml/model")
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", "/elsewhere")
    assert Paths.from_environment().failure == Path("/elsewhere/output/failure")
