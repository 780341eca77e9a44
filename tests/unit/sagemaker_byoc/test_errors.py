"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

from sagemaker_byoc import errors

EXAMPLES = {
    errors.RequestError: errors.RequestError("config.RoleArn", None, "a value", "Give one."),
    errors.BuildContextError: errors.BuildContextError("context_path", "/x", "a folder"),
    errors.SmokeTestError: errors.SmokeTestError("too many wrong answers", put_back=True),
    errors.TrainingJobFailedError: errors.TrainingJobFailedError("no capacity", transient=True),
    errors.TransformJobError: errors.TransformJobError("no capacity", transient=True),
}
CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling(kind: type[errors.SageMakerByocError]) -> None:
    """Airflow moves errors between processes; words and facts must arrive."""
    error = EXAMPLES.get(kind) or kind("what happened")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_tree_in_the_docstring_names_every_error(kind: type[errors.SageMakerByocError]) -> None:
    """A reader of the module sees all that can go wrong."""
    assert kind.__name__ in (errors.__doc__ or "")


def test_a_request_error_tells_field_given_allowed_and_remedy() -> None:
    """The four things that a user needs stand in one sentence or two."""
    error = errors.RequestError("config.RoleArn", None, "a role's ARN", "Create one.")
    assert str(error) == "config.RoleArn: got None; allowed is a role's ARN. Create one."


def test_a_huge_value_does_not_hide_the_message() -> None:
    """The value is cut in the words, and whole in the error."""
    error = errors.RequestError("config.Tags", "x" * 5000, "at most 50 items")
    assert len(str(error)) < 400
    assert error.given == "x" * 5000
