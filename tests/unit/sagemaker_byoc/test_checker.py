"""Functions of the user's that judge answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.checker import check, load_checker
from sagemaker_byoc.errors import CheckerError, RequestError
from sagemaker_byoc.known_record import KnownRecord

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = KnownRecord({"length": "4.9"}, "setosa")
MODULE = """
from functools import partial

def near(features, label, prediction):
    return abs(float(label) - prediction) < 1 or f"{prediction} is far from {label}"

def narrow(features):
    return True

class Judge:
    @staticmethod
    def judge(features, label, prediction, strict=False):
        return True

limit = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package with a module of checkers on the path, under a name that no other test has imported."""
    name = f"judges_{abs(hash(request.node.name))}"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "rules.py").write_text(MODULE)
    (package / "broken.py").write_text("raise OSError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("path", ["rules.near", "rules:near", "rules:Judge.judge"])
def test_a_function_is_found_by_its_import_path(module: str, path: str) -> None:
    """With a dot or, as entry points have it, with a colon."""
    assert callable(load_checker(f"{module}.{path}"))


def test_a_builtin_that_does_not_tell_its_arguments_is_taken() -> None:
    """Whether it takes three shows when it is called."""
    assert load_checker("builtins.min") is min


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("rules.absent", "AttributeError.*absent"),
        ("nowhere.near", "ModuleNotFoundError.*nowhere"),
        ("broken.near", "OSError: no licence"),
        ("rules.limit", "no function but int"),
        ("rules.narrow", "takes features, label and prediction.*too many"),
        ("rules:", "import path"),
        ("rules/near.py", "import path"),
    ],
)
def test_what_is_no_such_function_is_refused(module: str, path: str, message: str) -> None:
    """The message says what is the matter with it."""
    with pytest.raises(RequestError, match=f"checker: got '{module}.{path}'.*{message}"):
        load_checker(f"{module}.{path}")


@pytest.mark.parametrize("path", ["near", "", ".near", ":near", None, 3, "a b.c"])
def test_what_is_no_import_path_is_refused(path: Any) -> None:
    """Nothing is imported for it."""
    with pytest.raises(RequestError, match=r"checker: got .*package\.module\.function"):
        load_checker(path)


def test_the_function_sees_features_label_and_prediction() -> None:
    """It gets the features as its own, so that it cannot change what is sent next."""
    seen: list[Any] = []

    def note(features: dict[str, Any], label: str, prediction: Any) -> bool:
        seen.append((dict(features), label, prediction))
        features.clear()
        return True

    assert check(note, 1, KNOWN, "setosa") is None
    assert seen == [({"length": "4.9"}, "setosa", "setosa")]
    assert KNOWN.features == {"length": "4.9"}


@pytest.mark.parametrize(("said", "objection"), [(True, None), (False, ""), (" too long ", "too long")])
def test_it_says_yes_no_or_why_not(said: Any, objection: str | None) -> None:
    """A text is a reason, whatever it says."""
    assert check(lambda *_: said, 1, KNOWN, "setosa") == objection


@pytest.mark.parametrize("said", [None, "", " ", 0.9, 1, [], {"correct": True}])
def test_another_answer_is_an_error_that_names_the_record(said: Any) -> None:
    """A function that forgets to return something would otherwise call everything wrong."""
    with pytest.raises(CheckerError, match=r"record 7 \(label 'setosa', prediction 'x'\), not True, False or"):
        check(lambda *_: said, 7, KNOWN, "x")


def test_a_function_that_fails_is_an_error_that_names_the_record() -> None:
    """Its own error is told, and kept as the cause."""

    def fails(features: dict[str, Any], label: str, prediction: Any) -> bool:
        return bool(float(prediction))

    with pytest.raises(CheckerError, match=r"failed at record 7 \(label 'setosa', .*ValueError: could not") as caught:
        check(fails, 7, KNOWN, "x")
    assert isinstance(caught.value.__cause__, ValueError)
