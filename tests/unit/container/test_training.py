"""``train`` on one host: what it learns, prints, leaves behind and refuses."""

import random
import re
from pathlib import Path

import pytest

from model import load
from sagemaker_container.training import FAILURE_LIMIT
from tests.unit.container.opt_ml import IRIS, OptMl

LINE = re.compile(
    r"(final )?epoch=\d+ train_loss=[0-9.eE+-]+ validation_loss=[0-9.eE+-]+ validation_(accuracy|rmse)=[0-9.eE+-]+"
)
TABLE = "a,b,label\n" + "".join(f"{n},{n % 3},{'high' if n > 10 else 'low'}\n" for n in range(20))


def held_out_accuracy(model: Path) -> float:
    """Return how many of the 30 held-out rows the model gets right."""
    body = (IRIS / "test" / "test.csv").read_bytes()
    truth = [line.rpartition(",")[2] for line in body.decode().splitlines()[1:]]
    predictor = load(model)
    predictions = predictor.predict(predictor.decoders["text/csv"](body, {}))
    right: list[bool] = [prediction["label"] == label for prediction, label in zip(predictions, truth, strict=True)]
    return sum(right) / len(right)


def refused(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a training that must fail, and return the reason."""
    assert opt_ml.train_here(monkeypatch) == 1
    assert not opt_ml.model.exists()
    return opt_ml.failure()


@pytest.mark.parametrize("seed", range(10))
def test_the_smallest_partition_is_enough_with_any_seed(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """With defaults, 48 rows give at least 90 percent on the rows that were held out."""
    opt_ml.iris().hyperparameters(label_column="species", seed=seed)
    assert opt_ml.train_here(monkeypatch) == 0
    assert held_out_accuracy(opt_ml.model) >= 0.9


def test_the_program_trains_as_a_process_of_its_own(opt_ml: OptMl) -> None:
    """``train`` exits with 0, prints metric lines and leaves the two files of the model."""
    process = opt_ml.iris().start("train")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert output.splitlines()[-1].startswith("final epoch=")
    assert sorted(file.name for file in opt_ml.model.iterdir()) == ["model.json", "model.pt"]


def test_every_line_of_metrics_has_the_documented_form(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each epoch, then the best epoch's values, which a metric definition thus catches last."""
    opt_ml.iris().hyperparameters(label_column="species", epochs=5)
    opt_ml.train_here(monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(LINE.fullmatch(line) for line in lines)
    losses = [float(value) for value in re.findall(r"validation_loss=([0-9.eE+-]+)", "\n".join(lines))]
    assert losses[-1] == min(losses[:-1])
    assert opt_ml.description()["metrics"]["validation_loss"] == pytest.approx(losses[-1], abs=1e-4)


def test_training_stops_early_and_keeps_the_best_epoch(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels by chance cannot be learnt, so the validation loss soon gets worse and the job does not go on."""
    chance = random.Random(1)  # noqa: S311 - repeatable noise
    noise = "a,label\n" + "".join(f"{chance.random()},{chance.choice('xy')}\n" for _ in range(60))
    opt_ml.channel("train", {"all": noise}).hyperparameters(epochs=500, early_stopping_patience=3, learning_rate=0.05)
    assert opt_ml.train_here(monkeypatch) == 0
    *epochs, stopped, final = capsys.readouterr().out.splitlines()
    assert stopped == "early stopping: no gain in validation_loss for 3 epochs"
    assert final == f"final {epochs[-4]}"
    assert len(epochs) < 500


def test_the_same_seed_gives_the_same_model(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training can be repeated."""
    opt_ml.iris().train_here(monkeypatch)
    first = opt_ml.description()
    opt_ml.train_here(monkeypatch)
    assert opt_ml.description() == first


def test_a_regression_learns_a_plane(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels that are not whole numbers make it a regression, and the error is in the label's units."""
    points = [(x / 10, y / 10) for x in range(10) for y in range(10)]
    table = "x,y,label\n" + "".join(f"{x},{y},{100 + 30 * x - 20 * y:.2f}\n" for x, y in points)
    opt_ml.channel("train", {"all": table}).hyperparameters(epochs=60, dropout=0, learning_rate=0.01)
    assert opt_ml.train_here(monkeypatch) == 0
    rmse = float(re.findall(r"validation_rmse=([0-9.eE+-]+)", capsys.readouterr().out)[-1])
    assert rmse < 2
    predictor = load(opt_ml.model)
    [answer] = predictor.predict(predictor.decoders["text/csv"](b"0.5,0.5", {}))
    assert answer["value"] == pytest.approx(105, abs=4)


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        ("012" * 10, "auto", "classification"),
        ("012" * 10, "regression", "regression"),
        ([str(n) for n in range(30)], "auto", "regression"),
        (["1.5", "2.5"] * 15, "auto", "regression"),
        (["1.5", "2.5"] * 15, "classification", "classification"),
    ],
)
def test_the_task_follows_from_the_labels_unless_it_is_given(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, labels: list[str], task: str, expected: str
) -> None:
    """A few whole numbers are classes; fractions or many numbers are a quantity."""
    table = "a,label\n" + "".join(f"{n},{label}\n" for n, label in enumerate(labels))
    opt_ml.channel("train", {"all": table}).hyperparameters(task=task, epochs=1)
    assert opt_ml.train_here(monkeypatch) == 0
    assert opt_ml.description()["task"] == expected


def test_a_single_channel_may_have_any_name_and_folders(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are found below the channel's folder, whatever their depth and order of columns."""
    opt_ml.channel("data", {"a": TABLE}).hyperparameters(epochs=1)
    deep = opt_ml.base / "input" / "data" / "data" / "year=2026" / "b.csv"
    deep.parent.mkdir()
    deep.write_text("label,b,a\nlow,1,2\nhigh,1,19\n", encoding="utf-8")
    assert opt_ml.train_here(monkeypatch) == 0
    assert opt_ml.description()["features"] == ["a", "b"]


def test_a_column_that_never_changes_does_no_harm(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its deviation is zero and is not divided by."""
    table = "a,same,label\n" + "".join(f"{n},7,{'x' if n > 9 else 'y'}\n" for n in range(20))
    opt_ml.channel("train", {"all": table}).hyperparameters(epochs=1)
    assert opt_ml.train_here(monkeypatch) == 0


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "Channel 'train' holds no *.csv file; found: nothing."),
        ({"x": "a,b\n1,2\n"}, "train/x.csv: the first line must name the columns, each once, among them 'label'"),
        ({"x": "a,a,label\n1,2,y\n"}, "each once"),
        ({"x": ""}, "the first line must name the columns"),
        ({"x": "a,label\n"}, "The training channel has no rows."),
        ({"x": "a,label\n1,y\nabc,z\n"}, "train/x.csv, row 2: column 'a' is 'abc', not a number."),
        ({"x": "a,label\n,y\n"}, "train/x.csv, row 1: column 'a' is empty."),
        ({"x": "a,label\nnan,y\n"}, "train/x.csv, row 1: column 'a' is 'nan', not a finite number."),
        ({"x": "a,label\n1,y\n2\n"}, "train/x.csv, row 2: 1 cells where the header has 2."),
        ({"x": "a,label\n1,\n"}, "train/x.csv, row 1: the label (column 'label') is empty."),
        ({"x": "a,label\n1,y\n2,y\n"}, "Classification needs 2 to 1000 distinct labels; there are 1."),
        ({"x": "a,label\n1,y\n", "z": "b,label\n1,y\n"}, "has the feature columns ['b'], expected ['a']"),
        ({"x": "a,label\n1,y\n2,z\n"}, "There are no rows to validate on"),
    ],
)
def test_unusable_data_is_refused_with_its_place(
    opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], reason: str
) -> None:
    """The failure reason names file, row and column."""
    opt_ml.channel("train", files)
    assert reason in refused(opt_ml, monkeypatch)


def test_a_label_that_only_validation_has_is_refused(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network has no output for it."""
    opt_ml.channel("train", {"all": TABLE}).channel("validation", {"all": "a,b,label\n1,1,new\n"})
    assert "validation rows have the label 'new'" in refused(opt_ml, monkeypatch)


def test_text_labels_cannot_be_a_regression(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """The column and the first bad label are named."""
    opt_ml.channel("train", {"all": TABLE}).hyperparameters(task="regression")
    assert "Column 'label' holds 'low'" in refused(opt_ml, monkeypatch)


def test_hyperparameters_are_refused_before_any_data_is_read(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the request ends the job at once, with the reason."""
    opt_ml.hyperparameters(epochs="ten").channel("train")
    assert refused(opt_ml, monkeypatch).startswith("Hyperparameters refused: epochs is 'ten', expected a whole number")


def test_a_job_without_a_usable_channel_is_refused(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two channels, none of them for training."""
    opt_ml.channel("left", {"a": TABLE}).channel("right", {"a": TABLE})
    assert "['left', 'right']" in refused(opt_ml, monkeypatch)


def test_a_training_that_diverges_says_so(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is not a number is a failure with advice, not a model."""
    table = "a,label\n" + "".join(f"{n},{n}.5\n" for n in range(40))
    settings = {"learning_rate": 9.9, "weight_decay": 9.9, "epochs": 500, "early_stopping_patience": 500}
    opt_ml.channel("train", {"all": table}).hyperparameters(**settings)
    assert "Training diverged: epoch=" in refused(opt_ml, monkeypatch)


def test_an_unexpected_error_reaches_the_failure_file(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect is named with its place, cut to what SageMaker shows, and still ends the job as failed."""

    def broken(_job: object) -> None:
        raise KeyError("x" * 2 * FAILURE_LIMIT)

    monkeypatch.setattr("model.train", broken)
    reason = refused(opt_ml.iris(), monkeypatch)
    assert reason.startswith("Unexpected KeyError: 'xxx")
    assert len(reason) == FAILURE_LIMIT
