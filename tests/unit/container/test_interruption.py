"""Checkpoints, and SIGTERM during training."""

import re
import signal
from pathlib import Path

import pytest
import torch

from sagemaker_container.checkpoint import CheckpointStore
from tests.unit.container.opt_ml import OptMl

LONG = {"label_column": "species", "epochs": 100_000, "early_stopping_patience": 100_000}


def epochs(output: str) -> list[int]:
    """Return the epochs that a log says were trained."""
    return [int(number) for number in re.findall(r"^epoch=(\d+)", output, flags=re.MULTILINE)]


def weights(opt_ml: OptMl) -> dict[str, torch.Tensor]:
    """Return the weights of the trained model."""
    loaded: dict[str, torch.Tensor] = torch.load(opt_ml.model / "model.pt", weights_only=True)
    return loaded


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten epochs, then ten more after a restart, give the very weights of twenty in one go."""
    settings = {"label_column": "species", "dropout": 0.3}
    whole = OptMl(tmp_path / "whole").iris().hyperparameters(**settings, epochs=20)
    whole.train_here(monkeypatch)
    opt_ml.iris().with_checkpoints().hyperparameters(**settings, epochs=10).train_here(monkeypatch)
    capsys.readouterr()
    opt_ml.hyperparameters(**settings, epochs=20).train_here(monkeypatch)
    output = capsys.readouterr().out
    assert "resuming from epoch 10" in output
    assert epochs(output) == list(range(11, 21))
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(opt_ml).items())


def test_a_checkpoint_of_other_settings_is_not_taken_up(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Retraining with the same checkpoint location does not silently hand out the old model."""
    opt_ml.iris().with_checkpoints().hyperparameters(label_column="species", epochs=2).train_here(monkeypatch)
    opt_ml.hyperparameters(label_column="species", epochs=2, hidden_units=4).train_here(monkeypatch)
    output = capsys.readouterr().out
    assert "starting anew: the checkpoint comes from other data or other hyperparameters" in output
    assert epochs(output) == [1, 2, 1, 2]


def test_marker_files_of_the_upload_agent_are_no_checkpoints(tmp_path: Path) -> None:
    """What lies beside the checkpoints is neither read, even if it could be, nor counted, nor deleted."""
    markers = [
        tmp_path / f"checkpoint-000009.pt{suffix}"
        for suffix in (".sagemaker-uploading", ".sagemaker-uploaded", ".sagemaker-ignore")
    ]
    for marker in markers:
        torch.save({"epoch": 9}, marker)
    store = CheckpointStore(tmp_path)
    for number in (1, 2, 3):
        store.save(number, {"epoch": number})
    assert store.latest() == {"epoch": 3}
    assert all(marker.exists() for marker in markers)


def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    """Two are kept for this, and no more than two."""
    store = CheckpointStore(tmp_path)
    for number in (1, 2, 3):
        store.save(number, {"epoch": number})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint-000002.pt", "checkpoint-000003.pt"]
    newest = tmp_path / "checkpoint-000003.pt"
    newest.write_bytes(newest.read_bytes()[:100])
    assert store.latest() == {"epoch": 2}


def test_sigterm_saves_the_best_model_and_leaves_with_success(opt_ml: OptMl) -> None:
    """A stopped job keeps its artifact and a checkpoint to go on from."""
    process = opt_ml.iris().with_checkpoints().hyperparameters(**LONG).start("train")
    assert process.stdout is not None
    before = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    trained = epochs("".join(before) + output)
    assert f"stop requested: leaving after epoch {trained[-1]}" in output
    assert opt_ml.description()["metrics"]["epoch"] in trained
    assert (opt_ml.checkpoints / f"checkpoint-{trained[-1]:06d}.pt").is_file()


def test_a_stop_before_the_first_epoch_leaves_no_model(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that was never validated would be taken for a good one."""
    monkeypatch.setattr("sagemaker_container.stop.StopSignal.requested", lambda _self: True)
    assert opt_ml.iris().train_here(monkeypatch) == 0
    assert "no epoch was finished, so there is no model" in capsys.readouterr().out
    assert not opt_ml.model.exists()
