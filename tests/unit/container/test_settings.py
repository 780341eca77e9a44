"""The hyperparameters of the model."""

import pytest

from model.settings import Settings
from sagemaker_container.errors import ConfigurationError


def test_nothing_given_is_the_defaults() -> None:
    """Every hyperparameter has a default."""
    assert Settings.parse({}) == Settings()


@pytest.mark.parametrize("given", ["32,16", [32, 16], "32, 16"])
def test_hidden_units_are_read_from_text_and_from_a_list(given: object) -> None:
    """Both ways of writing widths that clients use are understood."""
    assert Settings.parse({"hidden_units": given}).hidden_units == (32, 16)


def test_a_number_for_a_column_name_is_text() -> None:
    """A column called 4 arrives as a JSON number and is still a name."""
    assert Settings.parse({"label_column": 4}).label_column == "4"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("epochs", 0, "whole number from 1"),
        ("epochs", 1.5, "whole number"),
        ("epochs", True, "whole number"),
        ("epochs", "many", "whole number"),
        ("learning_rate", 0, "both excluded"),
        ("learning_rate", float("nan"), "a number between"),
        ("validation_fraction", 1, "between 0 and 1"),
        ("dropout", 1, "from 0 to 0.95"),
        ("hidden_units", "32,0", "layer widths"),
        ("hidden_units", [], "layer widths"),
        ("task", "ranking", "auto, classification, regression"),
        ("label_column", "", "name of a column"),
        ("seed", -1, "whole number from 0"),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_what_is_allowed(name: str, given: object, expected: str) -> None:
    """The user can mend the request from the message alone."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.parse({name: given})
    assert f"{name} is {given!r}, expected" in str(caught.value)
    assert expected in str(caught.value)


def test_everything_wrong_is_said_at_once() -> None:
    """A paid job does not have to fail twice for two mistakes, and a slip of the pen gets a hint."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.parse({"epoch": 3, "dropout": 2, "zzz": 1})
    assert "epoch is unknown (did you mean epochs?)" in str(caught.value)
    assert "dropout is 2" in str(caught.value)
    assert "zzz is unknown (known are label_column, task" in str(caught.value)
