"""The table of answers."""

from __future__ import annotations

from sagemaker_byoc.answer_table import answer_table
from sagemaker_byoc.smoke_test import Answer

RIGHT = Answer(1, "setosa", "setosa", True)
WRONG = Answer(2, "setosa", "virginica", False)


def cells(*answers: tuple[str | None, Answer], variants: bool = False, repeats: bool = False) -> list[list[str]]:
    """Return the cells of each line, which two spaces or more separate."""
    table = answer_table(answers, 10, with_variant=variants, with_repeats=repeats)
    return [[cell.strip() for cell in line.split("  ") if cell] for line in table.splitlines()]


def test_columns_stand_one_below_the_other() -> None:
    """Each is as wide as its widest cell."""
    table = answer_table([(None, RIGHT), (None, WRONG)], 10, with_variant=False, with_repeats=False)
    assert table.splitlines() == [
        "record  label   prediction  correct?",
        "1       setosa  setosa      yes",
        "2       setosa  virginica   NO",
    ]


def test_several_variants_are_told_apart() -> None:
    """One has no column, since the line above the table names it."""
    assert cells(("A", RIGHT), ("B", WRONG), variants=True)[2] == ["B", "2", "setosa", "virginica", "NO"]


def test_repeats_show_what_differed() -> None:
    """Each prediction is listed with the number of repeats that gave it."""
    mixed = Answer.of_repeats([WRONG, Answer(2, "setosa", "setosa", True), WRONG])
    same = Answer.of_repeats([RIGHT, RIGHT, RIGHT])
    assert cells(("A", same), ("A", mixed), repeats=True)[1:] == [
        ["1", "setosa", "setosa", "yes", "yes"],
        ["2", "setosa", "virginica (2x), setosa (1x)", "NO", "NO"],
    ]


def test_a_checkers_reasons_have_a_column() -> None:
    """It is there only if one of the shown answers has a reason."""
    reasoned = Answer(2, "1", 9.0, False, "out of range")
    assert cells(("A", RIGHT), ("A", reasoned))[2][-1] == "out of range"
    assert "why" not in cells(("A", RIGHT))[0]
